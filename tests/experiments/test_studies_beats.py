"""What a job's process says of itself, and who is not heard of any more."""

import subprocess
import sys

import pytest
from experiments_command import ROOT

from experiments.studies import beats
from experiments.studies.beats import LOST, STARTING, Beat, Pulse


def kind_of(error):
  return {'kind': 'error', 'why': f'x: {error}'}


def test_a_process_says_that_it_runs_and_leaves_nothing_when_it_is_done(
  tmp_path,
):
  assert beats.read(tmp_path, 'lm/3K') == {}
  with Beat(tmp_path, 'lm/3K', 'x.log', kind_of=kind_of) as beat:
    said = beats.read(tmp_path, 'lm/3K')
    assert (said['state'], said['beat'], said['log']) == ('running', 0, 'x.log')
    beat.progress('lm', 7, 150, 9.5)
  assert beats.read(tmp_path, 'lm/3K') == {}


def test_a_beat_grows_and_tells_the_progress(tmp_path, monkeypatch):
  monkeypatch.setattr(beats, 'EVERY', 0.01)
  with Beat(tmp_path, 'a', kind_of=kind_of) as beat:
    beat.progress('a', 7, 150, 9.5)
    while (said := beats.read(tmp_path, 'a'))['beat'] < 2:
      pass
  assert said['progress'] == ['a', 7, 150, 9.5]


def test_a_failure_stays_with_its_kind_until_it_is_forgotten(tmp_path):
  with pytest.raises(ValueError), Beat(tmp_path, 'a', kind_of=kind_of):
    raise ValueError('no')
  said = beats.read(tmp_path, 'a')
  assert (said['state'], said['kind'], said['why']) == (
    'failed',
    'error',
    'x: no',
  )
  beats.forget(tmp_path, 'a')
  beats.forget(tmp_path, 'a')
  assert beats.read(tmp_path, 'a') == {}


@pytest.mark.parametrize('error', [KeyboardInterrupt, SystemExit])
def test_a_process_that_is_ended_has_said_no_failure(tmp_path, error):
  with pytest.raises(error), Beat(tmp_path, 'a', kind_of=kind_of):
    raise error
  assert beats.read(tmp_path, 'a')['state'] == 'running'


def test_a_broken_file_says_nothing(tmp_path):
  file = beats.file_of(tmp_path, 'a')
  file.parent.mkdir()
  for text in ('', '{"state": ', '[1]'):
    file.write_text(text)
    assert beats.read(tmp_path, 'a') == {}


def test_silence_is_measured_from_the_last_change():
  pulse, said = Pulse(), lambda beat: {'host': 'n', 'pid': 1, 'beat': beat}
  assert not pulse.is_lost('a', said(0), 0.0)
  assert not pulse.is_lost('a', said(0), LOST)
  assert pulse.is_lost('a', said(0), LOST + 1)
  assert not pulse.is_lost('a', said(1), LOST + 2)
  assert not pulse.is_lost('b', said(0), LOST + 2)
  assert pulse.is_lost('a', said(1), 2 * LOST + 3)
  assert not pulse.is_lost('a', said(1) | {'pid': 2}, 2 * LOST + 4)


def test_a_process_has_longer_to_its_first_word():
  pulse = Pulse()
  assert not pulse.is_lost('a', {}, 0.0)
  assert not pulse.is_lost('a', {}, STARTING)
  assert pulse.is_lost('a', {}, STARTING + 1)
  pulse.forget('a')
  assert not pulse.is_lost('a', {}, STARTING + 2)


CODE = """
import os, pathlib, sys
from experiments.studies import beats
log = beats.log_of(sys.argv[1], 'lm/3K')
try:
  with beats.output_to(log):
    print('python')
    os.write(2, b'compiler\\n')
    raise ValueError('no')
except ValueError:
  print('after')
"""


def test_output_goes_to_the_log_of_its_job_and_no_other(tmp_path):
  words = [sys.executable, '-c', CODE, tmp_path]
  for _ in range(2):
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, 'after\n', '')
  text = (tmp_path / 'logs' / 'lm' / '3K.log').read_text()
  for line in ('python\n', 'compiler\n', 'ValueError: no\n'):
    assert text.count(line) == 2
