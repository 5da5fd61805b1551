"""A policy's gain beside that of the frontier: their bows, and its efficiency.

The frontier (`frontier.curve`) is the most that any policy gains at a KL from
the same pi_0, under the same scorer, on prompts of the same kind. Where it
bends, no policy that comes near it can be straight.
"""

import math

import numpy as np
import pandas as pd

from rlhf_jax.analysis import fits, kl_reward

POINTS = 6  # checkpoints of a window
LEAST = 0.25  # of the frontier's gain: with less, a gain has no shape
RANGE = (0.5, 1.5)  # of sqrt(KL), in which efficiencies are compared
RANGE_POINTS = 4  # checkpoints in it


def edge_at(edge: pd.DataFrame, root_N) -> np.ndarray:
  """The frontier's gain at some sqrt(KL), NaN beyond its last point.

  Args:
    edge: rows of `frontier.curve`: kl, gain.
    root_N: sqrt of nats per reply.
  """
  edge = edge.sort_values('kl')
  edge_N = np.append(0, np.sqrt(np.maximum(edge['kl'], 0)))
  gain_N = np.append(0, edge['gain'])
  return np.interp(root_N, edge_N, gain_N, right=math.nan)


def bow_from_origin(root_N, gain_N) -> float:
  """The bow of a parabola through pi_0, whose gain of 0 at KL 0 is measured.

    q(x) = c1 x + c2 x^2,   bow = c2 h^2 / 4 / q(h),   h = max x

  It is that of `fits.quadratic_bow` on [0, h]; without a free intercept its
  variance is less than half as large.

  Args:
    root_N: sqrt(KL).
    gain_N: over pi_0.
  """
  x_N = np.asarray(root_N, float)
  c1, c2 = fits.least_squares(np.stack([x_N, x_N**2], 1), gain_N).coefficient_K
  h = x_N.max()
  end = c1 * h + c2 * h**2
  return float(c2 * h**2 / 4 / end) if end else math.nan


def matched_bows(
  run: pd.DataFrame, gain: str, edge: pd.DataFrame
) -> tuple[float, float]:
  """Bows of a policy and of its frontier over the same points of sqrt(KL).

  The points are the checkpoints of the early window (`kl_reward`) that the
  frontier reaches; the frontier is interpolated there, so that both parabolas
  are fitted on one window.

  Args:
    run: checkpoints: samples, kl, kl_se and the gain.
    gain: column of the gain over pi_0.
    edge: rows of `frontier.curve`.

  Returns:
    (of the policy, of the frontier); NaN for fewer than 6 points, a window of
    less than 10 times in KL, or a policy that gains less than a quarter of what
    the frontier does, in the mean.
  """
  window = kl_reward.early_window(run)
  best_N = edge_at(edge, np.sqrt(window['kl'].to_numpy(float)))
  window, best_N = window[np.isfinite(best_N)], best_N[np.isfinite(best_N)]
  kl_N = window['kl'].to_numpy(float)
  if len(kl_N) < POINTS or kl_N.max() < kl_reward.WINDOW_SPAN * kl_N.min():
    return math.nan, math.nan
  root_N, gain_N = np.sqrt(kl_N), window[gain].to_numpy(float)
  if not gain_N.mean() >= LEAST * best_N.mean():
    return math.nan, math.nan
  return bow_from_origin(root_N, gain_N), bow_from_origin(root_N, best_N)


def slopes_of(table_SC: np.ndarray, x_C: np.ndarray) -> np.ndarray:
  """The least-squares slope of each row on x.

    slope_s = sum_c (x_c - mean x) y_sc / sum_c (x_c - mean x)^2

  x is the same for all rows: a slope on an x that has the noise of its own row
  would be too small.

  Args:
    table_SC: y; rows are seeds, columns combinations.
    x_C: of each combination.
  """
  deviation_C = x_C - x_C.mean()
  return table_SC @ deviation_C / (deviation_C**2).sum()


def efficiency(kl_N, gain_N, edge: pd.DataFrame) -> float:
  """A policy's share of the frontier's gain, over a fixed range of sqrt(KL).

    sum_i gain_i best_i / sum_i best_i^2,   .5 <= sqrt(KL_i) <= 1.5

  the least-squares share, best_i the frontier's gain at the KL of checkpoint i.
  NaN for fewer than 4 checkpoints there, or a frontier that ends before 1.5.

  Args:
    kl_N: of checkpoints, nats per reply.
    gain_N: over pi_0.
    edge: rows of `frontier.curve`.
  """
  root_N = np.sqrt(np.maximum(np.asarray(kl_N, float), 0))
  inside_N = (root_N >= RANGE[0]) & (root_N <= RANGE[1])
  if inside_N.sum() < RANGE_POINTS or np.isnan(edge_at(edge, RANGE[1])):
    return math.nan
  best_N = edge_at(edge, root_N[inside_N])
  gain_N = np.asarray(gain_N, float)[inside_N]
  return float((gain_N * best_N).sum() / (best_N**2).sum())
