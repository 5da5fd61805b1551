"""Intervals that keep to the range of their statistic, beside naive twins."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from rlhf_jax.analysis import bounded
from rlhf_jax.analysis.intervals import t_interval


def naive_share(k, n, level=0.95):
  """Ends by halving: the shares whose tails of the binomial are 2.5 %."""
  tail = lambda p, ks: sum(
    math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in ks
  )

  def where(increasing, goal):
    low, high = 0.0, 1.0
    for _ in range(60):
      middle = (low + high) / 2
      low, high = (middle, high) if increasing(middle) < goal else (low, middle)
    return low

  half = (1 - level) / 2
  upper = lambda p: tail(p, range(k, n + 1))
  lower = lambda p: tail(p, range(k + 1))
  low = where(upper, half) if k else 0.0
  high = where(lambda p: 1 - lower(p), 1 - half) if k < n else 1.0
  return low, high


@pytest.mark.parametrize(('k', 'n'), [(0, 3), (2, 5), (5, 8), (6, 6), (8, 8)])
def test_a_share_has_the_ends_of_the_binomial(k, n):
  found = bounded.share([1] * k + [0] * (n - k))
  assert (found.mean, found.n) == (k / n, n)
  assert (found.low, found.high) == pytest.approx(naive_share(k, n), abs=1e-9)


@pytest.mark.parametrize(
  ('k', 'n', 'above'),
  [(5, 5, False), (6, 6, True), (7, 7, True), (8, 8, True), (7, 8, False)],
)
def test_six_seeds_of_six_are_needed_for_more_than_half(k, n, above):
  found = bounded.share([True] * k + [False] * (n - k))
  assert (found.low > 0.5) == above
  if (k, n) == (8, 8):
    assert found.low == pytest.approx(0.631, abs=5e-4)


@pytest.mark.parametrize('share', [0.1, 0.5, 0.8])
def test_the_exact_interval_never_covers_less_than_it_says(share):
  """Over all outcomes of 8 seeds, not by simulation."""
  covered = 0.0
  for k in range(9):
    found = bounded.share([1] * k + [0] * (8 - k))
    if found.low <= share <= found.high:
      covered += stats.binom.pmf(k, 8, share)
  assert covered >= 0.95


def test_which_seeds_meet_a_bound():
  nan = math.nan
  assert bounded.meets([0.8 - 1e-12, 0.79, 1.0], '>=', 0.8) == [1, 0, 1]
  assert bounded.meets([-0.8, -0.81, 0.5], '<', -0.8) == [0, 1, 0]
  found = bounded.meets([1.0, nan], '>=', 0.8)
  assert found[0] == 1 and math.isnan(found[1])
  assert math.isnan(bounded.share(found).low)
  with pytest.raises(KeyError):
    bounded.meets([1.0], '>', 0.8)


def naive_fisher(r2_N):
  z = [0.5 * math.log((1 + r) / (1 - r)) for r in np.sqrt(r2_N)]
  found = t_interval(z)
  back = lambda v: ((math.exp(2 * v) - 1) / (math.exp(2 * v) + 1)) ** 2
  return [back(found.mean), back(found.low), back(found.high)]


def naive_logit(p_N):
  found = t_interval([math.log(p) - math.log(1 - p) for p in p_N])
  back = lambda v: math.exp(v) / (1 + math.exp(v))
  return [back(v) for v in (found.mean, found.low, found.high)]


def naive_log(x_N):
  found = t_interval([math.log(x) for x in x_N])
  return [math.e**v for v in (found.mean, found.low, found.high)]


@pytest.mark.parametrize(
  ('interval', 'naive', 'values'),
  [
    (bounded.fisher, naive_fisher, [0.95, 0.97, 0.9, 0.99, 0.98]),
    (bounded.logit_mean, naive_logit, [0.45, 0.47, 0.49, 0.46]),
    (bounded.log_mean, naive_log, [0.01, 0.3, 0.05]),
  ],
)
def test_an_interval_is_that_of_its_transform(interval, naive, values):
  found = interval(values)
  assert found.n == len(values)
  wanted = pytest.approx(naive(values))
  assert [found.mean, found.low, found.high] == wanted


@pytest.mark.parametrize(
  ('interval', 'values', 'top'),
  [
    (bounded.fisher, [0.99, 0.999, 0.7, 1.0], 1),
    (bounded.fisher, [0.0, 0.01, 0.3, 0.0], 1),
    (bounded.logit_mean, [0.0, 1.0, 0.9, 0.999], 1),
    (bounded.log_mean, [0.0, 1e-5, 0.4], math.inf),
  ],
)
def test_no_interval_leaves_the_range_of_its_statistic(interval, values, top):
  found = interval(values)
  assert 0 <= found.low <= found.mean <= found.high <= top
  t = t_interval(values)
  assert t.low < 0 or t.high > top  # what it replaces does


@pytest.mark.parametrize(
  'interval', [bounded.fisher, bounded.logit_mean, bounded.log_mean]
)
def test_what_cannot_be_measured_says_nothing(interval):
  assert math.isnan(interval([0.5, math.nan]).low)
  assert math.isnan(interval([]).mean)
  lone = interval([0.5])
  assert lone.mean == pytest.approx(0.5)
  assert lone.low == pytest.approx(0) and lone.high >= 1 - 1e-9


def test_values_out_of_range_are_errors():
  with pytest.raises(ValueError, match='R2 in'):
    bounded.fisher([0.5, -0.2])
  with pytest.raises(ValueError, match='a probability in'):
    bounded.logit_mean([1.2])
  with pytest.raises(ValueError, match='above 0'):
    bounded.log_mean([-0.1])


def test_a_bootstrap_of_eight_is_that_of_all_resamples():
  """Twin: every multiset of 8 of 8 seeds with its multinomial weight."""
  value_N = np.array([0.3, 0.5, 0.5, 0.6, 0.7, 0.9, 1.0, 1.0])
  sums, weights = [], []
  for draw in itertools.combinations_with_replacement(range(8), 8):
    counts = np.bincount(draw, minlength=8)
    weight = math.factorial(8) / np.prod([math.factorial(c) for c in counts])
    sums.append(value_N[list(draw)].mean())
    weights.append(weight / 8**8)
  order = np.argsort(sums)
  below = np.cumsum(np.array(weights)[order])
  a = stats.norm.cdf(-math.sqrt(8 / 7) * stats.t.ppf(0.975, 7))
  wanted = [
    np.array(sums)[order][np.searchsorted(below, q)] for q in (a, 1 - a)
  ]
  found = bounded.bootstrap_mean(value_N, (0, 1))
  assert found.mean == pytest.approx(value_N.mean())
  assert [found.low, found.high] == pytest.approx(wanted, abs=0.013)
  assert found == bounded.bootstrap_mean(value_N, (0, 1))  # always alike


def test_a_bootstrap_of_fewer_than_eight_says_nothing():
  found = bounded.bootstrap_mean([0.5, 0.6, 0.7], (0, 1))
  assert (found.mean, found.low, found.high, found.n) == (
    pytest.approx(0.6),
    0.0,
    1.0,
    3,
  )
  assert math.isnan(bounded.bootstrap_mean([math.nan] * 8, (0, 1)).low)
  assert math.isnan(bounded.bootstrap_mean([], (0, 1)).mean)


def coverage(interval, draw, truth, studies=1000):
  rng = np.random.default_rng(0)
  found = [interval(draw(rng)) for _ in range(studies)]
  return np.mean([i.low <= truth <= i.high for i in found])


@pytest.mark.parametrize(
  ('interval', 'draw', 'truth'),
  [
    # R2 whose z are normal about atanh(sqrt(.8)).
    (
      bounded.fisher,
      lambda rng: np.tanh(rng.normal(np.arctanh(0.8**0.5), 0.3, 5)) ** 2,
      0.8,
    ),
    (
      bounded.logit_mean,
      lambda rng: 1 / (1 + np.exp(-rng.normal(0.0, 0.2, 5))),
      0.5,
    ),
    (bounded.log_mean, lambda rng: np.exp(rng.normal(0, 0.8, 8)), 1.0),
  ],
)
def test_transformed_intervals_cover_what_they_say(interval, draw, truth):
  """95 %, within four binomial errors of 1,000 studies (.69 points)."""
  assert 0.922 < coverage(interval, draw, truth) < 0.978


def test_the_bootstrap_of_eight_seeds_covers_nearly_what_it_says():
  """Beta(2, 2), and beside it what plain quantiles would cover."""
  draw = lambda rng: rng.beta(2, 2, 8)
  found = coverage(lambda v: bounded.bootstrap_mean(v, (0, 1)), draw, 0.5, 300)
  # Four binomial errors of 300 studies are 5 points.
  assert 0.90 < found <= 1.0

  def plain(value_N):
    draws = np.random.default_rng(0).integers(8, size=(2000, 8))
    low, high = np.quantile(value_N[draws].mean(1), [0.025, 0.975])
    return type(t_interval([0.0, 1.0]))(0.0, low, high, 8)

  assert coverage(plain, draw, 0.5, 300) < found
