"""Heads of shares of pairs: what is counted, means of both kinds, errors."""

import math

import numpy as np
import pandas as pd
import pytest

from rlhf_jax.analysis import conversations, shares
from rlhf_jax.analysis.findings import NotRunError


def pairs(**right):
  """Rows of cross_pairs: two helpful pairs, then three harmless ones."""
  known = pd.DataFrame(
    {
      'pair_id': [f'p{i}' for i in range(5)],
      'prompt_id': ['a', 'b', 'c', 'c', 'd'],
      'subset': ['helpful'] * 2 + ['harmless'] * 3,
    }
  )
  frames = [
    known.assign(model=name, pairs=9, right=values)
    for name, values in right.items()
  ]
  return pd.concat(frames, ignore_index=True)


ENDS = [0.025, 0.975]
WHOLE = {
  '0/100': [0.0, 0.5, 1.0, 1.0, 0.0],
  '50/50': [1.0, 0.0, 1.0, 0.0, 0.0],
  '100/0': [1.0, 1.0, 0.0, 0.0, 0.0],
}


def test_both_kinds_weigh_the_same_and_what_is_lost_is_beside_its_own_kind():
  rows = pd.DataFrame(shares.rows(pairs(**WHOLE)))
  rows = rows.set_index(['share', 'subset'])
  assert list(rows['helpful'].unique()) == [0, 0.5, 1]
  own = rows.loc['50/50']
  assert own['accuracy'].tolist() == pytest.approx([1 / 2, 1 / 3, 5 / 12])
  assert own['lost'].tolist() == pytest.approx([1 / 2, 1 / 3, 5 / 12])
  assert own['n_eval'].tolist() == [2, 3, 5]
  assert rows.loc[('100/0', 'helpful'), 'lost'] == 0
  assert rows.loc[('0/100', 'helpful'), 'lost'] == pytest.approx(3 / 4)


def test_ends_are_those_of_a_loop_over_draws_of_conversations():
  given = pd.concat(
    pairs(**WHOLE).assign(
      pair_id=lambda x, i=i: x['pair_id'] + str(i),
      prompt_id=lambda x, i=i: x['prompt_id'] + str(i),
    )
    for i in range(12)
  )
  rows = pd.DataFrame(shares.rows(given)).set_index(['share', 'subset'])
  table = shares.right_table(given)
  lost, both = [], []
  for counts in conversations.counts(table['prompt_id']):
    level = {}
    for kind in ('helpful', 'harmless'):
      inside = counts * (table['subset'] == kind)
      level[kind] = np.average(table['50/50'], weights=inside)
      if kind == 'helpful':
        lost.append(np.average(table['100/0'], weights=inside) - level[kind])
    both.append(sum(level.values()) / 2)
  for name, subset, values in (
    ('lost', 'helpful', lost),
    ('accuracy', 'both', both),
  ):
    found = rows.loc[('50/50', subset), [f'{name}_low', f'{name}_high']]
    assert found.tolist() == pytest.approx(list(np.quantile(values, ENDS)))


def test_without_a_specialist_nothing_is_said_to_be_lost():
  given = {k: v for k, v in WHOLE.items() if k != '0/100'}
  rows = pd.DataFrame(shares.rows(pairs(**given)))
  rows = rows.set_index(['share', 'subset'])['lost']
  assert rows['50/50', 'helpful'] == pytest.approx(1 / 2)
  assert math.isnan(rows['50/50', 'harmless'])
  assert math.isnan(rows['50/50', 'both'])


def test_a_pair_that_a_share_did_not_score_is_left_out():
  given = pairs(**WHOLE)
  given = given[(given['model'] != '50/50') | (given['pair_id'] != 'p4')]
  table = shares.right_table(given)
  assert list(table.index) == ['p0', 'p1', 'p2', 'p3']
  assert list(table.columns[2:]) == ['0/100', '50/50', '100/0']


def test_no_shares_and_several_numbers_of_pairs_are_errors():
  with pytest.raises(NotRunError, match='no heads of shares'):
    shares.rows(pairs(mix=[1.0] * 5))
  more = pd.concat([pairs(**WHOLE), pairs(**WHOLE).assign(pairs=5)])
  with pytest.raises(NotRunError, match='at one number of pairs'):
    shares.rows(more)
