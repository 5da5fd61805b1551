"""Targets of the Makefile: its help, and what it refuses to ignore."""

import os
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]


def make(*words):
  return subprocess.run(
    ['make', *words],
    cwd=ROOT,
    env={k: v for k, v in os.environ.items() if not k.startswith('MAKE')},
    capture_output=True,
    text=True,
    check=False,
  )


def test_help_names_every_target():
  done, text = make('help'), (ROOT / 'Makefile').read_text()
  assert done.returncode == 0
  lists = re.findall(r'^\.PHONY: (.*)$', text, flags=re.M)
  targets = {name for names in lists for name in names.split()}
  assert {'reproduce', 'help', 'test', 'clean'} <= targets
  for name in targets:
    assert re.search(rf'make {name}\b', done.stdout), name


@pytest.mark.parametrize(
  'words', [(), ('reproduce',), ('reproduce', 'PRESET=smoke')]
)
def test_data_that_no_preset_reads_is_refused_in_one_line(words):
  done = make('-n', *words, 'DATA=/x')
  assert done.returncode != 0 and not done.stdout
  assert len(done.stderr.splitlines()) == 1
  assert 'reads no DATA: make reproduce PRESET=hh DATA=/x' in done.stderr


def test_data_reaches_the_presets_that_read_it():
  for preset in ('hh', 'smollm2'):
    done = make('-n', 'reproduce', f'PRESET={preset}', 'DATA=/x')
    assert done.returncode == 0 and '--config.data.path=/x' in done.stdout


def test_targets_that_read_no_data_do_not_mind_it():
  assert make('-n', 'clean', 'DATA=/x').returncode == 0
