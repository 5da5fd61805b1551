"""Intervals that respect the range of their statistic.

`intervals` has those of quantities without bounds. A t-interval of a rank
correlation, a share, an R2 or a spread may leave the range of the statistic,
and then its end decides a verdict. Here each is an interval over seeds:

  share             exact counts      shares of seeds, so ranks as well
  fisher            atanh(sqrt(R2))   R2
  logit_mean        log(p / (1 - p))  accuracies
  log_mean          log(x)            quantities above 0
  bootstrap_mean    resampling        bounded means where nothing else fits
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy import special, stats

from rlhf_jax.analysis.intervals import Interval, t_interval

MIN_BOOTSTRAP = 8
DRAWS = 20_000
# Units at an end of the range have no transform; they are moved this far in.
SMALLEST = 1e-12


def share(meets_N: Sequence, level: float = 0.95) -> Interval:
  """The exact interval of Clopper and Pearson for a share of seeds.

    low  = Beta(k, n - k + 1) at (1 - level) / 2
    high = Beta(k + 1, n - k) at (1 + level) / 2,   k of n seeds

  A share above one half needs 6 seeds of 6, 7 of 7 or 8 of 8, which reaches
  down to .541, .590, .631: one seed of eight that does not meet it is enough
  to leave the question open.

  Reference: Clopper and Pearson 1934, Biometrika 26.

  Args:
    meets_N: of each seed, whether it meets the bound; NaN where this could not
      be measured, which makes the interval NaN.
    level: of the interval.
  """
  value_N = np.asarray(meets_N, float)
  n = len(value_N)
  if n == 0 or np.isnan(value_N).any():
    return Interval(math.nan, math.nan, math.nan, n)
  k = int((value_N != 0).sum())
  low = stats.beta.ppf((1 - level) / 2, k, n - k + 1) if k else 0.0
  high = stats.beta.ppf((1 + level) / 2, k + 1, n - k) if k < n else 1.0
  return Interval(k / n, float(low), float(high), n)


def meets(value_N: Sequence[float], side: str, bound: float) -> list[float]:
  """1 or 0 of each seed, as its own value lies on the side; NaN stays NaN.

  Args:
    value_N: a value a seed.
    side: '>=' or '<'.
    bound: which a value that is level with it up to rounding (1e-9) meets for
      '>=' and does not for '<'.
  """
  value_N = np.asarray(value_N, float)
  above_N = value_N >= bound - 1e-9
  met_N = {'>=': above_N, '<': ~above_N}[side]
  return np.where(np.isnan(value_N), math.nan, met_N).tolist()


def fisher_z(r2_N) -> np.ndarray:
  """Fisher's z of the multiple correlation, atanh(sqrt(R2)): unbounded above.

  Reference: Fisher 1921, "On the probable error of a coefficient of
  correlation", Metron 1.
  """
  r2_N = _within(r2_N, 'R2')
  return np.arctanh(np.sqrt(np.clip(r2_N, 0.0, 1 - SMALLEST)))


def fisher(r2_N: Sequence[float], level: float = 0.95) -> Interval:
  """The t-interval of Fisher's z over seeds, as R2 = tanh(z)^2.

  z below 0, where the interval of a small R2 may reach, is R2 = 0.
  """
  back = lambda z: math.tanh(max(z, 0.0)) ** 2
  return _transformed(fisher_z(r2_N), back, level)


def logit_mean(p_N: Sequence[float], level: float = 0.95) -> Interval:
  """The t-interval over seeds of log(p / (1 - p)), as a probability.

  Its mean is that of the log-odds.
  """
  p_N = np.clip(_within(p_N, 'a probability'), SMALLEST, 1 - SMALLEST)
  return _transformed(special.logit(p_N), special.expit, level)


def log_mean(x_N: Sequence[float], level: float = 0.95) -> Interval:
  """The t-interval over seeds of log(x), as x; its mean is the geometric one.

  Raises:
    ValueError: if a value is below 0.
  """
  x_N = np.asarray(x_N, float)
  if (x_N < 0).any():
    raise ValueError(f'wanted quantities above 0, got {x_N.min()}')
  return _transformed(np.log(np.maximum(x_N, SMALLEST)), math.exp, level)


def bootstrap_mean(
  value_N: Sequence[float], bounds: tuple[float, float], level: float = 0.95
) -> Interval:
  """The expanded percentile bootstrap over eight or more seeds, always alike.

    ends = quantiles a and 1 - a of the means of resampled seeds,
    a = Phi(-sqrt(n / (n - 1)) t[(1 + level) / 2, n - 1])

  With the plain quantiles, a = (1 - level) / 2, it is too narrow by the factor
  sqrt((n - 1) / n) and by that of z to t. Fewer seeds have too few samples to
  say anything: the whole range. The generator is seeded, so that equal values
  give equal ends.

  Reference: Hesterberg 2015, "What teachers should know about the bootstrap",
  arXiv:1411.5279, section 3.3.

  Args:
    value_N: a value a seed; NaN makes it all NaN.
    bounds: the range of the statistic.
    level: of the interval.
  """
  value_N = np.asarray(value_N, float)
  n, mean = len(value_N), float(value_N.mean()) if len(value_N) else math.nan
  if math.isnan(mean):
    return Interval(math.nan, math.nan, math.nan, n)
  if n < MIN_BOOTSTRAP:
    return Interval(mean, *map(float, bounds), n)
  draw_DN = np.random.default_rng(0).integers(n, size=(DRAWS, n))
  wide = math.sqrt(n / (n - 1)) * stats.t.ppf((1 + level) / 2, n - 1)
  a = stats.norm.cdf(-wide)
  low, high = np.quantile(value_N[draw_DN].mean(1), [a, 1 - a])
  return Interval(mean, float(low), float(high), n)


def _within(value_N, name):
  """Values of [0, 1] up to rounding, NaN kept."""
  value_N = np.asarray(value_N, float)
  if (value_N < -1e-9).any() or (value_N > 1 + 1e-9).any():
    raise ValueError(f'wanted {name} in [0, 1], got {value_N.tolist()}')
  return np.clip(value_N, 0.0, 1.0)


def _transformed(z_N, back: Callable[[float], float], level) -> Interval:
  """The t-interval of z over seeds, its three numbers mapped back."""
  z = t_interval(z_N, level)
  if math.isnan(z.mean):
    return z
  return Interval(*(float(back(v)) for v in (z.mean, z.low, z.high)), z.n)
