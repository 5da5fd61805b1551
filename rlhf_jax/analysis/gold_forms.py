"""Gold against d = sqrt(KL), in the two forms of Gao et al. 2022.

    best-of-n   R(d) = d (alpha - beta d)
    RL          R(d) = d (alpha - beta log d)

R is the gain in gold over pi_0, 0 at d = 0. Both are linear in alpha and beta.

Source: Gao, Schulman and Hilton 2022 (arXiv:2210.10760), equations 1 and 2.
"""

import math

import numpy as np

from rlhf_jax.analysis import fits

POINTS = 6


def best_of_n_design(d_N) -> np.ndarray:
  """Columns (d, -d^2), whose coefficients are alpha and beta."""
  d_N = np.asarray(d_N, float)
  return np.stack([d_N, -(d_N**2)], 1)


def rl_design(d_N) -> np.ndarray:
  """Columns (d, -d log d), whose coefficients are alpha and beta."""
  d_N = np.asarray(d_N, float)
  return np.stack([d_N, -d_N * np.log(d_N)], 1)


def fit_forms(kl_N, gain_N, own) -> dict[str, float]:
  """Both forms on one curve; which of them is its own is said beforehand.

  Args:
    kl_N: nats per reply; points at 0 are left out.
    gain_N: of gold over pi_0.
    own: 'best_of_n' or 'rl'.

  Returns:
    alpha, beta, r2 of the curve's own form; aic, that of its own form less that
    of the other, below 0 where its own describes it better. NaN for fewer than
    6 points.
  """
  kl_N, gain_N = np.asarray(kl_N, float), np.asarray(gain_N, float)
  d_N, gain_N = np.sqrt(kl_N[kl_N > 0]), gain_N[kl_N > 0]
  if len(d_N) < POINTS:
    return dict.fromkeys(('alpha', 'beta', 'r2', 'aic'), math.nan)
  designs = {'best_of_n': best_of_n_design, 'rl': rl_design}
  (other,) = designs.keys() - {own}
  fit = fits.least_squares(designs[own](d_N), gain_N)
  apart = fit.aic - fits.least_squares(designs[other](d_N), gain_N).aic
  alpha, beta = map(float, fit.coefficient_K)
  return {'alpha': alpha, 'beta': beta, 'r2': float(fit.r2), 'aic': apart}
