"""Ladders of snapshots and the gap of Elo, on games whose answer is known."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from rlhf_jax.analysis import elo, games

NAMES = ['pi_0', '@2', '@4']
SCORES = {'pi_0': -1.0, '@2': 0.0, '@4': 1.0}


def played(gold=1.0, choice=1.0, margin=1.0, n=1e6, scores=None):
  """Rows of snapshot_games with ratings so many times the scores.

  Wins are their expectation, so that a fit has no noise.
  """
  scores, rows = scores or SCORES, []
  for a in scores:
    for b in scores:
      if a == b:
        continue
      step = scores[a] - scores[b]
      row = {'player': a, 'opponent': b, 'games': n}
      row |= {'wins': n * expit(gold * step)}
      row |= {'pm_wins': n * expit(choice * step)}
      rows.append(row | {'train_margin': margin * step})
  return pd.DataFrame(rows)


def snapshots():
  rows = [
    {'player': name, 'iteration': 2 * i, 'train_pm': score}
    for i, (name, score) in enumerate(SCORES.items())
  ]
  return pd.DataFrame(rows[::-1])


def test_a_ladder_starts_at_pi_0_and_has_three_ratings():
  found = games.ladder(played(gold=0.5, choice=0.8, margin=2.0), NAMES)
  step_N = np.array([0.0, 1.0, 2.0]) * elo.ELO_PER_LOGIT
  assert found.names == tuple(NAMES) and found.converged
  np.testing.assert_allclose(found.gold, 0.5 * step_N, atol=1e-6)
  np.testing.assert_allclose(found.choices, 0.8 * step_N, atol=1e-6)
  np.testing.assert_allclose(found.margins, 2.0 * step_N, atol=1e-6)
  assert found.gold_se[0] == 0 and found.gold_se[2] > 0


def test_a_slope_of_1_is_174_elo_a_unit():
  score_N = np.array([0.0, 1.0, 2.0])
  assert games.slope(score_N, 173.7178 * score_N) == pytest.approx(1, rel=1e-6)
  assert games.slope(score_N + 5, 80 * score_N) == pytest.approx(80 / 173.7178)


def test_the_gap_is_that_of_the_last_snapshot():
  found = games.gap(snapshots(), played(gold=0.25, choice=0.5, margin=0.75))
  top = 2 * elo.ELO_PER_LOGIT
  assert found.naive == pytest.approx(top)
  assert found.mean == pytest.approx(0.75 * top)
  assert found.choices == pytest.approx(0.5 * top)
  assert found.gold == pytest.approx(0.25 * top)


def test_a_snapshot_that_always_wins_is_named():
  frame = played()
  frame.loc[frame['opponent'] == '@4', 'wins'] = 0
  with pytest.raises(ValueError, match='@4 is unbeaten'):
    games.ladder(frame, NAMES)


def test_players_stand_in_the_order_of_training():
  assert games.order(snapshots()) == NAMES
