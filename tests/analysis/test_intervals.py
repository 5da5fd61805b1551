import math

import numpy as np
import pytest
from scipy import stats

from rlhf_jax.analysis.intervals import (
  Contrast,
  Interval,
  cluster_bootstrap,
  deciding,
  difference_interval,
  t_interval,
  verdict,
  wilson_interval,
)


def judged(low, high, side, bound):
  interval = Interval((low + high) / 2, low, high, 3)
  return verdict([Contrast('x', interval, bound, side)])


def test_t_interval_by_hand():
  found = t_interval([1.0, 2.0, 3.0])
  half = 4.302652729911275 * 1.0 / math.sqrt(3)
  assert found.n == 3
  np.testing.assert_allclose(
    (found.mean, found.low, found.high), (2, 2 - half, 2 + half)
  )


def test_one_seed_gives_the_whole_line_and_no_verdict_but_inconclusive():
  found = t_interval([7.0])
  assert (found.mean, found.low, found.high) == (7.0, -math.inf, math.inf)
  for side in ('>', '<', '>=', '<='):
    assert verdict([Contrast('x', found, 0.0, side)]) == 'inconclusive'
  inside = Contrast('x', found, (6.0, 8.0), 'inside')
  assert verdict([inside]) == 'inconclusive'


def test_an_unmeasured_seed_makes_the_interval_nan():
  assert math.isnan(t_interval([1.0, math.nan]).low)
  assert math.isnan(t_interval([]).mean)
  assert judged(math.nan, math.nan, '>', 0.0) == 'inconclusive'


def test_t_interval_covers_95_percent_at_three_seeds():
  rng = np.random.default_rng(0)
  found = [t_interval(rng.standard_normal(3)) for _ in range(2000)]
  cover = np.mean([i.low <= 0 <= i.high for i in found])
  assert 0.935 < cover < 0.965


@pytest.mark.parametrize(
  ('low', 'high', 'side', 'bound', 'want'),
  [
    (0.1, 0.2, '>', 0.0, 'pass'),
    (-0.2, -0.1, '>', 0.0, 'fail'),
    (-0.1, 0.1, '>', 0.0, 'inconclusive'),
    (0.0, 0.0, '>', 0.0, 'inconclusive'),
    (0.0, 0.0, '>=', 0.0, 'pass'),
    (0.8 - 1e-12, 1.0, '>=', 0.8, 'pass'),
    (0.1, 0.2, '<', 0.0, 'fail'),
    (-0.2, -0.1, '<', 0.0, 'pass'),
    (-0.1, 0.1, '<', 0.0, 'inconclusive'),
    (0.0, 0.0, '<', 0.0, 'inconclusive'),
    (-0.1, 0.0, '<=', 0.0, 'pass'),
    (-0.01, 0.01, 'inside', (-0.02, 0.02), 'pass'),
    (-0.01, 0.03, 'inside', (-0.02, 0.02), 'inconclusive'),
    (0.03, 0.04, 'inside', (-0.02, 0.02), 'fail'),
    (-0.04, -0.03, 'inside', (-0.02, 0.02), 'fail'),
    (-0.04, 0.04, 'inside', (-0.02, 0.02), 'inconclusive'),
  ],
)
def test_the_verdict_on_one_contrast(low, high, side, bound, want):
  assert judged(low, high, side, bound) == want


@pytest.mark.parametrize(
  ('side', 'bound'),
  [('>', 0.0), ('>=', 0.0), ('<', 0.0), ('<=', 0.0), ('inside', (-1.0, 1.0))],
)
def test_a_wider_interval_of_the_same_mean_never_turns_into_a_pass(side, bound):
  """Noise widens intervals, so it must not help."""
  passes = 0
  for mean in np.linspace(-2, 2, 81):
    found = [judged(mean - w, mean + w, side, bound) for w in (0.01, 0.3, 3.0)]
    passed = [verdict == 'pass' for verdict in found]
    assert passed == sorted(passed, reverse=True)
    passes += sum(passed)
  assert 0 < passes < 3 * 81


