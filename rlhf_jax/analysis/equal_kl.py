"""Policies of several algorithms at equal KL, seed by seed.

KL is the exact per-prefix sum, in nats per reply. Gains are over the run's own
first checkpoint, pi_0.
"""

import math

import numpy as np
import pandas as pd

from rlhf_jax.analysis.findings import NotRunError, keep
from rlhf_jax.analysis.intervals import Interval, t_interval

SCORES = {'train': 'train_pm', 'test': 'test_pm', 'gold': 'gold'}
GRID = 4
# Roles of a real model, as those of the simulated world are called.
REAL = {f'real_{name}': f'by_{name}' for name in ('rloo', 'grpo', 'dpo')}


def gain_at(run: pd.DataFrame, column: str, root_N) -> np.ndarray:
  """Gain of one run at these values of sqrt(KL), by straight lines.

  A checkpoint whose KL is not above that of all before it is left out; beyond
  the largest one the gain is NaN.

  Args:
    run: checkpoints, of which the first is pi_0.
    column: score.
    root_N: sqrt(KL).
  """
  run = run.sort_values('iteration')
  found_N = np.sqrt(run['kl'].clip(lower=0).to_numpy(float))
  gain_N = run[column].to_numpy(float) - run[column].iloc[0]
  keep_N = np.append(True, found_N[1:] > np.maximum.accumulate(found_N)[:-1])
  return np.interp(root_N, found_N[keep_N], gain_N[keep_N], right=math.nan)


def common_roots(curve: pd.DataFrame) -> np.ndarray:
  """GRID values of sqrt(KL) that every run passes, in equal steps from 0."""
  reach = np.sqrt(curve.groupby('run_id')['kl'].max().clip(lower=0).min())
  return reach * np.arange(1, GRID + 1) / GRID


def gains(curve: pd.DataFrame) -> pd.DataFrame:
  """A row a run, scorer and value of `common_roots`.

  Args:
    curve: rows of rl_curve.csv, one run a role and seed.

  Returns:
    role, seed, scorer, root, gain.
  """
  root_N, rows = common_roots(curve), []
  for (role, seed), run in curve.groupby(['role', 'seed']):
    for scorer, column in SCORES.items():
      gain_N = gain_at(run, column, root_N)
      rows += [
        {'role': role, 'seed': seed, 'scorer': scorer, 'root': x, 'gain': y}
        for x, y in zip(root_N, gain_N, strict=True)
      ]
  return pd.DataFrame(rows)


def of_real_model(curve: pd.DataFrame) -> pd.DataFrame:
  """Rows of a real model's policies, with the roles of the simulated ones.

  PPO is its linear run, as far as it had written as many replies as RLOO and
  GRPO, of the seeds that have others.

  Args:
    curve: rl_curve.

  Raises:
    NotRunError: if there is none besides PPO.
  """
  others = keep(curve, 'rl_curve.csv', role=list(REAL))
  ppo = curve[(curve['role'] == 'linear') & (curve['half'] == 'a')]
  ppo = ppo[ppo['seed'].isin(others['seed'])]
  ppo = ppo[ppo['size'].isin(others['size'])]
  ppo = ppo[ppo['samples'] <= others['samples'].max()].assign(role='by_ppo')
  return pd.concat([ppo, others.replace({'role': REAL})], ignore_index=True)


def less_than(found: pd.DataFrame, role: str, other: str) -> pd.DataFrame:
  """Gain of a role less that of another, paired by seed.

  Args:
    found: of `gains`.
    role: whose gain it is.
    other: what is taken away.

  Returns:
    scorer, root, mean, low, high, seeds: 95 % t-intervals over seeds.

  Raises:
    NotRunError: if no seed has both.
  """
  keys = ['scorer', 'root', 'seed']
  one, two = (
    keep(found, 'rl_curve.csv', role=x).set_index(keys)['gain']
    for x in (role, other)
  )
  apart = (one - two.reindex(one.index)).dropna()
  if apart.empty:
    raise NotRunError(f'no seed has a gain of {role} and of {other}')
  rows = []
  for (scorer, root), values in apart.groupby(level=['scorer', 'root']):
    made: Interval = t_interval(values)
    row = {'scorer': scorer, 'root': root, 'seeds': made.n}
    rows.append(row | {'mean': made.mean, 'low': made.low, 'high': made.high})
  return pd.DataFrame(rows)
