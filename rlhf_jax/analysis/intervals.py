"""Intervals, and the one function that gives every verdict.

The seed is the unit of replication: intervals over seeds are t-intervals (a
percentile bootstrap over three seeds covers 73 %, not 95 %). Those of a
statistic with bounds are in `bounded`.
"""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from scipy import special  # scipy.stats would be a second of a stage's start

PASS, FAIL, INCONCLUSIVE = 'pass', 'fail', 'inconclusive'
NOT_RUN = 'not run'
_ROUNDING = 1e-9


@dataclasses.dataclass(frozen=True)
class Interval:
  """An estimate with its interval; `n` is the number of units behind it."""

  mean: float
  low: float
  high: float
  n: int


@dataclasses.dataclass(frozen=True)
class Contrast:
  """One sentence 'the quantity lies on this side of this bound'.

  Attributes:
    name: of the quantity, e.g. 'slope'.
    interval: the measured quantity.
    bound: a number for the sides '>', '>=', '<', '<='; a pair (low, high) for
      'inside'.
    side: '>' | '>=' | '<' | '<=' | 'inside'.
  """

  name: str
  interval: Interval
  bound: float | tuple[float, float]
  side: str


def t_interval(values: Sequence[float], level: float = 0.95) -> Interval:
  """Student's t-interval for the mean of independent units.

    mean -+ t[(1 + level) / 2, n - 1] * sd / sqrt(n)

  One unit says nothing about the spread, so its interval is the whole line. A
  unit that is not finite (a measurement that could not be made, a parameter of
  separable data) makes it all NaN.
  """
  value_N = np.asarray(values, float)
  n = len(value_N)
  if n == 0 or not np.isfinite(value_N).all():
    return Interval(math.nan, math.nan, math.nan, n)
  mean = float(value_N.mean())
  if n == 1:
    return Interval(mean, -math.inf, math.inf, 1)
  error = value_N.std(ddof=1) / math.sqrt(n)
  half = float(special.stdtrit(n - 1, (1 + level) / 2) * error)
  return Interval(mean, mean - half, mean + half, n)


def difference_interval(
  a: Sequence[float], b: Sequence[float], level: float = 0.95
) -> Interval:
  """Welch's t-interval for mean(a) - mean(b), two independent groups of units.

    d -+ t[(1 + level) / 2, f] * sqrt(v_a + v_b),   v = sd^2 / n
    f = (v_a + v_b)^2 / (v_a^2 / (n_a - 1) + v_b^2 / (n_b - 1))

  One unit in a group says nothing about its spread: the whole line. Two groups
  without any spread give a width of 0, a NaN makes it all NaN.

  Reference: Welch 1947, "The generalization of Student's problem".
  """
  groups = [np.asarray(group, float) for group in (a, b)]
  n = sum(len(group) for group in groups)
  mean = math.nan
  if all(len(group) for group in groups):
    mean = float(groups[0].mean() - groups[1].mean())
  if math.isnan(mean):
    return Interval(math.nan, math.nan, math.nan, n)
  if min(len(group) for group in groups) == 1:
    return Interval(mean, -math.inf, math.inf, n)
  square = [group.var(ddof=1) / len(group) for group in groups]
  error = sum(square)
  if error == 0:
    return exact(mean, n)
  freedom = error**2 / sum(
    v**2 / (len(group) - 1) for v, group in zip(square, groups, strict=True)
  )
  half = float(special.stdtrit(freedom, (1 + level) / 2) * math.sqrt(error))
  return Interval(mean, mean - half, mean + half, n)


def exact(value: float, n: int) -> Interval:
  """A statistic that already pools all `n` units: an interval of width 0."""
  return Interval(float(value), float(value), float(value), n)


def wilson_interval(successes: float, n: int, level: float = 0.95) -> Interval:
  """Wilson's score interval for a proportion.

    centre = (p + z^2 / 2n) / (1 + z^2 / n)
    half   = z / (1 + z^2 / n) * sqrt(p (1 - p) / n + z^2 / 4n^2)

  `successes` may be fractional (expected labels).
  """
  if n <= 0:
    return Interval(math.nan, math.nan, math.nan, 0)
  if not 0 <= successes <= n:
    raise ValueError(f'successes must lie in [0, {n}], got {successes}')
  z = float(special.ndtri((1 + level) / 2))
  p = successes / n
  scale = 1 + z * z / n
  centre = (p + z * z / (2 * n)) / scale
  half = z / scale * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
  return Interval(p, max(0.0, centre - half), min(1.0, centre + half), int(n))


