"""Least squares and rank statistics, each with its equation."""

# scipy.optimize and scipy.stats take a second of a stage's start: they are
# imported where they are used.
import dataclasses
import math

import numpy as np
from scipy import special


@dataclasses.dataclass(frozen=True)
class Fit:
  """An ordinary least-squares fit.

  Attributes:
    coefficient_K: one coefficient a column of the design, in its order.
    error_K: their standard errors.
    r2: 1 - SS_residual / SS_about_the_mean (NaN for a constant y).
    aic: n ln(SS_residual / n) + 2 (K + 1); Gaussian, without its constant.
    residual_sum: SS_residual.
    dof: residual degrees of freedom.
  """

  coefficient_K: np.ndarray
  error_K: np.ndarray
  r2: float
  aic: float
  residual_sum: float
  dof: int

  def interval(self, k: int, level: float = 0.95) -> tuple[float, float]:
    """The t-interval of coefficient `k` over the points of the fit."""
    half = special.stdtrit(self.dof, (1 + level) / 2) * self.error_K[k]
    middle = self.coefficient_K[k]
    return float(middle - half), float(middle + half)


def least_squares(design_NK, y_N) -> Fit:
  """Fits y ~ design @ c; the design holds its own column of ones."""
  design_NK = np.asarray(design_NK, float)
  y_N = np.asarray(y_N, float)
  n, k = design_NK.shape
  if n <= k:
    raise ValueError(f'{k} coefficients need more than {n} points')
  coefficient_K = np.linalg.lstsq(design_NK, y_N, rcond=None)[0]
  residual_sum = float(((y_N - design_NK @ coefficient_K) ** 2).sum())
  covariance_KK = np.linalg.pinv(design_NK.T @ design_NK)
  error_K = np.sqrt(np.diag(covariance_KK) * residual_sum / (n - k))
  total = float(((y_N - y_N.mean()) ** 2).sum())
  r2 = 1 - residual_sum / total if total > 0 else math.nan
  # The floor keeps a noise-free fit finite.
  floor = max(residual_sum / n, 1e-300)
  aic = n * math.log(floor) + 2 * (k + 1)
  return Fit(coefficient_K, error_K, r2, aic, residual_sum, n - k)


def line(x_N, y_N) -> Fit:
  """Fits y = coefficient[0] + coefficient[1] x."""
  x_N = np.asarray(x_N, float)
  return least_squares(np.stack([np.ones_like(x_N), x_N], 1), y_N)


def line_from(origin, x_N, y_N) -> Fit:
  """Fits y = origin + coefficient[0] x: the origin is measured, not fitted.

  R2 is still about the mean of y, so it is negative where the line misses.
  """
  gain_N = np.asarray(y_N, float) - origin
  return least_squares(np.asarray(x_N, float)[:, None], gain_N)


def power_exponent(kl_N, gain_N) -> float:
  """The exponent p of gain = a KL^p, by non-linear least squares.

  Started from the straight line through the logarithms of the points with a
  positive gain (which alone would be biased by the noise of the small gains).
  NaN when fewer than three points have a positive gain.
  """
  kl_N, gain_N = np.asarray(kl_N, float), np.asarray(gain_N, float)
  positive_N = (gain_N > 0) & (kl_N > 0)
  if positive_N.sum() < 3:
    return math.nan
  start = line(np.log(kl_N[positive_N]), np.log(gain_N[positive_N]))
  from scipy import optimize

  log_a, p = start.coefficient_K
  kl_N, gain_N = kl_N[kl_N > 0], gain_N[kl_N > 0]
  try:
    (_, p), _ = optimize.curve_fit(
      lambda kl, log_a, p: np.exp(log_a + p * np.log(kl)),
      kl_N,
      gain_N,
      p0=(log_a, p),
    )
  except RuntimeError:
    return math.nan
  return float(p)


def quadratic_bow(sqrt_kl_N, gain_N) -> float:
  """How far the quadratic fit leaves its own chord, per gain of the window.

  With q(x) = c0 + c1 x + c2 x^2 fitted freely on the window [l, h], the
  largest distance from the chord through (l, q(l)) and (h, q(h)) is at the
  middle, c2 (h - l)^2 / 4; it is returned over q(h) - q(l), signed: positive
  bends upwards. On the narrowest admitted window (a factor of 10 in KL) a
  noise-free KL^0.4 gives -2.7 %, KL^0.5 gives 0, KL^0.6 gives +2.7 %; wider
  windows give more (7 % over 2,000x), hence `bow_in_units`.
  """
  x_N = np.asarray(sqrt_kl_N, float)
  design_NK = np.stack([np.ones_like(x_N), x_N, x_N**2], 1)
  _, c1, c2 = least_squares(design_NK, gain_N).coefficient_K
  low, high = x_N.min(), x_N.max()
  gain = c1 * (high - low) + c2 * (high**2 - low**2)
  return float(c2 * (high - low) ** 2 / 4 / gain) if gain else math.nan


def bow_in_units(sqrt_kl_N, gain_N) -> float:
  """The bow in units of those that KL^0.4 and KL^0.6 have at the same points.

    bow / |bow of KL^0.4| below 0,  bow / bow of KL^0.6 above 0

  So a straight line has 0, noise-free KL^0.4 has -1 and KL^0.6 has 1, whatever
  the window: to lie inside (-1, 1) asks for as straight a line as an exponent
  inside (0.4, 0.6) does.
  """
  x_N = np.asarray(sqrt_kl_N, float)
  bow = quadratic_bow(x_N, gain_N)
  power = 0.4 if bow < 0 else 0.6
  return bow / abs(quadratic_bow(x_N, x_N ** (2 * power)))


def spearman(x_N, y_N) -> float:
  """Spearman's rank correlation; NaN when either side is constant."""
  x_N, y_N = np.asarray(x_N, float), np.asarray(y_N, float)
  if len(x_N) < 2 or np.ptp(x_N) == 0 or np.ptp(y_N) == 0:
    return math.nan
  from scipy import stats

  return float(stats.spearmanr(x_N, y_N).statistic)


def reward_length_correlation(score_N, length_N) -> float:
  """Pearson's correlation of score and reply length; NaN if one is constant.

  sum (s - s') (l - l') / sqrt(sum (s - s')^2 sum (l - l')^2)
  """
  score_N = np.asarray(score_N, float) - np.mean(score_N)
  length_N = np.asarray(length_N, float) - np.mean(length_N)
  scale = math.sqrt((score_N**2).sum() * (length_N**2).sum())
  return float((score_N * length_N).sum() / scale) if scale else math.nan
