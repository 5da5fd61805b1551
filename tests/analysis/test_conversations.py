"""Intervals over conversations: twins in loops, and what they cover."""

import math

import numpy as np
import pandas as pd
import pytest

from rlhf_jax.analysis import conversations as over

GROUP = np.array([4, 4, 7, 9, 9, 9])


def test_a_draw_has_as_many_conversations_and_all_pairs_of_each():
  counts = over.counts(GROUP, 50)
  for row in counts:
    by_group = {g: set(row[GROUP == g]) for g in set(GROUP)}
    assert all(len(n) == 1 for n in by_group.values())
    assert sum(n.pop() for n in by_group.values()) == 3
  assert counts.std(0).min() > 0


def test_means_of_draws_are_those_of_repeated_rows_without_what_is_missing():
  x = np.arange(12.0).reshape(6, 2)
  x[2, 1] = math.nan
  found = over.mean_draws(x, GROUP, 20)
  for row, counts in zip(found, over.counts(GROUP, 20), strict=True):
    again = np.repeat(x, counts, 0)
    wanted = [
      np.mean(c[np.isfinite(c)]) if np.isfinite(c).any() else math.nan
      for c in again.T
    ]
    np.testing.assert_allclose(row, wanted)


def test_a_statistic_is_measured_on_the_repeated_rows():
  frame = pd.DataFrame({'x': np.arange(6.0), 'group': GROUP})
  measure = lambda part: {'mean': part['x'].mean(), 'n': len(part)}
  found = over.resampled(frame, measure, 'group', 20)
  counts = over.counts(GROUP, 20)
  np.testing.assert_array_equal(found['n'], counts.sum(1))
  (mean,) = over.mean_draws(frame[['x']], GROUP, 20).T
  np.testing.assert_allclose(found['mean'], mean)


def test_an_interval_is_of_quantiles_and_nan_if_a_draw_is():
  found = over.interval(0.5, np.arange(1001) / 1000, 9)
  assert (found.low, found.high, found.n) == (0.025, 0.975, 9)
  lost = over.interval(0.5, [0.1, math.nan], 9)
  assert lost.mean == 0.5 and math.isnan(lost.low) and math.isnan(lost.high)


@pytest.mark.parametrize('pairs', [1, 4])
def test_intervals_cover_95_percent_however_pairs_hang_together(pairs):
  """Pairs of a conversation are all right or all wrong: its pairs count once.

  200 studies: the binomial error of .95 is .015.
  """
  rng, inside = np.random.default_rng(0), 0
  group = np.repeat(np.arange(100), pairs)
  for _ in range(200):
    x = np.repeat(rng.random(100) < 0.6, pairs).astype(float)
    (drawn,) = over.mean_draws(x[:, None], group, 300).T
    found = over.interval(x.mean(), drawn, 100)
    inside += found.low <= 0.6 <= found.high
  assert 0.90 <= inside / 200 <= 0.99
