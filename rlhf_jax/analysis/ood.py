"""Outliers among prompts: distances of features, and how well they tell.

Prompts of one kind (helpful ones) are known, those of another (red-team) are
not. A Gaussian of the known ones' features gives a distance, and the AUROC says
how often an outlier is farther off than a known prompt.

    plain       (x - mu)^T S^-1 (x - mu)
    diagonal    (x - mu)^T diag(S)^-1 (x - mu)
    simplified  plain - diagonal
    relative    plain - (x - mu_0)^T S_0^-1 (x - mu_0), a background's

Reference: Bai et al. 2022 (arXiv:2204.05862), section 5.4 and appendix B.9, of
the first three, and Ren et al. 2021 (arXiv:2106.09022) of the last. Their
background is fitted to all training data, whatever its class. Where all of it
is known prompts that is the Gaussian itself and the score is 0, so here the
background has prompts of both kinds, of which nobody says which are which. No
claim is judged by it. All of it is float64.
"""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from scipy import linalg, special

from rlhf_jax.analysis.bounded import share
from rlhf_jax.analysis.intervals import Interval

SCORES = ('plain', 'diagonal', 'simplified')
RELATIVE = 'relative'
RIVALS = ('plain', 'simplified')  # what the paper compares
DEEP = 4  # layers from which on a model has a middle
ROUNDED = 1e-12  # a mean of perfect areas need not add up to 1


@dataclasses.dataclass(frozen=True)
class Gaussian:
  """A Gaussian, as standard deviations and a matrix of correlations.

  Attributes:
    mean_D: of the rows it was fitted to.
    scale_D: standard deviations.
    lower_DD: Cholesky factor of the correlations, shrunk.
    shrinkage: a of (1 - a) R + a I; 0: none.
    n: rows.
  """

  mean_D: np.ndarray
  scale_D: np.ndarray
  lower_DD: np.ndarray
  shrinkage: float
  n: int

  def standardised(self, x_ND) -> np.ndarray:
    """(x - mean) / scale of each coordinate."""
    return (np.asarray(x_ND, np.float64) - self.mean_D) / self.scale_D


def fit_gaussian(x_ND, shrinkage: float | None = None) -> Gaussian:
  """The Gaussian of some rows, its correlations shrunk towards none.

    S = (1 - a) C + a diag(C),   C = mean of (x - mu)(x - mu)^T over N rows

  This leaves the diagonal as it is, so that of the score `simplified` both
  parts have one diagonal, and rescaled coordinates have equal scores.

  Args:
    x_ND: features of known prompts.
    shrinkage: a; None: that of `ledoit_wolf`, which these rows alone choose.

  Raises:
    ValueError: if a number is not finite, a coordinate is constant, or there
      are too few rows for the shrinkage.
  """
  x_ND = np.asarray(x_ND, np.float64)
  if x_ND.ndim != 2 or len(x_ND) < 2 or not np.isfinite(x_ND).all():
    raise ValueError(
      f'wanted two or more rows of finite features, got shape {x_ND.shape}'
    )
  mean_D, scale_D = x_ND.mean(0), x_ND.std(0)
  if not scale_D.all():
    raise ValueError(
      f'feature {int(np.argmin(scale_D))} is the same in all {len(x_ND)} rows: '
      'leave it out, or take more prompts'
    )
  z_ND = (x_ND - mean_D) / scale_D
  if shrinkage is None:
    shrinkage = ledoit_wolf(z_ND)
  matrix_DD = (1 - shrinkage) * (z_ND.T @ z_ND) / len(z_ND)
  matrix_DD[np.diag_indices_from(matrix_DD)] += shrinkage
  try:
    lower_DD = linalg.cholesky(matrix_DD, lower=True)
  except linalg.LinAlgError:
    raise ValueError(
      f'{len(x_ND)} rows leave the covariance of {x_ND.shape[1]} features '
      f'singular at shrinkage {shrinkage:g}: take more rows, or shrink it'
    ) from None
  return Gaussian(mean_D, scale_D, lower_DD, float(shrinkage), len(x_ND))


