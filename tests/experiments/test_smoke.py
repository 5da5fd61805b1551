"""The smoke study from nothing to its report, interrupted, and swept."""

import json
import time

import pandas as pd
import pytest
from experiments_command import call, finish, start, succeeded

from rlhf_jax.analysis import runs

pytestmark = pytest.mark.slow  # a whole study: four minutes

CONFIG = '--config=configs/reproduce.py:smoke'
TABLES = (
  'lm',
  'pm_curve',
  'pm_pairs',
  'rl_curve',
  'rl_subsets',
  'rl_pi0',
  'frontier',
  'best_of_n',
)

# What two model sizes and two seeds suffice to judge.
MEASURED = {1, 4, 5, 6, 11, 12, 13, 14, 15, 17, 19, 20, 24, 27, 37, 67}


@pytest.fixture(scope='session')
def study(tmp_path_factory):
  """(directory, what it printed) of a smoke study that was left in peace."""
  path = tmp_path_factory.mktemp('smoke') / 'study'
  done = succeeded(call('reproduce', CONFIG, f'--workdir={path}'))
  return path, done.stdout


def _claims(path):
  return json.loads((path / 'report' / 'claims.json').read_text())['claims']


def _files_of_jobs(path):
  """Time of the last change of every file that a job wrote."""
  return {
    file: file.stat().st_mtime_ns
    for stage in ('text', 'lm', 'comparisons', 'pm', 'rl', 'frontier')
    for file in (path / stage).rglob('*')
    if file.is_file() and file.name != '.lock'
  }


def _table(path, name):
  """A table without the columns that depend on where and when it was made."""
  frame = runs.read_tables(path / 'tables')[name]
  return frame.drop(columns=['config_hash', 'commit'])


def test_the_study_ends_with_a_report_and_all_claims(study):
  path, printed = study
  claims = _claims(path)
  assert [claim['id'] for claim in claims] == list(range(1, 69))
  judged = {c['id'] for c in claims if c['verdict'] != 'not run'}
  assert MEASURED <= judged
  assert 'data:image/svg+xml' in (path / 'report' / 'index.html').read_text()
  assert f'{path}/report/index.html' in printed
  for number in MEASURED:
    assert any(x.split()[:1] == [str(number)] for x in printed.splitlines())


def test_the_tables_hold_every_run_and_every_checkpoint(study):
  path, _ = study
  curve = _table(path, 'rl_curve')
  assert set(curve['role']) == {
    'linear',
    'inert',
    'robust',
    'helpful_pm',
    'harmless_pm',
  }
  assert (curve.groupby('run_id')['iteration'].min() == 0).all()
  assert (curve.groupby('run_id')['iteration'].max() == 8).all()
  assert (curve.loc[curve['iteration'] == 0, 'kl'].abs() < 1e-5).all()
  assert (curve.loc[curve['iteration'] == 8, 'kl'] > 0).all()
  edges = _table(path, 'frontier')
  assert set(edges['scorer']) == {'train', 'test', 'gold'}
  assert {'all', 'helpful', 'harmless'} == set(edges['subset'])
  assert set(edges['role']) == set(curve['role']) - {'inert'}
  programs = runs.read_tables(path / 'tables')['programs']
  assert (programs['seconds'] >= 0).all() and len(programs) > 5


def test_there_is_something_to_reinforce(study):
  """Replies of pi_0 to one prompt differ in gold: >= 20 % of the variance."""
  path, _ = study
  pi0 = _table(path, 'rl_pi0')
  gold = pi0[pi0['scorer'] == 'gold']
  assert len(gold)
  assert (gold['within_variance'] >= 0.2 * gold['pooled_variance']).all()


def test_a_second_run_does_nothing_again(study):
  path, _ = study
  files, claims = _files_of_jobs(path), _claims(path)
  succeeded(call('reproduce', CONFIG, f'--workdir={path}'))
  assert _files_of_jobs(path) == files
  same = ('id', 'verdict', 'measured', 'ci')
  strip = lambda rows: [{key: row[key] for key in same} for row in rows]
  assert strip(_claims(path)) == strip(claims)


# Killed studies have the policies of one theme, and the models they need.
PART = (CONFIG, '--config.themes=("ppo", "sqrt_kl")')


def _kill_while(path, stage):
  """Runs the study and kills it in a job of a stage, past a checkpoint."""
  process = start('reproduce', *PART, f'--workdir={path}')
  while process.poll() is None:
    for step in path.glob(f'{stage}/*/checkpoints/*'):
      job = step.parents[1]
      if step.name.isdigit() and not (job / 'done.json').exists():
        process.kill()
        process.communicate()
        return job
    time.sleep(0.01)
  raise AssertionError(finish(process).stderr[-3000:])


def test_a_study_killed_twice_ends_with_the_same_tables(study, tmp_path):
  """SIGKILL in an LM and in a PPO run, then resumed (checklist 82)."""
  path, resumed = study[0], tmp_path / 'study'
  for stage in ('lm', 'rl'):
    job = _kill_while(resumed, stage)
    assert job.parent.name == stage
    assert not (resumed / 'report').exists()
  succeeded(call('reproduce', *PART, f'--workdir={resumed}'))
  roles = set()
  for name in runs.read_tables(resumed / 'tables').keys() & set(TABLES):
    ours, wanted = _table(resumed, name), _table(path, name)
    wanted = wanted[wanted['run_id'].isin(ours['run_id'])]
    roles |= set(ours['role'])
    pd.testing.assert_frame_equal(
      ours, wanted.reset_index(drop=True), check_exact=True
    )
  assert {'lm', 'linear', 'inert'} <= roles


def _sweep(study, workdir, *flags):
  return succeeded(
    call(
      'sweep',
      '--stage=pm',
      '--config=configs/pm.py:smoke',
      f'--config.comparisons_dir={study}/comparisons',
      f'--config.base={study}/lm/3K',
      '--config.size=3K',
      '--config.pairs=64',
      '--config.final_eval_pairs=0',
      '--grid=seed=0,1',
      '--grid=lr_multiple=0.3',
      f'--workdir={workdir}',
      *flags,
    )
  ).stdout.splitlines()


def test_a_sweep_lists_runs_and_skips_what_is_done(study, tmp_path):
  workdir = tmp_path / 'sweep'
  listed = _sweep(study[0], workdir, '--dry_run')
  assert listed[0].split() == ['run', 'seed', 'lr_multiple', 'state']
  rows = [line.split() for line in listed[1:]]
  assert [row[1:4] for row in rows] == [['0', '0.3', 'to'], ['1', '0.3', 'to']]
  assert not workdir.exists()
  table = _sweep(study[0], workdir)
  done = [line.split()[:4] for line in table[1:]]
  assert done == [[*row[:3], 'done'] for row in rows]
  names = {path.name for path in workdir.iterdir() if path.is_dir()}
  assert {row[0] for row in rows} <= names
  assert _sweep(study[0], workdir) == table
