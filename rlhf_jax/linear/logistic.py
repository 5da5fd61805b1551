"""Logistic regression on differences: Bradley-Terry of a linear score.

    P(chosen beats rejected) = sigmoid(w . d),   d = f(chosen) - f(rejected)

Without an intercept the model is antisymmetric: exchanging the two sides of a
pair turns P into 1 - P. A regression with an intercept is the same equation on
signed rows, their last column being the sign. Everything is float64.

The penalty pulls the weights to 0, or to a centre: weights that other pairs
gave, from which few pairs move them (the mean of a Gaussian prior).
"""

import numpy as np
from scipy import linalg, optimize
from scipy.special import expit

GRADIENT = 1e-6  # largest entry of the scaled gradient at which a fit ends
JITTER = 1e-12  # keeps a bound without penalty invertible; moves no minimum


def loss(weight_K, difference_NK, l2_K=0.0, offset_N=0.0):
  """Mean negative log-likelihood with an L2 penalty, and its gradient.

    mean_n log(1 + exp(-o_n - w . d_n)) + sum_k l2_k w_k^2 / 2

  Args:
    weight_K: w.
    difference_NK: d, a row a pair.
    l2_K: a number, or one of each weight.
    offset_N: o, of each margin.

  Returns:
    (nats a pair, gradient_K).
  """
  margin_N = difference_NK @ weight_K + offset_N
  miss_N = expit(-margin_N)
  value = np.logaddexp(0.0, -margin_N).mean()
  value += 0.5 * np.sum(l2_K * weight_K**2)
  gradient_K = -(miss_N @ difference_NK) / len(margin_N) + l2_K * weight_K
  return float(value), gradient_K


def fit(difference_NK, l2_K, gradient=GRADIENT, centre_K=None) -> np.ndarray:
  """The weights that minimise `loss`, of w - c where there is a centre c.

    mean_n log(1 + exp(-w . d_n)) + sum_k l2_k (w_k - c_k)^2 / 2

  Args:
    difference_NK: d.
    l2_K: a number, or one of each weight. Where all are above 0, there is one
      minimum and it is finite.
    gradient: largest entry of the scaled gradient at the end.
    centre_K: c; None: 0, which gives the same weights to the last bit.

  Raises:
    ValueError: if there is no row, or one is not finite.
  """
  ((_, weight_K),) = path(difference_NK, (l2_K,), gradient, centre_K)
  return weight_K


def path(difference_NK, l2s, gradient=GRADIENT, centre_K=None):
  """Yields (l2, weight_K) in the order of the penalties, each from the last.

  L-BFGS in coordinates y = L^T w, in which a bound of the Hessian is 1:

    L L^T = d^T d / (4 N) + diag(l2),    since p (1 - p) <= 1 / 4

  Where there are more weights than rows, the minimum lies in the span of the
  rows, d^T = Q R, and R^T is fitted in place of d. From a centre c what is
  fitted is v = w - c, with c . d as the offset of each margin.

  Reference: Boehning and Lindsay 1988, "Monotonicity of quadratic-approximation
  algorithms".

  Args:
    difference_NK: d.
    l2s: penalties, the strongest first for speed; each as of `fit`.
    gradient: as of `fit`.
    centre_K: as of `fit`.

  Raises:
    ValueError: if there is no row, or one is not finite, or the centre has
      other weights.
  """
  rows_NK, back = np.asarray(difference_NK, np.float64), lambda weight: weight
  N, K = rows_NK.shape
  if not N or not np.isfinite(rows_NK).all():
    raise ValueError(f'wanted finite differences of 1 pair or more, got {N}')
  centre_K = np.zeros(K) if centre_K is None else np.asarray(centre_K, float)
  if centre_K.shape != (K,) or not np.isfinite(centre_K).all():
    raise ValueError(f'wanted a centre of {K} finite weights, got {centre_K}')
  offset_N = rows_NK @ centre_K
  if K > N and all(np.ndim(l2) == 0 for l2 in l2s):
    span_KN, triangle_NN = linalg.qr(rows_NK.T, mode='economic')
    rows_NK, back = triangle_NN.T, lambda weight: span_KN @ weight
  bound_KK = rows_NK.T @ rows_NK / (4 * N)
  weight_K = np.zeros(len(bound_KK))
  for l2 in l2s:
    weight_K = _minimum(rows_NK, offset_N, bound_KK, l2, weight_K, gradient)
    yield l2, centre_K + back(weight_K)


def _minimum(rows_NK, offset_N, bound_KK, l2_K, start_K, gradient):
  """The weights of one penalty."""
  full_KK = bound_KK.copy()
  ridge_K = l2_K + JITTER * np.diag(bound_KK).mean()
  full_KK[np.diag_indices_from(full_KK)] += ridge_K
  lower_KK = linalg.cholesky(full_KK, lower=True)
  solve = lambda y_K, trans: linalg.solve_triangular(
    lower_KK, y_K, trans=trans, lower=True, check_finite=False
  )

  def scaled(y_K):
    value, gradient_K = loss(solve(y_K, 'T'), rows_NK, l2_K, offset_N)
    return value, solve(gradient_K, 'N')

  found = optimize.minimize(
    scaled,
    lower_KK.T @ start_K,
    method='L-BFGS-B',
    jac=True,
    options={'gtol': gradient, 'ftol': 0.0, 'maxiter': 2000},
  )
  return solve(found.x, 'T')


def fit_classes(
  x_NK, class_N, l2, gradient=GRADIENT
) -> tuple[np.ndarray, float]:
  """(weight_K, offset) of P(class 1) = sigmoid(w . x + b), b not penalised.

  Args:
    x_NK: features.
    class_N: 0 or 1, both of them there: else b has no finite minimum.
    l2: penalty of each weight.
    gradient: as of `fit`.
  """
  ((_, weight_K, offset),) = path_classes(x_NK, class_N, (l2,), gradient)
  return weight_K, offset


def path_classes(x_NK, class_N, l2s, gradient=GRADIENT):
  """Yields (l2, weight_K, offset) of `fit_classes`, each from the last.

  The rows are those of `fit` with the sign of their class, and the sign itself
  as the column of b.

  Args:
    x_NK: as of `fit_classes`.
    class_N: as there.
    l2s: penalties, the strongest first for speed.
    gradient: as of `fit`.
  """
  sign_N1 = np.where(np.asarray(class_N) > 0, 1.0, -1.0)[:, None]
  signed_NK = np.hstack([sign_N1 * x_NK, sign_N1])
  free_K = np.ones(signed_NK.shape[1])
  free_K[-1] = 0.0
  found = path(signed_NK, [float(l2) * free_K for l2 in l2s], gradient)
  for l2, (_, weight_K) in zip(l2s, found, strict=True):
    yield l2, weight_K[:-1], float(weight_K[-1])
