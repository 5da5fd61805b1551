"""Gaps at equal gain, divergence, and a jackknifed ratio of variances."""

import math

import numpy as np
import pandas as pd
import pytest

from rlhf_jax.analysis import intervals, pm_sizes


def curve(gap, gain):
  samples = np.arange(len(gap))
  return pd.DataFrame({'samples': samples, 'gap': gap, 'train_gain': gain})


def test_the_gap_is_read_where_the_gain_is_first_reached():
  """Half way between the gains 1 and 3 the gap is .5."""
  found = curve([0.0, 0.2, 0.8, 5.0], [0.0, 1.0, 3.0, 2.0])
  assert pm_sizes.gap_at(found, 2.0) == pytest.approx(0.5 / 2)
  assert pm_sizes.gap_at(found, 1.0) == pytest.approx(0.2)
  assert math.isnan(pm_sizes.gap_at(found, 3.5))
  assert math.isnan(pm_sizes.gap_at(found, 0.0))


def test_a_run_diverges_where_the_gap_stays_above_a_tenth_of_the_gain():
  gain = np.linspace(0, 1, 11)
  gap = 0.05 * gain
  assert pm_sizes.diverged_at(curve(gap, gain)) == 1.0
  gap[4] = 0.5  # once, and back
  gap[7:] = 0.5
  assert pm_sizes.diverged_at(curve(gap, gain)) == pytest.approx(0.7)
  assert pm_sizes.diverged_at(curve(gain, gain)) == pytest.approx(0.1)


def test_the_jackknife_is_that_of_a_loop():
  rng = np.random.default_rng(0)
  a, b = rng.standard_normal((2, 8))
  whole = math.log(a.var(ddof=1) / b.var(ddof=1))
  for i, value in enumerate(pm_sizes.jackknife_log_ratio(a, b)):
    left = np.delete(a, i).var(ddof=1) / np.delete(b, i).var(ddof=1)
    assert value == pytest.approx(8 * whole - 7 * math.log(left))
  assert np.isnan(pm_sizes.jackknife_log_ratio(a[:2], b[:2])).all()


def test_its_interval_covers_the_true_ratio():
  """Normal values, eight pairs: about 95 %, as the jackknife promises."""
  rng, inside = np.random.default_rng(1), 0
  for _ in range(400):
    a, b = 2 * rng.standard_normal(8), rng.standard_normal(8)
    found = intervals.t_interval(pm_sizes.jackknife_log_ratio(a, b))
    inside += found.low <= math.log(4) <= found.high
  assert 0.88 <= inside / 400 <= 0.99