def ledoit_wolf(z_ND) -> float:
  """The shrinkage of correlations R towards I with the least expected error.

    a = min(b / d, 1),   d = |R - I|^2,   b = sum_n |z_n z_n^T - R|^2 / N^2
    sum_n |z_n z_n^T - R|^2 = sum_n (z_n . z_n)^2 - N |R|^2

  Norms are those of Frobenius. I is the paper's target where every coordinate
  has variance 1.

  Reference: Ledoit and Wolf 2004, "A well-conditioned estimator for
  large-dimensional covariance matrices", section 3.

  Args:
    z_ND: standardised rows: of each coordinate the mean is 0, the variance 1.
  """
  z_ND = np.asarray(z_ND, np.float64)
  N, D = z_ND.shape
  matrix_DD = z_ND.T @ z_ND / N
  squares = (matrix_DD**2).sum()
  off = squares - 2 * np.trace(matrix_DD) + D
  error = ((z_ND**2).sum(1) ** 2).sum() / N**2 - squares / N
  return float(min(error / off, 1.0)) if off > 0 else 1.0


def diagonal_of(gaussian: Gaussian) -> Gaussian:
  """The Gaussian with the same variances and no correlations."""
  eye_DD = np.eye(len(gaussian.mean_D))
  return dataclasses.replace(gaussian, lower_DD=eye_DD, shrinkage=1.0)


def mahalanobis(gaussian: Gaussian, x_ND) -> np.ndarray:
  """Squared distances (x - mu)^T S^-1 (x - mu), by the Cholesky factor, [N]."""
  z_DN = gaussian.standardised(x_ND).T
  white_DN = linalg.solve_triangular(gaussian.lower_DD, z_DN, lower=True)
  return (white_DN**2).sum(0)


def relative(foreground: Gaussian, background: Gaussian, x_ND) -> np.ndarray:
  """Relative distances: those from one Gaussian less those from another, [N].

  Reference: Ren et al. 2021, section 3, whose background is fitted to other
  rows, less specific ones.
  """
  return mahalanobis(foreground, x_ND) - mahalanobis(background, x_ND)


def background_of(known_ND, others_MD, shrinkage: float | None = None):
  """The Gaussian of prompts of both kinds, without their labels.

  That of Ren et al. 2021, section 3, mu_0 and S_0 of all rows whatever their
  class; rows of others that are later scored would give the score away.

  Args:
    known_ND: features of known prompts, those of the other Gaussian.
    others_MD: of outliers, none of which is scored.
    shrinkage: of `fit_gaussian`.
  """
  return fit_gaussian(np.concatenate([known_ND, others_MD]), shrinkage)


def scores(gaussian: Gaussian, x_ND) -> dict[str, np.ndarray]:
  """Each of `SCORES`, higher the farther off; [N] each."""
  background = diagonal_of(gaussian)
  values = (
    mahalanobis(gaussian, x_ND),
    mahalanobis(background, x_ND),
    relative(gaussian, background, x_ND),
  )
  return dict(zip(SCORES, values, strict=True))


def rotated_score(x_ND, y_ND, shrinkage: float | None = None) -> float:
  """The largest |simplified| of rows, in axes without correlations.

  The eigenvectors of the covariance are the axes; there S is its own diagonal,
  and the score is 0 up to rounding, whatever the rows are.

  Args:
    x_ND: rows that the Gaussian is fitted to.
    y_ND: rows that are scored.
    shrinkage: of `fit_gaussian`.
  """
  x_ND, y_ND = np.asarray(x_ND, np.float64), np.asarray(y_ND, np.float64)
  centred_ND = x_ND - x_ND.mean(0)
  _, axes_DD = linalg.eigh(centred_ND.T @ centred_ND)
  turned = fit_gaussian(centred_ND @ axes_DD, shrinkage)
  found = scores(turned, (y_ND - x_ND.mean(0)) @ axes_DD)['simplified']
  return float(np.abs(found).max())


