"""Train PM against test PM in the long runs.

Source: Bai et al. 2022, section 4.2 and Fig. 4. Each half of the comparisons
serves as train PM in turn and the gap is averaged over the two directions: one
PM may score everything off-distribution higher, which cancels. The unit of
replication is the PM pair, which is the seed.
"""

import math

import numpy as np
import pandas as pd

from rlhf_jax.analysis import fits, intervals

EARLY_FRACTION = 0.10
LATE_FRACTION = 0.25
DIVERGENCE_ERRORS = 2.0
MIN_POINTS = 4


def symmetric_gap(runs: pd.DataFrame) -> pd.DataFrame:
  """gap(samples) = mean over both directions of (train PM - test PM).

  Args:
    runs: rows of `rl_curve.csv` with role `robust`.

  Returns:
    One row a (seed, samples): gap and train_gain, the mean train PM less that
    of the run's first checkpoint. Seeds without both directions are left out,
    and so are checkpoints that only one direction has. Several policy sizes
    under one PM pair are averaged: they are no new unit.
  """
  runs = runs.sort_values('samples')
  first = runs.groupby('run_id')['train_pm'].transform('first')
  frame = runs.assign(
    gap=runs['train_pm'] - runs['test_pm'],
    train_gain=runs['train_pm'] - first,
  )
  keys = ['seed', 'size', 'samples']
  directed = frame.groupby([*keys, 'half'], as_index=False)[
    ['gap', 'train_gain']
  ].mean()
  both = directed.groupby(keys)['half'].transform('nunique') == 2
  columns = ['gap', 'train_gain']
  return (
    directed[both].groupby(['seed', 'samples'], as_index=False)[columns].mean()
  )


def early_gap(gap: pd.DataFrame) -> pd.Series:
  """Mean gap of each PM pair over the first 10 % of samples, pi_0 excluded."""
  limit = EARLY_FRACTION * gap['samples'].max()
  early = gap[(gap['samples'] > 0) & (gap['samples'] <= limit)]
  return early.groupby('seed')['gap'].mean()


def late_gap(gap: pd.DataFrame) -> pd.DataFrame:
  """Means over the last 25 % of samples: one row a PM pair."""
  limit = (1 - LATE_FRACTION) * gap['samples'].max()
  late = gap[gap['samples'] >= limit]
  return late.groupby('seed')[['gap', 'train_gain']].mean()


def in_errors(values) -> float:
  """|mean| in standard errors over the PM pairs; NaN for fewer than two."""
  value_N = np.asarray(values, float)
  if len(value_N) < 2:
    return math.nan
  error = value_N.std(ddof=1) / math.sqrt(len(value_N))
  mean = abs(value_N.mean())
  return float(mean / error) if error > 0 else (math.inf if mean else 0.0)


def divergence_samples(gap: pd.DataFrame) -> float:
  """Samples at the first of two checkpoints in a row with a gap above 2 s.e.

  Mean and standard error are taken over the PM pairs. With three of them one
  checkpoint without any true gap exceeds 2 s.e. 9 % of the time, hence the
  second one; what persists in the gap of a pair is not averaged out by it.
  NaN when it never happens; the last checkpoint alone is no divergence.
  """
  previous, was_apart = math.nan, False
  for samples, group in gap[gap['samples'] > 0].groupby('samples'):
    positive = group['gap'].mean() > 0
    apart = positive and in_errors(group['gap']) > DIVERGENCE_ERRORS
    if apart and was_apart:
      return float(previous)
    previous, was_apart = samples, apart
  return math.nan


def growth(gap: pd.DataFrame) -> intervals.Interval:
  """Spearman of gap and samples after the divergence, over the PM pairs.

  NaN when the PMs never diverge or fewer than four checkpoints follow.
  """
  start = divergence_samples(gap)
  later = gap[gap['samples'] >= start]
  per_pair = [
    fits.spearman(group['samples'], group['gap'])
    if len(group) >= MIN_POINTS
    else math.nan
    for _, group in later.groupby('seed')
  ]
  return intervals.t_interval(per_pair)