def cluster_bootstrap(
  x_N, cluster_N, rng: np.random.Generator, draws: int, level: float = 0.95
) -> Interval:
  """Percentile bootstrap of a mean over units that come in clusters.

    mean* = sum_c n*_c sum(x of c) / sum_c n*_c size(c),  n* multinomial

  For units inside one run, such as pairs of a conversation: not for seeds, of
  which there are too few.

  Args:
    x_N: the units.
    cluster_N: the cluster of each unit.
    rng: NumPy generator.
    draws: bootstrap samples.
    level: of the interval.
  """
  x_N = np.asarray(x_N, float)
  _, place_N = np.unique(np.asarray(cluster_N), return_inverse=True)
  total_C, size_C = np.bincount(place_N, x_N), np.bincount(place_N)
  C = len(size_C)
  count_DC = rng.multinomial(C, np.full(C, 1 / C), size=draws)
  mean_D = (count_DC @ total_C) / (count_DC @ size_C)
  low, high = np.quantile(mean_D, [(1 - level) / 2, (1 + level) / 2])
  return Interval(float(x_N.mean()), float(low), float(high), len(x_N))


def verdict(contrasts: Sequence[Contrast]) -> str:
  """The verdict on a claim: the only place where one is given.

  pass: the interval of EACH contrast lies on the claimed side of its bound;
  fail: one lies wholly on the other side; inconclusive: the rest.

  'inside' claims that the quantity lies in the margin (low, high): "equal".
  Noise widens intervals, so it never helps a claim to pass.
  """
  if not contrasts:
    return INCONCLUSIVE
  sides = [_side(contrast) for contrast in contrasts]
  if FAIL in sides:
    return FAIL
  return PASS if all(side == PASS for side in sides) else INCONCLUSIVE


def deciding(contrasts: Sequence[Contrast]) -> Contrast:
  """The contrast on which the verdict hangs: one that fails, else the closest.

  Of those that fail it is the one farthest beyond its bound, of the others the
  one whose interval ends nearest to its bound or reaches farthest over it.
  Distances are in units of the half of the interval on that side; an interval
  that says nothing is as far beyond as can be.
  """
  order = (FAIL, INCONCLUSIVE, PASS)
  return min(contrasts, key=lambda c: (order.index(_side(c)), _room(c)))


def _room(contrast):
  """How far the interval ends short of the bound, in half intervals."""
  interval = contrast.interval
  mean, low, high = interval.mean, interval.low, interval.high
  if not math.isfinite(high - low):
    return -math.inf
  above, below = contrast.bound, contrast.bound
  if contrast.side == 'inside':
    above, below = contrast.bound
  room = math.inf
  if contrast.side not in ('<', '<='):
    room = (low - above) / max(mean - low, _ROUNDING)
  if contrast.side not in ('>', '>='):
    room = min(room, (below - high) / max(high - mean, _ROUNDING))
  return room


def _side(contrast: Contrast) -> str:
  interval = contrast.interval
  low, high = interval.low, interval.high
  if math.isnan(low) or math.isnan(high):
    return INCONCLUSIVE
  if contrast.side == 'inside':
    left, right = contrast.bound
    if left <= low and high <= right:
      return PASS
    return FAIL if high < left or low > right else INCONCLUSIVE
  if contrast.side in ('<', '<='):
    low, high, bound = -high, -low, -contrast.bound
  elif contrast.side in ('>', '>='):
    bound = contrast.bound
  else:
    raise ValueError(
      f"side must be '>', '>=', '<', '<=' or 'inside', got {contrast.side!r}"
    )
  slack = _ROUNDING if contrast.side.endswith('=') else -_ROUNDING
  if low > bound - slack:
    return PASS
  return FAIL if high < bound - _ROUNDING else INCONCLUSIVE
