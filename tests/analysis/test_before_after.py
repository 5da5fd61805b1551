"""What a round changed: pairs that both judge, and gains of two runs."""

import math

import numpy as np
import pandas as pd
import pytest

from rlhf_jax.analysis import before_after


def scored(right, p_label=np.nan):
  """Pairs of both tranches; `right` {pm: {tranche: which pairs are right}}."""
  return pd.DataFrame(
    [
      {'pm': pm, 'tranche': tranche, 'pair_id': i, 'p_label': p_label}
      | {'score_chosen': 1.0 if good else -1.0, 'score_rejected': 0.0}
      for pm, own in right.items()
      for tranche, row in own.items()
      for i, good in enumerate(row)
    ]
  )


def test_the_change_of_accuracy_is_taken_pair_by_pair():
  """Of 4 pairs 2 are won and none lost: .5 +- 1.96 sqrt(1/3) / 2."""
  right = {
    'base_only': {'online': [1, 1, 0, 0], 'base': [1, 0]},
    'final': {'online': [1, 1, 1, 1], 'base': [1, 0]},
  }
  base, online = before_after.accuracies(scored(right))
  assert (online['before'], online['after'], online['n']) == (0.5, 1, 4)
  half = 1.96 * math.sqrt(1 / 3) / 2
  assert online['high'] - 0.5 == pytest.approx(half, rel=1e-3)
  assert base['change'] == 0 and base['low'] == base['high'] == 0
  assert 'people' in online['what'] and 'base' in base['what']


def test_without_pairs_of_people_there_is_no_row_of_them():
  right = {pm: {'base': [1, 0, 1]} for pm in ('base_only', 'final')}
  (row,) = before_after.accuracies(scored(right))
  assert row['n'] == 3


def curve(*gold, se=0.3):
  rows = [{'iteration': 8 * i, 'gold': x} for i, x in enumerate(gold)]
  return pd.DataFrame(rows).assign(gold_se=se).iloc[::-1]


def test_gains_are_over_pi_0_and_their_errors_add():
  curves = curve(1.0, 9.0, 2.0), curve(1.0, 4.0, se=0.4)
  (row,) = before_after.gains(*curves, 64)
  assert row['n'] == 64
  assert (row['before'], row['after'], row['change']) == (1, 3, 2)
  assert row['high'] - row['change'] == pytest.approx(1.96 * 0.5, rel=1e-4)
  assert before_after.gains(curve(1.0, np.nan), curve(1.0, 2.0), 64) == []


def test_who_is_preferred_is_read_off_the_matches():
  rows = [('final', 'base_only', 0.6), ('base_only', 'final', 0.4)]
  rows += [('final', 'pi_0', 0.9)]
  games = pd.DataFrame(rows, columns=['player', 'opponent', 'win_rate'])
  (row,) = before_after.preferred(games.assign(games=64))
  assert (row['before'], row['after'], row['n']) == (0.4, 0.6, 64)
  assert before_after.preferred(games.assign(games=64, win_rate=np.nan)) == []
