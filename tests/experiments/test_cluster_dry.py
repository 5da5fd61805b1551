"""The Pythia sweep at two layers and two steps, a process a job."""

import json

import pytest
from experiments_command import call, error_line, succeeded
from pythia_folder import write_model, write_pairs

from rlhf_jax.analysis import runs
from tests.pretrained_files import need_or_skip

pytestmark = pytest.mark.slow  # four processes of a whole sweep


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


def submit(place, index):
  """The finished process of a job."""
  return call('job', f'--study={place}/runs', f'--index={index}')


@pytest.fixture(scope='module')
def swept(place):
  """All four jobs, each a process, the last tried before its turn too."""
  early = submit(place, 3)
  for index in range(4):
    succeeded(submit(place, index))
  return place / 'runs', early


def test_a_job_before_its_turn_says_what_to_run(swept):
  line = error_line(swept[1])
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
