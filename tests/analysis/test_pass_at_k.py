"""pass@k: unbiased, without binomials, with an interval over tasks."""

import math
from fractions import Fraction

import numpy as np
import pytest

from rlhf_jax.analysis.bounded import bootstrap_mean, share
from rlhf_jax.analysis.pass_at_k import estimate, pass_at_k


def naive(n, c, k):
  """1 - C(n - c, k) / C(n, k), exactly."""
  return 1 - Fraction(math.comb(n - c, k), math.comb(n, k))


@pytest.mark.parametrize(
  ('n', 'k'), [(1, 1), (2, 1), (2, 2), (7, 3), (100, 1), (100, 75), (200, 100)]
)
def test_it_is_one_minus_the_ratio_of_binomials(n, k):
  counts = np.arange(n + 1)
  expected = [float(naive(n, int(c), k)) for c in counts]
  # 200 factors, each rounded by 1e-16 of itself.
  np.testing.assert_allclose(pass_at_k(n, counts, k), expected, atol=1e-13)


def test_it_is_what_one_reckons_by_hand():
  """Of 4 samples 1 passes: 2 drawn hold it in 3 of 6 ways."""
  assert pass_at_k(4, [0, 1, 3, 4], 2).tolist() == [0.0, 0.5, 1.0, 1.0]
  assert pass_at_k(5, [2], 1) == pytest.approx([0.4])


def test_its_expectation_is_the_chance_itself():
  """Sum over c of Binomial(c; n, p) times the estimate = 1 - (1 - p)^k."""
  n, p = 12, 0.15
  weight_c = [math.comb(n, c) * p**c * (1 - p) ** (n - c) for c in range(n + 1)]
  for k in (1, 3, 12):
    found = np.dot(weight_c, pass_at_k(n, np.arange(n + 1), k))
    assert found == pytest.approx(1 - (1 - p) ** k, abs=1e-12)


def test_it_stays_finite_where_the_binomials_overflow():
  found = pass_at_k(10_000, [1], 5_000)
  assert found == pytest.approx([0.5], abs=1e-9)


@pytest.mark.parametrize(
  ('n', 'counts', 'k', 'words'),
  [
    (5, [1], 0, 'wanted k of 1 to the 5 samples'),
    (5, [1], 6, 'wanted k of 1 to the 5 samples'),
    (5, [6], 1, 'wanted 0 to 5 of 5'),
    (5, [-1], 1, 'wanted 0 to 5 of 5'),
  ],
)
def test_numbers_out_of_range_are_named(n, counts, k, words):
  with pytest.raises(ValueError, match=words):
    pass_at_k(n, counts, k)


def test_the_interval_is_a_bootstrap_over_tasks():
  counts = [0, 1, 4, 2, 0, 3, 1, 4, 0, 2]
  value_N = [float(naive(4, c, 2)) for c in counts]
  expected = bootstrap_mean(value_N, (0.0, 1.0))
  found = estimate(4, counts, 2)
  assert found.n == 10
  np.testing.assert_allclose(
    [found.mean, found.low, found.high],
    [np.mean(value_N), expected.low, expected.high],
    atol=1e-12,
  )
  assert 0 < found.low < found.mean < found.high < 1


def test_where_nothing_passes_the_interval_does_not_end_at_nothing():
  """Clopper and Pearson: up to 1 - .025^(1 / n)."""
  found = estimate(10, [0] * 164, 5)
  assert (found.mean, found.low, found.n) == (0.0, 0.0, 164)
  assert found.high == pytest.approx(1 - 0.025 ** (1 / 164))
  assert estimate(1, [1, 0, 1], 1) == share([1, 0, 1])
