"""Jobs of several processes: who they are, what they ask for, how they end."""

import json
import os
import pathlib
import signal
import subprocess
import threading
import time

import pandas as pd
import pytest
import tiny_stages as tiny
from experiments_command import ROOT

from experiments.studies import beats, launch, listing, sbatch, several, single
from experiments.studies.job import (
  Job,
  Resources,
  mark,
  read_list,
  with_needs,
  write_list,
)

TWO = Resources(processes=2)


def jobs_of(root, **changes):
  text = Job('text', 'experiments.make_text', tiny.text(root))
  lm = tiny.lm(root, **changes)
  return [Job('lm', 'experiments.train_lm', lm, needs=(text,))]


def test_the_stages_that_can_share_are_those_whose_scripts_say_so():
  scripts = (ROOT / 'experiments').glob('*.py')
  say = {x.stem for x in scripts if 'several=True' in x.read_text()}
  assert say - {'job'} == several.SEVERAL


def test_a_stage_of_one_process_asks_for_one():
  [lm] = with_needs(jobs_of('/x'))[1:]
  asked = launch.with_resources(with_needs([lm]), TWO._replace(nodes=3))
  text, lm = several.only_where_shared(asked)
  assert several.count(text.resources) == 1
  assert several.count(lm.resources) == 6 and lm.needs == (text,)


@pytest.mark.parametrize('gpus, processes', [(0, 4), (2, 2), (1, 0)])
def test_gpus_that_each_have_a_process_are_fine(gpus, processes):
  asked = Resources(gpus=gpus, nodes=2, processes=processes)
  several.require_fitting(Job('lm', 'm', {}, resources=asked))


def test_gpus_that_nobody_would_drive_are_refused():
  job = Job('lm', 'm', {}, resources=Resources(gpus=8, nodes=2))
  with pytest.raises(ValueError, match='lm asks for 8 GPUs and 1 .*=8'):
    several.require_fitting(job)


def test_the_pool_has_no_second_node(tmp_path):
  options = launch.Options('pool', resources=Resources(nodes=2))
  with pytest.raises(ValueError, match='lm asks for 2 nodes, and the pool is'):
    launch.run(jobs_of(tmp_path), tmp_path, options)


def test_slurm_is_asked_for_tasks_that_end_together():
  job = Job('lm', 'm', {}, resources=Resources(nodes=2, processes=4, gpus=4))
  found = sbatch.parameters_of([job], [], (2.0, 1.0, 24.0))
  assert (found['nodes'], found['ntasks_per_node']) == (2, 4)
  assert found['srun_args'] == ['--kill-on-bad-exit=1']
  assert found['gpus_per_node'] == 4
  plain = sbatch.parameters_of([Job('lm', 'm', {})], [], (2.0, 1.0, 24.0))
  assert not {'nodes', 'ntasks_per_node', 'srun_args'} & plain.keys()


def test_the_list_has_the_command_of_all_of_them():
  words = 'python -m experiments.job --study=/x --index=3'
  assert listing.command_of('/x', 3) == words
  asked = Resources(nodes=2, processes=4)
  step = 'srun --nodes=2 --ntasks-per-node=4'
  assert listing.command_of('/x', 3, asked) == (
    f'{step} {words} --distributed=auto'
  )


def test_each_process_has_a_log(tmp_path, monkeypatch):
  monkeypatch.delenv('SLURM_PROCID', raising=False)
  assert single.log_here(tmp_path, 'lm') == beats.log_of(tmp_path, 'lm')
  monkeypatch.setenv('SLURM_PROCID', '2')
  assert single.log_here(tmp_path, 'lm').name == 'lm.2.log'
  monkeypatch.setenv(several.PLACE, '127.0.0.1:1 2 1')
  assert single.log_here(tmp_path, 'lm').name == 'lm.1.log'


def test_a_list_of_before_is_read(tmp_path):
  mark(tmp_path, 'reproduce', {})
  write_list(tmp_path, jobs_of(tmp_path))
  file = tmp_path / 'jobs.json'
  rows = json.loads(file.read_text())
  for row in rows:
    del row['resources']['nodes'], row['resources']['processes']
  file.write_text(json.dumps(rows))
  assert several.count(read_list(tmp_path)[1].resources) == 1


def test_a_stage_of_one_process_refuses_to_be_several(tmp_path, monkeypatch):
  mark(tmp_path, 'reproduce', {})
  write_list(tmp_path, jobs_of(tmp_path))
  monkeypatch.setattr(single.hosts, 'count', lambda: 2)
  with pytest.raises(ValueError, match='^text is of a stage that runs as one'):
    single.run(tmp_path, name='text')
  assert not (tmp_path / 'text').exists()


def run_two(root, **changes):
  """A study whose language model is trained by two processes of the pool."""
  options = launch.Options('pool', resources=TWO, retries=1)
  return launch.run(jobs_of(root, **changes), root, options)


@pytest.mark.slow  # two processes that compile, and one
def test_two_processes_of_the_pool_give_the_tables_of_one(tmp_path, capsys):
  two, one = tmp_path / 'two', tmp_path / 'one'
  for root in (two, one):
    mark(root, 'reproduce', {})
  assert run_two(two)
  assert '[2/2] lm in ' in capsys.readouterr().err
  assert launch.run(jobs_of(one), one, launch.Options('pool'))
  tables = [pd.read_csv(root / 'lm' / 'lm.csv') for root in (two, one)]
  pd.testing.assert_frame_equal(*tables, rtol=1e-5, atol=2e-5)
  assert single.spent(two / 'lm')['programs']
  assert not beats.read(two, 'lm')
  assert (two / 'logs' / 'lm.1.log').exists()


def children(root):
  """Numbers of the two processes of the job, once both train."""
  rows = root / 'lm' / 'metrics.jsonl'
  until = time.monotonic() + 120
  while not rows.exists() or len(rows.read_text().splitlines()) < 3:
    assert time.monotonic() < until
    time.sleep(0.05)
  words = ['pgrep', '-f', f'{root}/jobs/lm.json']
  return [int(x) for x in subprocess.check_output(words).split()]


@pytest.mark.slow  # two processes that compile, twice
def test_a_process_that_is_killed_ends_the_job_which_is_tried_again(
  tmp_path, capsys
):
  mark(tmp_path, 'reproduce', {})
  done = []
  watch = threading.Thread(
    target=lambda: done.append(run_two(tmp_path, steps=60, checkpoint_every=2))
  )
  watch.start()
  numbers = children(tmp_path)
  places = [
    pathlib.Path(f'/proc/{number}/environ').read_bytes() for number in numbers
  ]
  [other] = [
    number
    for number, place in zip(numbers, places, strict=True)
    if b' 2 1\0' in place + b'\0'
  ]
  os.kill(other, signal.SIGKILL)
  watch.join(timeout=300)
  said = capsys.readouterr().err
  assert done == [True], said
  assert said.count('  failed: lm: its process was killed') == 1
  assert '  again (1 of 1): lm' in said
  ends = (tmp_path / 'logs' / 'lm.log').read_text()
  assert 'another one of the job has died' in ends
