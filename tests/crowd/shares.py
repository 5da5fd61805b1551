"""Bounds on counts, for tests that draw."""

import math


def assert_share(hits, n, share):
  """Asserts that `hits` of `n` is a share, up to four standard errors."""
  bound = 4 * math.sqrt(share * (1 - share) / n)
  assert abs(hits / n - share) <= bound, (hits, n, share, bound)


def assert_shares(counts, shares):
  """Asserts that the counts are multinomial with these shares.

  Pearson's chi-squared has mean k - 1 and variance near 2 (k - 1); the bound
  is six standard deviations, since its upper tail is long.
  """
  assert set(counts) <= set(shares)
  n, total, free = sum(counts.values()), sum(shares.values()), len(shares) - 1
  assert abs(total - 1) < 1e-9
  statistic = sum(
    (counts.get(name, 0) - n * share) ** 2 / (n * share)
    for name, share in shares.items()
  )
  assert statistic <= free + 6 * math.sqrt(2 * free), (statistic, counts)
