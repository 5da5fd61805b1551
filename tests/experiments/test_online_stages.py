"""Stages of online training on models so small that they train in seconds."""

import jax
import numpy as np
import pandas as pd
import pytest
import tiny_stages as tiny

from experiments import compare_policies, make_tranche, train_ppo
from experiments.shared import comparisons
from experiments.shared.models import open_base
from rlhf_jax.train import about
from tests.test_configs import _config

# Every stage compiles programs of its own: minutes in all.
pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def root(tmp_path_factory):
  path = tmp_path_factory.mktemp('online')
  tiny.prepare(path)
  config = tiny.ppo(path, snapshots=[1])
  train_ppo.run(config, path / 'rl')
  return path


def tranche(root, **changes):
  return (
    _config('tranche', 'full_smoke')
    | tiny.CUT
    | {'comparisons_dir': f'{root}/comparisons', 'size': '3K'}
    | {'writer_dirs': [f'{root}/lm'], 'ranker_dir': f'{root}/pm'}
    | {'pairs': 60, 'test_pairs': 30, 'best_of': 4, 'sample_batch': 64}
    | changes
  )


def params(path):
  plain = {'size': '', 'pad_token': '', 'dtype': 'float32'}
  return open_base(plain | {'base': str(path)}).params


def test_a_snapshot_is_the_run_that_stops_there(root):
  kept = root / 'rl' / 'snapshots' / '1'
  assert about.read(kept).about.holds == 'policy'
  train_ppo.run(tiny.ppo(root, iterations=1), root / 'short')
  same = jax.tree.map(np.array_equal, params(kept), params(root / 'short'))
  assert all(jax.tree.leaves(same))
  last = jax.tree.map(np.array_equal, params(kept), params(root / 'rl'))
  assert not all(jax.tree.leaves(last))


def test_a_judge_prefers_the_best_of_four_by_its_own_scores(root):
  """The ranker and the judge are one model: its scores of best-of-4 replies.

  Each member of a pair is the best of four, so that their mean score lies above
  that of one sample, which best_of=1 writes.
  """
  judged = {'labels': 'judge', 'judge_dir': f'{root}/pm'}
  make_tranche.run(tranche(root, **judged), root / 'rs')
  one = tranche(root, best_of=1, ranker_dir='', **judged)
  make_tranche.run(one, root / 'one')
  for name in ('rs', 'one'):
    pairs = comparisons.load_pairs(root / name, 'train')
    assert len(pairs.kind_N) == 60
    assert ((pairs.p_label_N > 0) & (pairs.p_label_N < 1)).all()
  config = (
    _config('online', 'full_smoke')
    | tiny.CUT
    | {'comparisons_dir': f'{root}/comparisons', 'size': '3K'}
    | {'tranche_names': ['base', 'rs'], 'test_pairs': 30}
    | {'tranche_dirs': [f'{root}/one', f'{root}/rs']}
    | {'pm_names': ['final'], 'pm_dirs': [f'{root}/pm']}
    | {'writer_names': ['pi_0', 'early', 'final']}
    | {'writer_dirs': [f'{root}/{x}' for x in ('lm', 'rl/snapshots/1', 'rl')]}
    | {'prompts': 12, 'sample_batch': 16, 'eval_batch': 16}
  )
  compare_policies.run(config, root / 'policies')
  rows = pd.read_csv(root / 'policies' / 'tranche_pairs.csv.gz')
  score = rows['score_chosen'] + rows['score_rejected']
  mean = score.groupby(rows['tranche']).mean()
  assert mean['rs'] > mean['base'] and len(rows) == 60
  # The judge's probability of its choice is the sigmoid of its difference, to
  # what float32 and five digits of a score leave.
  odds = rows['p_label'] / (1 - rows['p_label'])
  difference = rows['score_chosen'] - rows['score_rejected']
  np.testing.assert_allclose(np.log(odds), difference, atol=2e-3)
  games = pd.read_csv(root / 'policies' / 'matches.csv')
  both = games.set_index(['player', 'opponent'])['win_rate']
  assert len(games) == 6
  assert both['pi_0', 'final'] + both['final', 'pi_0'] == pytest.approx(1)
  policies = pd.read_csv(root / 'policies' / 'online_policies.csv')
  assert list(policies['policy']) == ['pi_0', 'early', 'final']
  assert policies['accuracy'].between(0, 1).all()
