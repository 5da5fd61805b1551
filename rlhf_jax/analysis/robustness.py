"""Train PM against test PM in the long runs.

Source: Bai et al. 2022, section 4.2 and Fig. 4. Each half of the comparisons
serves as train PM in turn and the gap is averaged over the two directions: one
PM may score everything off-distribution higher, which cancels. The unit of
replication is the PM pair, which is the seed.
"""

import math

import pandas as pd

from rlhf_jax.analysis import fits

# Shares of the samples. The rate of learning rises over the first tenth (6 of
# 52 iterations), and pi_0 itself has no gap by construction (each PM takes both
# parts): agreement there would show nothing.
EARLY = (0.10, 0.20)
LATE_FRACTION = 0.25
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
  """Mean gap of each PM pair over the samples from 10 to 20 %."""
  early = gap[(gap['samples'] / gap['samples'].max()).between(*EARLY)]
  return early.groupby('seed')['gap'].mean()


def late_gap(gap: pd.DataFrame) -> pd.DataFrame:
  """Means over the last 25 % of samples: one row a PM pair."""
  limit = (1 - LATE_FRACTION) * gap['samples'].max()
  late = gap[gap['samples'] >= limit]
  return late.groupby('seed')[['gap', 'train_gain']].mean()


def growth(gap: pd.DataFrame) -> list[float]:
  """Spearman of gap and samples after the early window, of each PM pair.

  NaN where fewer than four checkpoints follow it.
  """
  later = gap[gap['samples'] > EARLY[1] * gap['samples'].max()]
  return [
    fits.spearman(group['samples'], group['gap'])
    if len(group) >= MIN_POINTS
    else math.nan
    for _, group in later.groupby('seed')
  ]
