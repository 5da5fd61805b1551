import math

import numpy as np
import pytest

from rlhf_jax.analysis import elo


def games(rng, ratings, n):
  p = elo.win_rate_from_elo(ratings[:, None] - ratings[None, :])
  wins = np.zeros_like(p)
  for i in range(len(ratings)):
    for j in range(i):
      wins[i, j] = rng.binomial(n, p[i, j])
      wins[j, i] = n - wins[i, j]
  return wins


def test_hundred_elo_are_64_percent():
  """An Elo gap of 100 is 64 % of wins, both ways (checklist 88)."""
  assert elo.win_rate_from_elo(100) == pytest.approx(0.640, abs=5e-4)
  assert elo.elo_from_win_rate(0.640065) == pytest.approx(100, abs=1e-3)
  fit = elo.fit_elo([[0, 64.0065], [35.9935, 0]])
  assert fit.difference(0, 1)[0] == pytest.approx(100, abs=1e-2)
  assert elo.elo_from_win_rate(0.5) == 0
  assert elo.elo_from_win_rate(1.0) == math.inf
  with pytest.raises(ValueError, match='win rate'):
    elo.elo_from_win_rate(1.2)


def test_naive_elo_is_174_a_unit():
  assert elo.naive_elo(1.0) == pytest.approx(173.7178, abs=1e-4)


def test_strengths_are_recovered():
  """The BT fit recovers known strengths (checklist 88)."""
  true = np.array([-150.0, -20.0, 50.0, 120.0])
  fit = elo.fit_elo(games(np.random.default_rng(0), true, 20_000))
  np.testing.assert_allclose(fit.rating_N, true, atol=6)
  assert fit.rating_N.sum() == pytest.approx(0, abs=1e-9)


def test_two_players_by_hand():
  fit = elo.fit_elo([[0, 30], [10, 0]])
  difference, error = fit.difference(0, 1)
  assert difference == pytest.approx(400 * math.log10(3))
  # Variance of a log-odds: 1 / 30 + 1 / 10.
  assert error == pytest.approx(elo.ELO_PER_LOGIT * math.sqrt(1 / 30 + 1 / 10))


def test_ties_count_half():
  """Ties are handled: half a win each (checklist 88)."""
  with_ties = elo.fit_elo([[0, 20], [10, 0]], [[0, 10], [10, 0]])
  plain = elo.fit_elo([[0, 25], [15, 0]])
  np.testing.assert_allclose(with_ties.rating_N, plain.rating_N)
  only_ties = elo.fit_elo(np.zeros((2, 2)), [[0, 8], [8, 0]])
  np.testing.assert_allclose(only_ties.rating_N, 0, atol=1e-9)


def test_intervals_cover_95_percent():
  """The Hessian's intervals cover the truth (checklist 88)."""
  rng = np.random.default_rng(1)
  true = np.array([0.0, 60.0, 100.0])
  cover = []
  for _ in range(400):
    difference, error = elo.fit_elo(games(rng, true, 200)).difference(2, 0)
    cover.append(abs(difference - 100) < 1.96 * error)
  assert 0.92 < np.mean(cover) < 0.98


def test_a_player_that_never_loses_has_no_elo():
  with pytest.raises(ValueError, match='no chain of wins'):
    elo.fit_elo([[0, 5], [0, 0]])
