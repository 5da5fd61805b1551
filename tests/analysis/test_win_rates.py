"""Win rates and their control of length."""

import math

import numpy as np
import pytest
from scipy import optimize
from scipy.special import expit, logit

from rlhf_jax.analysis import win_rates


def games(theta, phi, count=4000, seed=0):
  rng = np.random.default_rng(seed)
  difference_N = rng.normal(200, 300, count)
  term_N = np.tanh(difference_N / difference_N.std())
  win_N = rng.random(count) < expit(theta + phi * term_N)
  return win_N.astype(float), difference_N


def test_the_fit_is_the_minimum_that_scipy_finds():
  win_N, difference_N = games(0.4, 1.2, 200)
  win_N[:20] = 0.5
  term_N = win_rates.length_term(difference_N)
  weight_N = np.random.default_rng(1).integers(0, 4, 200).astype(float)

  def lost(x):
    p_N = expit(x[0] + x[1] * term_N)
    like = win_N * np.log(p_N) + (1 - win_N) * np.log(1 - p_N)
    return -(weight_N @ like) + win_rates.PENALTY * (x @ x) / 2

  wanted = optimize.minimize(lost, np.zeros(2), tol=1e-12).x
  found = win_rates.fit_length(win_N, term_N, weight_N[None])[0]
  np.testing.assert_allclose(found, wanted, atol=1e-5)  # of BFGS's gradient


def test_a_model_that_wins_by_length_alone_has_half_when_it_is_controlled():
  """Its replies are longer, and theta is 0.

  Of 4,000 games 4 s.e. of a share are .031, those of the controlled one .05.
  """
  win_N, difference_N = games(0.0, 2.0)
  found = win_rates.rates(win_N, difference_N, np.arange(4000), draws=200)
  plain = expit(2.0 * win_rates.length_term(difference_N)).mean()
  assert plain > 0.6
  assert found['win_rate'].mean == pytest.approx(plain, abs=0.031)
  assert found['length_controlled'].mean == pytest.approx(0.5, abs=0.05)
  ends = found['length_controlled']
  assert ends.low < 0.5 < ends.high and ends.n == 4000


def test_without_length_both_rates_are_one():
  """All replies as long: the penalty moves theta by .01 / 12 or so."""
  win_N = np.repeat([1.0, 0.0, 0.5], [30, 15, 5])
  found = win_rates.rates(win_N, np.zeros(50), np.arange(50), draws=50)
  rate = 32.5 / 50
  assert found['win_rate'].mean == pytest.approx(rate)
  theta = logit(found['length_controlled'].mean)
  assert theta == pytest.approx(logit(rate), abs=2e-3)


def test_a_model_that_never_loses_has_a_finite_rate():
  found = win_rates.rates(np.ones(20), np.arange(20), np.arange(20), draws=20)
  assert 0.95 < found['length_controlled'].mean < 1
  assert found['win_rate'].low == found['win_rate'].mean == 1


def test_games_of_one_prompt_are_drawn_together():
  """Ten copies of each game say no more than the game itself."""
  win_N, difference_N = games(0.0, 0.5, 60)
  once = win_rates.rates(win_N, difference_N, np.arange(60))
  copies = np.repeat(np.arange(60), 10)
  ten = win_rates.rates(win_N[copies], difference_N[copies], copies)
  for end in ('mean', 'low', 'high'):
    assert getattr(ten['win_rate'], end) == pytest.approx(
      getattr(once['win_rate'], end)
    )


def test_no_game_has_no_rate():
  found = win_rates.rates([], [], [])
  assert math.isnan(found['win_rate'].mean) and found['win_rate'].n == 0