@dataclasses.dataclass(frozen=True)
class Auroc:
  """P(an outlier scores higher than a known prompt), ties a half.

  A difference or a mean of several on the same prompts is one of these too.

  Attributes:
    value: the area.
    out_O: of each outlier, the share of known prompts below it.
    in_I: of each known prompt, the share of outliers above it.
  """

  value: float
  out_O: np.ndarray
  in_I: np.ndarray

  @property
  def error(self) -> float:
    """Standard error over prompts of both kinds.

      se^2 = var(out) / O + var(in) / I

    Reference: DeLong, DeLong and Clarke-Pearson 1988, Biometrics 44.
    """
    parts = (x.var(ddof=1) / len(x) for x in (self.out_O, self.in_I))
    return math.sqrt(sum(parts))

  def __sub__(self, other: 'Auroc') -> 'Auroc':
    """The difference on the same prompts, paired."""
    return combined([self, other], [1.0, -1.0])


def auroc(out_O, in_I) -> Auroc:
  """The AUROC of scores of outliers and of known prompts.

  Raises:
    ValueError: if there are fewer than two of a kind, or a score is NaN.
  """
  out_O, in_I = (np.asarray(x, np.float64) for x in (out_O, in_I))
  if min(len(out_O), len(in_I)) < 2:
    raise ValueError(
      f'wanted two prompts or more of each kind, got {len(out_O)} outliers '
      f'and {len(in_I)} known ones'
    )
  if np.isnan(out_O).any() or np.isnan(in_I).any():
    raise ValueError('a score is not a number: look at the features')
  below_O = _share_below(out_O, in_I)
  return Auroc(float(below_O.mean()), below_O, 1 - _share_below(in_I, out_O))


def _share_below(x_N, other_M):
  """The share of others below each x, ties a half."""
  other_M = np.sort(other_M)
  left_N = np.searchsorted(other_M, x_N, 'left')
  right_N = np.searchsorted(other_M, x_N, 'right')
  return (left_N + right_N) / (2 * len(other_M))


def combined(parts: Sequence[Auroc], weight_K: Sequence[float]) -> Auroc:
  """The weighted sum of areas on the same prompts."""
  add = lambda name: sum(
    weight * getattr(part, name)
    for weight, part in zip(weight_K, parts, strict=True)
  )
  return Auroc(float(add('value')), add('out_O'), add('in_I'))


def mean_of(parts: Sequence[Auroc]) -> Auroc:
  """The mean of areas on the same prompts."""
  return combined(parts, [1 / len(parts)] * len(parts))


def interval(found: Auroc, level: float = 0.95) -> Interval:
  """The interval of an area over prompts, within [0, 1].

    logit(A) -+ z se / (A (1 - A))

  Where all outliers lie on one side of all known prompts there is no error to
  read off: it is then that of as many independent pairs as the fewer prompts
  are (Clopper and Pearson). Where all scores are equal it is [0, 1].
  """
  area, n = found.value, min(len(found.out_O), len(found.in_I))
  if min(area, 1 - area) < ROUNDED:
    area = float(round(area))
    ends = share([area] * n, level)
    return Interval(area, ends.low, ends.high, n)
  if not found.error:
    return Interval(area, 0.0, 1.0, n)
  middle, z = special.logit(area), special.ndtri((1 + level) / 2)
  half = z * found.error / (area * (1 - area))
  low, high = special.expit([middle - half, middle + half])
  return Interval(area, float(low), float(high), n)


def shuffled(out_O, in_I, rng: np.random.Generator, draws: int) -> float:
  """The mean AUROC where kinds are dealt out to prompts at random.

  One draw has a standard deviation of sqrt((O + I + 1) / (12 O I)) about 0.5.
  """
  both_N, first = np.concatenate([out_O, in_I]), len(out_O)
  found = []
  for _ in range(draws):
    dealt_N = rng.permutation(both_N)
    found.append(auroc(dealt_N[:first], dealt_N[first:]).value)
  return float(np.mean(found))


def exposed_layer(n_layers: int) -> int:
  """The layer of outlier exposure: the last of shallow models, or the middle.

  Reference: Bai et al. 2022, appendix B.9, where the two smallest models have
  their last layer read.
  """
  return n_layers // 2 if n_layers >= DEEP else n_layers


def in_middle_half(layer: int, n_layers: int) -> bool:
  """Whether a layer lies in the middle half of the stack.

    1/4 <= (layer - 1/2) / L <= 3/4

  Half of the layers do where L is a multiple of 4.
  """
  return 0.25 <= (layer - 0.5) / n_layers <= 0.75
