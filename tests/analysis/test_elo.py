import math

import numpy as np
import pytest
from scipy import optimize

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


def test_players_who_cannot_be_rated_are_named():
  """Isolated, unbeaten, without a win: each by its own name."""
  names = ['pi_0', 'early', 'late', 'idle']
  wins = np.zeros((4, 4))
  wins[1, 0], wins[0, 1], wins[2, 0], wins[2, 1] = 3, 2, 4, 5
  with pytest.raises(ValueError, match='late is unbeaten') as error:
    elo.fit_elo(wins, names=names)
  assert 'idle is isolated' in str(error.value)
  wins[3, 0] = wins[3, 2] = 0
  wins[0, 3], wins[0, 2] = 1, 1
  with pytest.raises(ValueError, match='idle is without a win'):
    elo.fit_elo(wins, names=names)


def test_two_groups_that_never_met_have_no_elo():
  """Nobody is isolated or unbeaten, and still there is no maximum."""
  wins = np.zeros((4, 4))
  wins[0, 1] = wins[1, 0] = wins[2, 3] = wins[3, 2] = 5
  with pytest.raises(ValueError, match='from player 0 to player 2;'):
    elo.fit_elo(wins)


def test_the_fit_maximises_the_likelihood_as_scipy_does():
  """A general optimiser on the likelihood as it is written."""
  wins = games(np.random.default_rng(2), np.array([-80.0, 0.0, 10.0, 70.0]), 50)

  def loss(rating_N):
    margin_NN = rating_N[:, None] - rating_N[None, :]
    return (wins * np.log1p(np.exp(-margin_NN))).sum()

  theirs = optimize.minimize(loss, np.zeros(4), tol=1e-12).x
  ours = elo.fit_elo(wins)
  assert ours.converged
  want = elo.ELO_PER_LOGIT * (theirs - theirs.mean())
  np.testing.assert_allclose(ours.rating_N, want, atol=1e-2)


def test_a_fit_that_stops_early_says_so(monkeypatch):
  """Without steps the slope of the likelihood is not 0."""
  monkeypatch.setattr(elo, 'STEPS', 0)
  assert not elo.fit_elo([[0, 30], [10, 0]]).converged


def test_the_bootstrap_agrees_with_the_hessian_on_independent_games():
  """And finds more where each prompt's games all end alike.

  200 games a pair; 200 draws know a standard deviation to 5 % (one in 20 is
  off by more than 10 %).
  """
  rng = np.random.default_rng(3)
  true = np.array([0.0, 40.0, 80.0])
  units = np.stack([games(rng, true, 1) for _ in range(200)])
  exact = elo.fit_elo(units.sum(0)).difference(2, 0)[1]
  draws = elo.bootstrap_elo(units, np.random.default_rng(0))
  assert draws.failed == 0 and draws.rating_DN.shape == (200, 3)
  assert draws.error(2, 0) == pytest.approx(exact, rel=0.2)
  alike = np.repeat(units[:50], 4, axis=0)[:200]
  blocks = alike.reshape(50, 4, 3, 3).sum(1)
  draws = elo.bootstrap_elo(blocks, np.random.default_rng(0))
  exact = elo.fit_elo(blocks.sum(0)).difference(2, 0)[1]
  assert draws.error(2, 0) > 1.5 * exact  # sqrt(4) = 2 without chance


def test_draws_without_a_fit_are_counted():
  """Of two prompts one must be drawn each, or somebody is unbeaten."""
  units = np.array([[[0, 1], [0, 0]], [[0, 0], [1, 0]]], float)
  draws = elo.bootstrap_elo(units, np.random.default_rng(0), 400)
  assert draws.failed + len(draws.rating_DN) == 400
  assert draws.failed == pytest.approx(200, abs=40)
  np.testing.assert_allclose(draws.rating_DN, 0, atol=1e-9)


def test_mean_ratings_are_the_margins_where_these_add_up():
  score_N = np.array([0.0, 0.5, 2.0])
  margin_NN = score_N[:, None] - score_N[None, :]
  games_NN = np.array([[9, 3, 0], [3, 9, 5], [0, 5, 9]])
  margin_NN[0, 2] = margin_NN[2, 0] = np.nan  # they did not meet
  found = elo.mean_ratings(margin_NN, games_NN)
  np.testing.assert_allclose(found, score_N - score_N.mean())


def test_mean_ratings_weigh_margins_by_their_games_as_least_squares_does():
  margin_NN = np.array([[0, -1.0, -2.0], [1.0, 0, -4.0], [2.0, 4.0, 0]])
  games_NN = np.array([[0, 10, 20], [10, 0, 40], [20, 40, 0]])
  rows, weighted = [], []
  for i, j in ((0, 1), (0, 2), (1, 2)):
    root = np.sqrt(games_NN[i, j])
    rows.append(root * (np.eye(3)[i] - np.eye(3)[j]))
    weighted.append(root * margin_NN[i, j])
  want = np.linalg.lstsq(np.array(rows), np.array(weighted), rcond=None)[0]
  found = elo.mean_ratings(margin_NN, games_NN)
  np.testing.assert_allclose(found, want - want.mean(), atol=1e-12)
