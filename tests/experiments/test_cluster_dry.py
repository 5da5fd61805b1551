"""The Pythia sweep at two layers and two steps, by the script of SLURM."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest
from experiments_command import CACHE, call, succeeded
from pythia_folder import write_model, write_pairs

from rlhf_jax.analysis import runs
from tests.pretrained_files import need_or_skip

pytestmark = pytest.mark.slow  # four processes of a whole sweep

ROOT = pathlib.Path(__file__).parents[2]
SCRIPT = ROOT / 'scripts' / 'slurm' / 'job.sbatch'


@pytest.fixture(scope='module')
def place(tmp_path_factory):
  """Where the list of the dry sweep's jobs is, and what they read."""
  need_or_skip('tokenizers', 'safetensors')
  root = tmp_path_factory.mktemp('sweep')
  write_model(root / 'models' / 'pythia-dry')
  write_pairs(root / 'hh')
  listed = call(
    'cluster',
    '--config=configs/sweeps/hh_pythia.py:dry',
    f'--config.models={root}/models',
    f'--config.data.path={root}/hh',
    f'--workdir={root}/runs',
    '--list',
  )
  assert succeeded(listed).stdout.endswith('0 of 4 jobs are done\n')
  return root


def submit(place, index, **changes):
  """The finished script."""
  process = start(place, index, **changes)
  out, err = process.communicate()
  return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def start(place, index, python=sys.executable, **changes):
  """The script as SLURM starts it, for one task of the array."""
  environment = os.environ | {
    'RLHF_JAX_CACHE': CACHE,
    'XLA_FLAGS': '--xla_backend_optimization_level=0',  # compiles faster
    'SLURM_SUBMIT_DIR': str(ROOT),
    'SLURM_ARRAY_TASK_ID': str(index),
  }
  environment = {
    key: value
    for key, value in (environment | changes).items()
    if value is not None
  }
  return subprocess.Popen(
    ['bash', SCRIPT, f'{place}/runs', python],
    env=environment,
    cwd=place,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )


def last_line(done):
  assert done.returncode == 2, done.stderr[-3000:]
  assert 'Traceback' not in done.stderr, done.stderr[-3000:]
  return done.stderr.splitlines()[-1]


@pytest.fixture(scope='module')
def swept(place):
  """All four jobs, each a process, the last tried before its turn too."""
  early = submit(place, 3)
  for index in range(4):
    done = submit(place, index)
    assert done.returncode == 0, done.stderr[-3000:]
  return place / 'runs', early


def test_a_job_before_its_turn_says_what_to_run(swept):
  line = last_line(swept[1])
  assert line == (
    'error: ppo/pythia-dry-s0 needs data, which is not done: run --index=0 '
    'first'
  )


def steps(path):
  lines = (path / 'metrics.jsonl').read_text().splitlines()
  return [row for row in map(json.loads, lines) if row['kind'] == 'train']


def test_both_preference_models_train_for_two_steps(swept):
  found = [steps(swept[0] / 'pm' / f'pythia-dry-{half}-s0') for half in 'ab']
  for rows in found:
    assert [row['step'] for row in rows] == [1, 2]
    assert all(row['grad_norm'] > 0 for row in rows)
  assert found[0][0]['loss'] != found[1][0]['loss']  # other pairs, other heads


def test_the_policy_trains_for_two_iterations_and_moves(swept):
  rows = steps(swept[0] / 'ppo' / 'pythia-dry-s0')
  assert len(rows) == 2
  curve = runs.collect(swept[0])['rl_curve']
  assert list(curve.iteration) == [0, 1, 2]
  assert curve.kl.iloc[0] == 0 and curve.kl.iloc[2] > 0
  assert set(curve['size']) == {'pythia-dry'}


def test_the_tables_of_the_sweep_are_those_of_any_study(swept):
  tables = runs.collect(swept[0])
  assert len(tables['pm_pairs']) == 8  # four test pairs from each half's PM
  assert set(tables['pm_curve'].half) == {'a', 'b'}


def test_a_job_that_is_done_does_nothing_when_it_is_sent_again(place, swept):
  params = swept[0] / 'pm' / 'pythia-dry-a-s0' / 'done.json'
  before = params.stat().st_mtime_ns
  assert submit(place, 1).returncode == 0
  assert params.stat().st_mtime_ns == before


def test_before_its_time_limit_a_job_goes_back_into_the_queue(place):
  """SLURM's signal ends the job's process; the queue is asked for again."""
  tools = place / 'tools'
  tools.mkdir()
  for name, does in (
    ('python', f'touch {tools}/started; exec sleep 60'),
    ('scontrol', f'echo "$@" > {tools}/asked'),
  ):
    (tools / name).write_text(f'#!/bin/bash\n{does}\n')
    (tools / name).chmod(0o755)
  changes = {
    'PATH': f'{tools}:{os.environ["PATH"]}',
    'SLURM_JOB_ID': '77',
  }
  with start(place, 0, f'{tools}/python', **changes) as process:
    until = time.time() + 60
    while not (tools / 'started').exists() and time.time() < until:
      time.sleep(0.05)
    process.send_signal(signal.SIGUSR1)
    out, err = process.communicate(timeout=60)
  assert process.returncode == 0, err
  assert 'goes back into the queue' in out
  assert (tools / 'asked').read_text() == 'requeue 77\n'


@pytest.mark.parametrize(
  ('changes', 'message'),
  [
    ({'SLURM_ARRAY_TASK_ID': None}, 'submit with --array'),
    ({'SLURM_SUBMIT_DIR': '/'}, 'is not the repository'),
    ({'python': '/no/python'}, 'no /no/python'),
  ],
)
def test_what_is_missing_is_one_line(place, changes, message):
  done = submit(place, 0, **changes)
  assert done.returncode != 0 and len(done.stderr.splitlines()) == 1
  assert message in done.stderr


def test_a_script_without_a_study_is_one_line():
  done = subprocess.run(
    ['bash', SCRIPT], capture_output=True, text=True, check=False
  )
  assert done.returncode != 0
  assert 'the folder of a study' in done.stderr
