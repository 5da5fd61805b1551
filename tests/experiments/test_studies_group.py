"""Runs of a sweep as members of one program."""

import json

import pytest
import tiny_stages as tiny

from experiments import sweep, train_pm
from experiments.studies import group, launch
from experiments.studies.job import Job, mark
from rlhf_jax.train import ledger
from rlhf_jax.train.about import RunError
from tests.test_configs import _load


def jobs(**programs):
  return [
    Job(name, 'm', {'seed': name}, program=x, label=f'seed={name}', weight=2.0)
    for name, x in programs.items()
  ]


def test_runs_that_share_a_program_are_groups_of_at_most_so_many(tmp_path):
  for name in 'ag':
    (tmp_path / name).mkdir()
  (tmp_path / 'a' / 'done.json').write_text('{}')
  (tmp_path / 'g' / 'failed.json').write_text('{}')
  made = jobs(a='p', b='p', c='q', d='p', e='p', f='p', g='p', h='q', i='r')
  asked, names = group.grouped(made, tmp_path, 3)
  assert sorted(names.values()) == [['b', 'd', 'e'], ['c', 'h']]
  plain = [job.name for job in asked if job.name not in names]
  assert sorted(plain) == ['a', 'f', 'g', 'i']
  [first] = [job for job in asked if names.get(job.name) == ['b', 'd', 'e']]
  assert first.config == {
    'module': 'm',
    'members': {name: {'seed': name} for name in 'bde'},
  }
  assert first.name.startswith('groups/') and first.weight == 6.0
  assert first.label == '3 runs: seed=b; seed=d; seed=e'


def test_when_runs_are_grouped(tmp_path):
  (tmp_path / 'nvidia0').touch()
  here, none = (f'{tmp_path}/nvidia*',), (f'{tmp_path}/accel*',)
  assert group.wanted('always', 0, none) and not group.wanted('never', 8, here)
  assert not group.wanted('auto', 0, none)
  assert group.wanted('auto', 0, here) and group.wanted('auto', 1, none)


def test_a_group_that_failed_is_its_members_that_are_not_done(tmp_path):
  (tmp_path / 'a').mkdir()
  (tmp_path / 'a' / 'done.json').write_text('{}')
  failed = {'groups/x': 'no', 'c': 'why'}
  found = group.of_members(failed, {'groups/x': ['a', 'b']}, tmp_path)
  assert found == {'b': 'no', 'c': 'why'}


STAGE = """
from rlhf_jax.train.about import StoppedError
def run(config, workdir):
  workdir.mkdir(exist_ok=True)
  if config['how'] == 'stops':
    raise StoppedError('not finite', reason='nonfinite')
  if config['how'] == 'memory':
    raise RuntimeError('RESOURCE_EXHAUSTED: Out of memory')
  if config['how'] == 'error':
    raise ValueError('no such size')
  (workdir / 'done.json').write_text('{}')
"""


@pytest.mark.parametrize(
  ('hows', 'error', 'message'),
  [
    (('', 'stops', ''), None, ''),
    (('', 'error', 'stops', ''), RunError, 'b: no such size$'),
    (('memory', 'error', ''), MemoryError, 'a: .*memory; 2 of 3 members fai'),
  ],
)
def test_a_member_that_fails_stops_no_other(
  tmp_path, monkeypatch, hows, error, message
):
  (tmp_path / 'failing_stage.py').write_text(STAGE)
  monkeypatch.syspath_prepend(tmp_path)
  members = {
    name: {'how': how} for name, how in zip('abcd', hows, strict=False)
  }
  config, workdir = {'module': 'failing_stage'}, tmp_path / 'groups' / 'x'
  config['members'] = members
  if error:
    with pytest.raises(error, match=message):
      group.run(config, workdir)
  else:
    group.run(config, workdir)
  assert (workdir / 'done.json').exists() == (error is None)
  for name, own in members.items():
    assert (tmp_path / name / 'done.json').exists() == (own['how'] == '')


@pytest.fixture(scope='module')
def study(tmp_path_factory):
  root = tmp_path_factory.mktemp('study')
  mark(root, 'sweep', {'stage': 'train_pm'})
  tiny.prepare(root)
  return root


def losses(workdir):
  """Of each step of a run."""
  lines = (workdir / 'metrics.jsonl').read_text().splitlines()
  rows = [row for row in map(json.loads, lines) if row['kind'] == 'train']
  assert len(rows) == 4
  return [row['loss'] for row in rows]


@pytest.mark.slow  # trains six preference models
def test_members_have_the_tables_of_runs_alone_and_one_program(study):
  rates = {'a': 0.3, 'b': 1.0, 'c': 1.0}
  seeds = {'a': 0, 'b': 0, 'c': 1}
  config = lambda name: tiny.pm(
    study, seed=seeds[name], lr_multiple=rates[name], log_every=1
  )
  members = {name: config(name) for name in rates}
  before = ledger.count('pm_step_3K')  # of other tests in this process
  group.run(
    {'module': 'experiments.train_pm', 'members': members},
    study / 'groups' / 'x',
  )
  assert ledger.count('pm_step_3K') - before <= 1
  for name in rates:
    train_pm.run(config(name), study / f'alone-{name}')
  for name in rates:
    assert losses(study / name) == pytest.approx(
      losses(study / f'alone-{name}'), rel=1e-4
    )
    assert (study / name / 'pm_curve.csv').exists()
  assert losses(study / 'a') != losses(study / 'b') != losses(study / 'c')
  done = json.loads((study / 'groups' / 'x' / 'done.json').read_text())
  assert done == {'members': 3}


def test_a_sweep_launches_groups_where_they_are_wanted(tmp_path, monkeypatch):
  monkeypatch.setattr(sweep.knobs, 'require_inputs', lambda *_: None)
  launched = []

  def run(asked, root, options):
    launched.extend(job.name for job in asked)
    [made] = [job for job in asked if job.name.startswith('groups/')]
    raise launch.FailedError('x', {made.name: f'{made.shown}: its process was'})

  monkeypatch.setattr(sweep.launch, 'run', run)
  config = _load('ppo').get_config('smoke')
  points = [{'seed': 0}, {'seed': 1}, {'seed': 0, 'size': '3K'}]
  found, _ = sweep.jobs_of('train_ppo', config, points, tmp_path)
  first, second, third = found
  failed = sweep.run_all(found, tmp_path, launch.Options(), members=8)
  assert launched[0] == third and len(launched) == 2
  assert set(failed) == {first, second}
