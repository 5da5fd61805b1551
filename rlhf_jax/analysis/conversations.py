"""Intervals over conversations, where one cross-fitted model is all there is.

Pairs of a conversation are resampled together: conversations are drawn with
replacement, as many as there are, and a statistic is computed on each draw.
Nothing here says what other training pairs would give.
"""

import numpy as np
import pandas as pd

from rlhf_jax.analysis.intervals import Contrast, Interval

DRAWS = 1000
ENDS = (0.025, 0.975)


def counts(group_N, draws: int = DRAWS, seed: int = 0) -> np.ndarray:
  """How often each unit is in each draw: [draws, N], the same in a group."""
  _, place_N = np.unique(np.asarray(group_N), return_inverse=True)
  groups = int(place_N.max()) + 1
  rng = np.random.default_rng(seed)
  drawn_DG = rng.multinomial(groups, np.full(groups, 1 / groups), size=draws)
  return drawn_DG[:, place_N]


def mean_draws(x_NM, group_N, draws: int = DRAWS) -> np.ndarray:
  """Means over the units of each draw, [draws, M].

    mean* = sum_n count_n x_n / sum_n count_n

  NaN in x: the unit has no such value, and its mean is over the others.
  """
  x_NM = np.asarray(x_NM, float)
  count_DN, known_NM = counts(group_N, draws), np.isfinite(x_NM)
  total_DM = count_DN @ np.where(known_NM, x_NM, 0.0)
  return total_DM / (count_DN @ known_NM)


def resampled(frame: pd.DataFrame, measure, group: str, draws: int = DRAWS):
  """A frame of what `measure` gives on each draw of the rows.

  Args:
    frame: a row a unit.
    measure: frame -> {name: number}.
    group: column of the conversation.
    draws: how many.
  """
  count_DN = counts(frame[group], draws)
  rows = np.arange(len(frame))
  return pd.DataFrame(
    [measure(frame.iloc[np.repeat(rows, n_N)]) for n_N in count_DN]
  )


def interval(value: float, draw_D, units: int) -> Interval:
  """The percentile interval of a statistic; NaN if a draw is not finite.

  Args:
    value: on the units themselves.
    draw_D: on each draw.
    units: conversations.
  """
  draw_D = np.asarray(draw_D, float)
  if not np.isfinite(draw_D).all():
    return Interval(float(value), np.nan, np.nan, units)
  low, high = np.quantile(draw_D, ENDS)
  return Interval(float(value), float(low), float(high), units)


def contrast(name, value, draw_D, side, bound, units) -> Contrast:
  """A contrast on the interval of a statistic over conversations."""
  return Contrast(name, interval(value, draw_D, units), bound, side)
