import math

import numpy as np
import pandas as pd
import pytest

from rlhf_jax.analysis import kl_reward


def run_of(gain, root, se=0.01, s0=0.0):
  root = np.asarray(root, float)
  return pd.DataFrame(
    {
      'samples': np.arange(len(root)),
      'kl': root**2,
      'kl_se': se,
      'train_pm': s0 + gain(root),
    }
  )


def test_the_window_starts_above_the_noise_and_ends_at_3_5():
  run = run_of(lambda x: x, np.linspace(0, 5, 51), se=0.1)
  root = np.sqrt(kl_reward.early_window(run)['kl'])
  # KL > 0.3 means sqrt(KL) > 0.548; the grid has steps of 0.1.
  assert root.min() == pytest.approx(0.6)
  assert root.max() == pytest.approx(3.5)


def test_the_window_does_not_reopen_when_the_kl_falls_back():
  run = run_of(lambda x: x, [0, 1, 2, 4, 2, 1])
  assert list(np.sqrt(kl_reward.early_window(run)['kl'])) == [1, 2]


@pytest.mark.parametrize(
  'root', [np.linspace(0.5, 3, 7), np.linspace(1.5, 3.4, 30)]
)
def test_a_short_window_gives_nothing(root):
  fit = kl_reward.fit_window(run_of(lambda x: x, root), 'train_pm', 0.0)
  assert not fit.usable
  assert math.isnan(fit.r2)
  assert fit.best == 'none'


@pytest.mark.parametrize(
  ('power', 'best', 'p'), [(1, 'sqrt', 0.5), (2, 'kl', 1.0)]
)
def test_the_fit_recovers_the_law(power, best, p):
  rng = np.random.default_rng(0)
  root = np.linspace(0, 3.5, 30)
  noise = 0.01 * rng.standard_normal(30)
  run = run_of(lambda x: 0.4 * x**power + noise, root, s0=0.7)
  fit = kl_reward.fit_window(run, 'train_pm', 0.7)
  assert fit.best == best
  assert fit.p == pytest.approx(p, abs=0.03)
  assert (abs(fit.bow) < 0.01) == (power == 1)
  if power == 1:
    assert fit.slope == pytest.approx(0.4, abs=0.01)
    assert fit.r2 > 0.99


def test_log_kl_can_win():
  run = run_of(lambda x: 1 + 0.3 * np.log(x + 1e-9), np.linspace(0.3, 3.5, 30))
  assert kl_reward.fit_window(run, 'train_pm', 0.0).best == 'log'


def test_the_theory_slope_is_that_of_an_exponential_tilt():
  """Policies pi_0 exp(b r) on enumerable prompts gain sqrt(2 V KL)."""
  rng = np.random.default_rng(0)
  pi0 = rng.dirichlet(np.ones(40), size=25)
  reward = rng.standard_normal((25, 40))
  mean = (pi0 * reward).sum(1, keepdims=True)
  variance = (pi0 * (reward - mean) ** 2).sum(1).mean()
  for b in (0.05, 0.2):
    tilt = pi0 * np.exp(b * reward)
    tilt /= tilt.sum(1, keepdims=True)
    kl = (tilt * np.log(tilt / pi0)).sum(1).mean()
    gain = ((tilt - pi0) * reward).sum(1).mean()
    slope = gain / math.sqrt(kl)
    assert slope == pytest.approx(kl_reward.theory_slope(variance), rel=0.01)


def test_the_spread_of_slopes_by_hand():
  wanted = np.std([0.4, 0.4, 1.2], ddof=1) / np.mean([0.4, 0.4, 1.2])
  assert kl_reward.slope_spread([0.4, 0.4, 1.2]) == pytest.approx(wanted)
  assert kl_reward.slope_spread([-0.5, -0.5]) == 0
  assert math.isnan(kl_reward.slope_spread([0.4, math.nan, 0.4]))


def test_forecast_error_by_hand():
  run = run_of(lambda x: 0.5 * x, np.linspace(0, 3.5, 36), s0=0.3)
  error = kl_reward.forecast_error(0.6, 0.3, run)
  assert error == pytest.approx(0.2)
  assert kl_reward.forecast_error(0.5, 0.3, run) == pytest.approx(0)
  assert math.isnan(kl_reward.forecast_error(0.5, 0.3, run[:5]))


def test_gains_are_over_pi0_and_their_intervals_by_hand():
  """sqrt(KL) has the interval of the delta method; pi_0 itself has none."""
  run = run_of(lambda x: x, [0.0, 2.0], se=[0.0, 0.4], s0=0.5)
  run['iteration'], run['entropy'] = [0, 1], 3.0
  run['train_pm_se'], run['test_pm'], run['test_pm_se'] = 0.1, 0.25, 0.2
  run['gold'] = run['gold_se'] = None
  pi0 = pd.DataFrame({'scorer': ['train', 'test'], 'mean': [0.5, 1.0]})
  table = kl_reward.gains(run, pi0)
  first, last = (table.iloc[i] for i in (0, 1))
  assert last['train_gain'] == pytest.approx(2.0)
  assert last['train_gain_high'] == pytest.approx(2.0 + 1.96 * 0.1)
  assert last['test_gain_low'] == pytest.approx(-0.75 - 1.96 * 0.2)
  assert last['kl_low'] == pytest.approx(4.0 - 1.96 * 0.4)
  assert last['sqrt_kl_high'] == pytest.approx(2.0 + 1.96 * 0.1)
  assert first['sqrt_kl_low'] == first['sqrt_kl'] == first['kl_high'] == 0
  assert 'gold_gain' not in table
