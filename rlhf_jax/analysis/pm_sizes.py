"""Train and test PMs by size: gaps at equal gain, divergence; passes of PPO.

Source: Bai et al. 2022, section 4.2, Figs. 4, 13 and 33; B.1.
"""

import math

import numpy as np
import pandas as pd

from rlhf_jax.analysis import robustness
from rlhf_jax.analysis.findings import keep, last, select

DIVERGED = 0.1  # of the train gain: a gap that is larger is a divergence
PASSES = {1: 'passes_1', 2: 'linear', 4: 'passes_4'}  # number -> role


def gaps_by_size(runs: pd.DataFrame) -> pd.DataFrame:
  """`robustness.symmetric_gap` under each size of PM.

  Args:
    runs: rows of rl_curve.csv of long runs, `pm_size` their train PM's.

  Returns:
    Rows of pm_size, seed, samples, gap, train_gain.
  """
  found = [
    robustness.symmetric_gap(own).assign(pm_size=size)
    for size, own in runs.groupby('pm_size')
  ]
  return pd.concat(found, ignore_index=True)


def gap_at(curve: pd.DataFrame, gain: float) -> float:
  """The gap where the train gain first reaches `gain`, over that gain.

  Between two checkpoints the gap is a straight line in the gain; NaN where the
  gain is never reached, or is not above 0.

  Args:
    curve: one PM pair: samples, gap, train_gain; starts at no gain.
    gain: of the train PM, log-odds.
  """
  curve = curve.sort_values('samples')
  gain_N = curve['train_gain'].to_numpy(float)
  gap_N = curve['gap'].to_numpy(float)
  above = np.flatnonzero(gain_N >= gain)
  if gain <= 0 or not len(above) or above[0] == 0:
    return math.nan
  i = above[0]
  share = (gain - gain_N[i - 1]) / (gain_N[i] - gain_N[i - 1])
  return float((gap_N[i - 1] + share * (gap_N[i] - gap_N[i - 1])) / gain)


def diverged_at(curve: pd.DataFrame) -> float:
  """Share of the samples after which the gap is above 10 % of the gain.

  The first checkpoint of all that follow it without exception, from 10 % of the
  samples on (before, there is no gain to speak of); 1 if there is none.

  Args:
    curve: as of `gap_at`.
  """
  curve = curve.sort_values('samples')
  share_N = curve['samples'].to_numpy(float) / curve['samples'].max()
  curve, share_N = curve[share_N >= 0.1], share_N[share_N >= 0.1]
  parted_N = (curve['gap'] > DIVERGED * curve['train_gain']).to_numpy()
  held = np.flatnonzero(~parted_N)
  first = held[-1] + 1 if len(held) else 0
  return float(share_N[first]) if first < len(share_N) else 1.0


def final_gains(tables, role) -> pd.DataFrame:
  """Train-PM gain at the end of the smallest linear policy's runs of a role."""
  curve = select(tables, 'rl_curve', role=role)
  curve = curve[curve['n_params'] == curve['n_params'].min()]
  start = curve.sort_values('samples').groupby('run_id')['train_pm'].first()
  end = last(curve, 'samples')
  return end.assign(gain=end['train_pm'] - end['run_id'].map(start))


def gains_by_passes(tables) -> pd.DataFrame:
  """`final_gains` of each number of passes: a row a seed that has them all.

  Raises:
    NotRunError: if no seed has.
  """
  gain = {
    k: final_gains(tables, role).set_index('seed')['gain']
    for k, role in PASSES.items()
  }
  gain = pd.DataFrame(gain).dropna()
  return keep(gain, 'seeds with runs of every number of passes')


def jackknife_log_ratio(top_N, under_N) -> np.ndarray:
  """Pseudo-values of log(var top / var under) over paired runs.

    n L - (n - 1) L_(-i),   L = log(var(top) / var(under))

  Their t-interval is that of the ratio, whatever the runs share by pairs.

  Reference: Miller 1968, "Jackknifing variances", Ann. Math. Statist. 39.

  Args:
    top_N: a value a run.
    under_N: of the runs that they are paired with.
  """
  top_N, under_N = np.asarray(top_N, float), np.asarray(under_N, float)
  n = len(top_N)
  if n < 3 or n != len(under_N):
    return np.full(n, math.nan)
  ratio = lambda keep: math.log(
    top_N[keep].var(ddof=1) / under_N[keep].var(ddof=1)
  )
  left = np.array([ratio(np.arange(n) != i) for i in range(n)])
  return n * ratio(np.ones(n, bool)) - (n - 1) * left
