"""Runs that stopped: claims that lack them are at most inconclusive."""

import json

import pytest

from rlhf_jax.analysis import failures
from rlhf_jax.analysis.claims import judging
from rlhf_jax.analysis.claims.registry import Registry
from rlhf_jax.analysis.claims.spec import ClaimSpec
from rlhf_jax.analysis.findings import Finding, contrast, select
from tests.analysis import small


def claim(number, role, table='rl_curve'):
  """Passes where the gold of this role is above 0 in every seed."""

  def evaluator(tables):
    frame = select(tables, table, role=role)
    return Finding([contrast('gold', frame['gold'], '>', 0.0)])

  words = role, 'It is so.', 'Fig. 1', '> 0'
  return ClaimSpec(number, *words, evaluator, (table,), min_seeds=2)


def registry():
  claims = (claim(1, 'linear'), claim(2, 'robust'), claim(3, 'lm', 'lm'))
  return Registry({}, claims, {}, {}, (), ())


def tables(roles=('linear', 'robust')):
  rows = [
    {'role': role, 'seed': seed, 'gold': 2.0 + seed / 10}
    for role in roles
    for seed in (0, 1, 2)
  ]
  lm = [{'role': 'lm', 'seed': s, 'gold': 1.0 + s / 10} for s in (0, 1, 2)]
  return {
    'rl_curve': small.table('rl_curve', rows),
    'lm': small.table('lm', lm),
  }


def lost(role='linear', stage='train_ppo'):
  reason = 'loss is not finite at update 7'
  return {'run': f'rl/{role}-s3', 'role': role, 'stage': stage} | {
    'reason': reason
  }


def verdicts(found_tables, *missing):
  rows = judging.judge(found_tables, {'failures': missing}, registry())
  return {row['id']: row['verdict'] for row in rows}, rows


def test_without_failures_nothing_is_weighed():
  found, _ = verdicts(tables())
  assert found == {1: 'pass', 2: 'pass', 3: 'pass'}
  document = judging.claims_document(tables(), {}, registry())
  assert 'failures' not in document and 'failed_runs' not in document


def test_a_claim_that_lacks_a_planned_run_is_inconclusive_and_names_it():
  found, rows = verdicts(tables(), lost())
  assert found == {1: 'inconclusive', 2: 'pass', 3: 'pass'}
  said = 'planned and lacking: rl/linear-s3 (loss is not finite at update 7)'
  assert rows[0]['note'] == said and rows[1]['note'] == ''
  assert rows[0]['measured'] == {'gold': pytest.approx(2.1)}


def test_a_claim_that_fails_is_no_failure_without_the_run_either():
  below = tables()
  below['rl_curve']['gold'] -= 9
  found, _ = verdicts(below, lost())
  assert found == {1: 'inconclusive', 2: 'fail', 3: 'pass'}


def test_a_role_of_which_no_run_is_left_counts_for_every_claim_of_its_tables():
  found, rows = verdicts(tables(('robust',)), lost())
  assert found == {1: 'not run', 2: 'inconclusive', 3: 'pass'}
  assert 'rl/linear-s3' in rows[0]['note']


def test_several_are_counted_by_role():
  document = judging.claims_document(
    tables(), {'failures': [lost(), lost(), lost('robust')]}, registry()
  )
  assert document['failed_runs'] == {'linear': 2, 'robust': 1}
  assert document['claims'][0]['note'].endswith('update 7) and 1 more')


def write_run(folder, role, stage, **files):
  folder.mkdir(parents=True)
  content = {'stage': stage, 'config': {}, 'row': {'role': role}}
  (folder / 'config.json').write_text(json.dumps(content))
  for name, value in files.items():
    (folder / f'{name}.json').write_text(json.dumps(value))


def test_runs_that_stopped_and_those_that_need_them_are_found(tmp_path):
  """pm stops; the policy that needs it, and what needs that, are lacking."""
  stopped = {'message': 'loss is not finite'}
  write_run(tmp_path / 'pm' / 'a', 'rl', 'train_pm', failed=stopped)
  write_run(tmp_path / 'pm' / 'b', 'rl', 'train_pm', done={'seconds': 1})
  write_run(
    tmp_path / 'pm' / 'c', 'rl', 'train_pm', done={}, failed=stopped
  )  # a later try went well
  job = lambda name, *needs, role='linear': {
    'name': name,
    'needs': needs,
    'module': 'experiments.train_ppo',
    'config': {'role': role},
  }
  planned = [job('x', 'rl/1'), job('rl/1', 'pm/a', 'pm/b'), job('rl/2', 'pm/b')]
  planned += [job('pm/a'), job('pm/b')]
  (tmp_path / 'jobs.json').write_text(json.dumps(planned))
  found = failures.find_failures(tmp_path)
  assert [(f['run'], f['role'], f['stage'], f['reason']) for f in found] == [
    ('pm/a', 'rl', 'train_pm', 'loss is not finite'),
    ('rl/1', 'linear', 'train_ppo', 'it needs pm/a'),
    ('x', 'linear', 'train_ppo', 'it needs rl/1'),
  ]


def test_a_study_without_failures_has_none(tmp_path):
  write_run(tmp_path / 'pm', 'rl', 'train_pm')
  (tmp_path / 'jobs.json').write_text('broken')
  assert failures.find_failures(tmp_path) == []
