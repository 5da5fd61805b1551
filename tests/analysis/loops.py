"""Statistics in plain Python, beside which claims are measured again."""

import math

from tests.analysis import small

SEEDS = (0, 1, 2)


def mean(values):
  """The sum over the count."""
  values = list(values)
  return sum(values) / len(values)


def slope(x, y):
  """The slope of the least-squares line."""
  middle, level = mean(x), mean(y)
  above = sum((a - middle) * (b - level) for a, b in zip(x, y, strict=True))
  return above / sum((a - middle) ** 2 for a in x)


def ln_slope(value_of):
  """The slope of a dict of parameters -> value on their logarithm."""
  return slope([math.log(n) for n in value_of], list(value_of.values()))


def rank_correlation(x, y):
  """Spearman's correlation of values without ties."""
  n = len(x)
  ranks = lambda values: [sum(v < w for v in values) for w in values]
  apart = sum((a - b) ** 2 for a, b in zip(ranks(x), ranks(y), strict=True))
  return 1 - 6 * apart / (n * (n**2 - 1))


def at(x, x_N, y_N):
  """The value at x of straight lines through points in order of x."""
  for i in range(1, len(x_N)):
    if x_N[i - 1] <= x <= x_N[i]:
      share = (x - x_N[i - 1]) / (x_N[i] - x_N[i - 1])
      return y_N[i - 1] + share * (y_N[i] - y_N[i - 1])
  raise ValueError(f'{x} lies outside of {x_N}')


def odds_elo(rate):
  """The Elo of a win rate."""
  return 400 * math.log10(rate / (1 - rate))


def frames(tables):
  """Tables of a dict of their rows."""
  return {name: small.table(name, rows) for name, rows in tables.items()}
