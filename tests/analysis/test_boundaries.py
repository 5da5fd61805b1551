"""What lies on a bound: of verdicts, windows, counts and levels."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from rlhf_jax.analysis import (
  bounded,
  bows,
  gain_bound,
  gold_forms,
  intervals,
  kl_reward,
  pm_sizes,
)
from rlhf_jax.analysis.claims import best_of_n, pretraining
from rlhf_jax.analysis.findings import NotRunError
from rlhf_jax.analysis.intervals import Contrast, Interval
from tests.analysis import loops, small

NEAR = 1e-12  # less than what is called rounding, 1e-9


def judged(low, high, side, bound):
  interval = Interval((low + high) / 2, low, high, 3)
  return intervals.verdict([Contrast('x', interval, bound, side)])


@pytest.mark.parametrize(
  ('low', 'high', 'side', 'bound', 'wanted'),
  [
    # A margin is closed: an end on it is inside, an interval that only
    # touches it from outside is not beyond it.
    (-0.02, 0.02, 'inside', (-0.02, 0.02), 'pass'),
    (-0.03, -0.02, 'inside', (-0.02, 0.02), 'inconclusive'),
    (0.02, 0.03, 'inside', (-0.02, 0.02), 'inconclusive'),
    # 'above' is not met by rounding, 'at least' is.
    (0.5 + NEAR, 0.6, '>', 0.5, 'inconclusive'),
    (0.5 + 1e-8, 0.6, '>', 0.5, 'pass'),
    (0.4, 0.5 - NEAR, '<', 0.5, 'inconclusive'),
    (0.4, 0.5 - 1e-8, '<', 0.5, 'pass'),
    (0.5 - NEAR, 0.6, '>=', 0.5, 'pass'),
    (0.5 - 1e-8, 0.6, '>=', 0.5, 'inconclusive'),
    (0.4, 0.5 + NEAR, '<=', 0.5, 'pass'),
    (0.4, 0.5 + 1e-8, '<=', 0.5, 'inconclusive'),
    # What ends within rounding of its bound has not failed.
    (0.4, 0.5 - NEAR, '>', 0.5, 'inconclusive'),
    (0.4, 0.5 - 1e-8, '>', 0.5, 'fail'),
    (0.5 + NEAR, 0.6, '<', 0.5, 'inconclusive'),
    (0.5 + 1e-8, 0.6, '<=', 0.5, 'fail'),
    # One end alone that is not known says nothing.
    (math.nan, 0.4, '>', 0.5, 'inconclusive'),
    (0.6, math.nan, '>', 0.5, 'inconclusive'),
    (0.6, math.inf, '>', 0.5, 'pass'),
    (-math.inf, 0.4, '>', 0.5, 'fail'),
  ],
)
def test_an_interval_that_ends_on_its_bound(low, high, side, bound, wanted):
  assert judged(low, high, side, bound) == wanted


def test_an_infinite_value_has_no_mean_of_seeds():
  """A refit of separable data is infinite: its seed is no small one."""
  for value in (math.inf, -math.inf):
    found = intervals.t_interval([1.0, value, 2.0])
    assert math.isnan(found.mean) and found.n == 3


@pytest.mark.parametrize('level', [0.5, 0.9, 0.99])
def test_the_level_reaches_every_interval(level):
  """Student's t of four seeds, on each scale, beside scipy's."""
  value_N = np.array([0.2, 0.5, 0.4, 0.6])

  def ends(z_N):
    error = stats.sem(z_N)
    return stats.t.interval(level, 3, np.mean(z_N), error)

  found = intervals.t_interval(value_N, level)
  assert (found.low, found.high) == pytest.approx(ends(value_N))
  for interval, there, back in (
    (bounded.log_mean, np.log, np.exp),
    (
      bounded.logit_mean,
      lambda p: np.log(p / (1 - p)),
      lambda z: 1 / (1 + np.exp(-z)),
    ),
    (
      bounded.fisher,
      lambda r: np.arctanh(np.sqrt(r)),
      lambda z: np.tanh(np.maximum(z, 0)) ** 2,
    ),
  ):
    found = interval(value_N, level)
    wanted = [back(end) for end in ends(there(value_N))]
    assert [found.low, found.high] == pytest.approx(wanted)
  low = stats.beta.ppf((1 - level) / 2, 3, 2)
  assert bounded.share([1, 1, 0, 1], level).low == pytest.approx(low)
  wilson = stats.binomtest(7, 9).proportion_ci(level, 'wilson')
  found = intervals.wilson_interval(7, 9, level)
  assert (found.low, found.high) == pytest.approx(tuple(wilson))
  draw_DN = np.random.default_rng(0).integers(9, size=(bounded.DRAWS, 9))
  wide = math.sqrt(9 / 8) * stats.t.ppf((1 + level) / 2, 8)
  tail = stats.norm.cdf(-wide)
  wanted = np.quantile(draw_DN.mean(1), [tail, 1 - tail])
  found = bounded.bootstrap_mean(np.arange(9.0), (0, 9), level)
  assert (found.low, found.high) == pytest.approx(tuple(wanted))


def window(root_N, error=0.0):
  """A run of slope .5 from 1."""
  root_N = np.asarray(root_N, float)
  columns = {'samples': np.arange(len(root_N)), 'kl': root_N**2}
  columns |= {'kl_se': error, 'train_pm': 1 + root_N / 2}
  return pd.DataFrame(columns)


def test_eight_points_over_ten_times_in_kl_are_a_window():
  whole = np.sqrt(np.linspace(1, 10, 8))
  fit = kl_reward.fit_window(window(whole), 'train_pm', 1.0)
  assert fit.slope == pytest.approx(0.5) and fit.n_points == 8
  assert fit.span == pytest.approx(10)
  short = kl_reward.fit_window(window(whole[:-1]), 'train_pm', 1.0)
  assert not short.usable and short.n_points == 7
  near = np.sqrt(np.linspace(1, 9.99, 8))
  assert not kl_reward.fit_window(window(near), 'train_pm', 1.0).usable


def test_a_window_takes_what_is_above_its_error_and_the_end_itself():
  """KL of exactly three errors is not above them; 3.5 is not beyond 3.5."""
  run = window([0.0, 1.0, 1.5, 3.5, 3.6, 2.0], error=1 / 3)
  assert list(np.sqrt(kl_reward.early_window(run)['kl'])) == [1.5, 3.5]
  late_first = run[::-1]
  assert list(np.sqrt(kl_reward.early_window(late_first)['kl'])) == [1.5, 3.5]


def test_three_regressors_have_the_information_of_their_residuals():
  """n ln(SS / n) + 2 (K + 1): one slope from s0, or a line on log KL."""
  rng = np.random.default_rng(0)
  run = window(np.sqrt(np.linspace(0.5, 12, 12)))
  run['train_pm'] += 0.1 * rng.standard_normal(12)
  fit = kl_reward.fit_window(run, 'train_pm', 1.0)
  kl_N, gain_N = run['kl'].tolist(), (run['train_pm'] - 1).tolist()
  wanted = {}
  for name, x_N in (('sqrt', [k**0.5 for k in kl_N]), ('kl', kl_N)):
    slope = sum(x * y for x, y in zip(x_N, gain_N, strict=True))
    slope /= sum(x**2 for x in x_N)
    left = sum((y - slope * x) ** 2 for x, y in zip(x_N, gain_N, strict=True))
    wanted[name] = 12 * math.log(left / 12) + 4
  x_N = [math.log(k) for k in kl_N]
  slope, level = loops.slope(x_N, gain_N), loops.mean(gain_N)
  middle = loops.mean(x_N)
  left = sum(
    (y - level - slope * (x - middle)) ** 2
    for x, y in zip(x_N, gain_N, strict=True)
  )
  wanted['log'] = 12 * math.log(left / 12) + 6
  assert fit.aic == pytest.approx(wanted)


def test_a_forecast_is_matched_from_1_25_to_2_5_with_both_ends():
  run = window([1.0, 1.25, 2.5, 2.75])
  run['train_pm'] = [9.0, 2.0, 4.0, 9.0]
  # Gains 1 and 3; slope 1 says 1.25 and 2.5.
  found = kl_reward.forecast_error(1.0, 1.0, run)
  assert found == pytest.approx((0.25 + 0.5) / 4)
  assert math.isnan(kl_reward.forecast_error(1.0, 3.0, run))  # no mean gain


def test_a_bow_needs_six_points_and_the_first_of_ten_times_in_kl():
  edge = pd.DataFrame({'kl': [0.01, 16.0], 'gain': [0.1, 4.0]})
  root_N = np.sqrt(np.linspace(1, 10, 6))
  six = bows.matched_bows(window(root_N).assign(gain=root_N), 'gain', edge)
  assert six == pytest.approx((0, 0), abs=1e-9)
  five = window(root_N[1:]).assign(gain=root_N[1:])
  assert np.isnan(bows.matched_bows(five, 'gain', edge)).all()
  assert math.isnan(bows.bow_from_origin([1.0, 2.0, 3.0], [0.0, 0.0, 0.0]))


@pytest.mark.parametrize(('points', 'measured'), [(3, False), (4, True)])
def test_four_checkpoints_are_judged_by_a_bound(points, measured):
  b_N = np.linspace(0.5, 4, 8)
  table = pd.DataFrame({'b': b_N, 'log_mgf': b_N**2 / 2, 'ess': 20.0})
  run = window(np.linspace(1, 2, points))
  found = gain_bound.window_excess(run, 1.0, table)
  assert math.isfinite(found['excess']) == measured
  first = table.iloc[5:]  # all b too large: a lower bound lies below them
  found = gain_bound.window_excess(run, 1.0, first)
  assert math.isnan(found['excess'])


def test_six_points_off_pi_0_have_a_form():
  d_N = np.linspace(1, 2, 6)
  kl_N, gain_N = np.append(0, d_N**2), np.append(0, d_N * (1 - 0.2 * d_N))
  assert gold_forms.fit_forms(kl_N, gain_N, 'best_of_n')[
    'beta'
  ] == pytest.approx(0.2)
  five = gold_forms.fit_forms(kl_N[:-1], gain_N[:-1], 'best_of_n')
  assert math.isnan(five['beta'])


@pytest.mark.parametrize(('last', 'bends'), [(128, False), (256, True)])
def test_eight_values_of_n_have_a_bow(last, bends):
  n_N = np.array([2**k for k in range(1, 9) if 2**k <= last])
  rows = pd.DataFrame({'kl': np.log(n_N) - (n_N - 1) / n_N})
  found = best_of_n.reward_bow(rows.assign(gain=rows['kl'] ** 0.6))
  assert found == pytest.approx(1) if bends else math.isnan(found)
  late = rows.assign(kl=rows['kl'] + 1)  # 5.5 / 1.2: less than ten times
  assert math.isnan(best_of_n.reward_bow(late.assign(gain=late['kl'])))


def test_a_gap_of_just_a_tenth_of_the_gain_is_no_divergence():
  gain_N = np.linspace(0, 8, 9)
  curve = pd.DataFrame({'samples': np.arange(9), 'train_gain': gain_N})
  level = pm_sizes.diverged_at(curve.assign(gap=0.1 * gain_N))
  above = pm_sizes.diverged_at(curve.assign(gap=0.1 * gain_N + 1e-9))
  assert (level, above) == (1.0, 0.125)


def after(*pairs):
  """Rows of pm_curve, tagged pretraining .1 above none."""
  return loops.frames(
    {
      'pm_curve': [
        {'role': role, 'seed': seed, 'pairs': n, 'eval_subset': 'mix'}
        | {'expected_accuracy': 0.5 + n / 1e5 + more + seed * more}
        for role, more in (('after_none', 0), ('after_binary', 0.1))
        for seed in small.SEEDS
        for n in pairs
      ]
    }
  )


def test_500_pairs_are_400_to_600_and_10_000_are_at_least_so_many():
  few = lambda *pairs: pretraining._few(pretraining.accuracies(after(*pairs)))
  assert few(399, 400) == 400 and few(600, 601) == 600
  assert few(400, 500) == 500  # of several the largest
  with pytest.raises(NotRunError, match='wanted 500 or so'):
    few(399, 601)
  many = lambda *pairs: pretraining._many(pretraining.accuracies(after(*pairs)))
  assert many(500, 10_000, 20_000) == 20_000 and many(10_000) == 10_000
  with pytest.raises(NotRunError, match='wanted 10,000 as well'):
    many(500, 9_999)
  found = pretraining.helps_most_with_few(after(500, 10_000))
  ends = small.ends(found, 'gain_many')
  assert ends == pytest.approx(small.interval([0.1, 0.2, 0.3]))