@pytest.mark.parametrize(
  ('contrasts', 'wanted'),
  [
    # A failing one decides, however near the others are to their bounds.
    ({'a': (0.01, 0.02, '>', 0.0), 'b': (-3.0, -2.0, '>', 0.0)}, 'b'),
    # Of two that fail, the one that is farther beyond, in half intervals.
    ({'a': (-3.0, -1.0, '>', 0.0), 'b': (-2.1, -1.9, '>', 0.0)}, 'b'),
    # Of two that pass, the one whose interval ends nearer to its bound.
    ({'a': (1.0, 3.0, '>', 0.0), 'b': (9.0, 11.0, '>', 0.0)}, 'a'),
    ({'a': (-0.5, 0.5, 'inside', (-9, 9)), 'b': (2, 8, 'inside', (1, 9))}, 'b'),
    # One that is open, not one that passes narrowly.
    ({'a': (0.01, 2.0, '>', 0.0), 'b': (-0.5, 5.0, '>', 0.0)}, 'b'),
    ({'a': (-1.0, 2.0, '<', 0.0), 'b': (-1.0, 0.5, '<', 0.0)}, 'a'),
    # What was not measured leaves a claim open before all that was.
    ({'a': (-1.0, 2.0, '<', 0.0), 'b': (math.nan, math.nan, '<', 0.0)}, 'b'),
    ({'a': (-math.inf, math.inf, '>', 0.0), 'b': (-1.0, 2.0, '>', 0.0)}, 'a'),
    # Level ones: the first.
    ({'a': (1.0, 3.0, '>', 0.0), 'b': (1.0, 3.0, '>', 0.0)}, 'a'),
  ],
)
def test_the_contrast_that_decides(contrasts, wanted):
  found = [
    Contrast(name, Interval((low + high) / 2, low, high, 3), bound, side)
    for name, (low, high, side, bound) in contrasts.items()
  ]
  assert deciding(found).name == wanted


def test_all_contrasts_must_pass_and_one_can_fail_the_claim():
  good = Contrast('a', Interval(1, 0.5, 1.5, 3), 0.0, '>')
  open_ = Contrast('b', Interval(0, -1, 1, 3), 0.0, '>')
  bad = Contrast('c', Interval(-1, -1.5, -0.5, 3), 0.0, '>')
  assert verdict([good, good]) == 'pass'
  assert verdict([good, open_]) == 'inconclusive'
  assert verdict([good, open_, bad]) == 'fail'
  assert verdict([]) == 'inconclusive'


def test_an_unknown_side_is_an_error():
  with pytest.raises(ValueError, match='side must be'):
    judged(0, 1, '!=', 0.0)


def test_wilson_by_hand():
  found = wilson_interval(8, 10)
  np.testing.assert_allclose(
    (found.mean, found.low, found.high), (0.8, 0.4902, 0.9433), atol=1e-4
  )
  assert wilson_interval(0, 5).low == 0.0
  assert math.isnan(wilson_interval(0, 0).low)
  with pytest.raises(ValueError, match='successes'):
    wilson_interval(6, 5)


def test_a_cluster_bootstrap_of_single_units_is_that_of_the_mean():
  """With one unit a cluster its width is that of the standard error."""
  x_N = np.random.default_rng(1).normal(size=400)
  found = cluster_bootstrap(x_N, np.arange(400), np.random.default_rng(0), 4000)
  assert found.mean == pytest.approx(x_N.mean()) and found.n == 400
  wanted = 2 * 1.96 * x_N.std() / 20
  assert found.high - found.low == pytest.approx(wanted, rel=0.06)


def test_units_of_one_cluster_count_as_one():
  """Each unit five times over: a mean no surer than before."""
  x_N = np.random.default_rng(2).normal(size=200)
  draw = lambda x, c: cluster_bootstrap(x, c, np.random.default_rng(0), 4000)
  once = draw(x_N, np.arange(200))
  five = draw(np.repeat(x_N, 5), np.repeat(np.arange(200), 5))
  assert (five.low, five.high) == pytest.approx((once.low, once.high))
  assert five.n == 1000


def test_the_interval_of_a_difference_by_hand():
  found = difference_interval([1.0, 2.0, 3.0], [0.0, 0.0, 3.0])
  # v = 1/3 and 1, so f = (4/3)^2 / ((1/9 + 1) / 2) = 3.2 and t = 3.0727
  half = 3.0727 * (4 / 3) ** 0.5
  assert found.n == 6
  np.testing.assert_allclose(
    (found.mean, found.low, found.high), (1, 1 - half, 1 + half), rtol=1e-4
  )


def test_the_interval_of_a_difference_is_that_of_scipy():
  rng = np.random.default_rng(0)
  a, b = rng.standard_normal(5), 2 + 3 * rng.standard_normal(4)
  found = difference_interval(a, b, 0.9)
  expected = stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.9)
  np.testing.assert_allclose((found.low, found.high), expected)


def test_a_difference_of_lone_or_unmeasured_units():
  assert difference_interval([1.0], [0.0, 2.0]).high == math.inf
  assert math.isnan(difference_interval([1.0, math.nan], [0.0, 2.0]).low)
  assert math.isnan(difference_interval([], [0.0, 2.0]).mean)
  same = difference_interval([1.0, 1.0], [1.0, 1.0])
  assert (same.low, same.high) == (0.0, 0.0)
