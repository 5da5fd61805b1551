"""The part of the variance over seeds that lies in what seeds share.

Seeds of one study share its texts, language models, comparisons and held-out
prompts. With S draws of those and R seeds of each, one-way random effects tell
the two apart:

  y_sr = mean + a_s + e_sr,   Var(a) = between, Var(e) = within
  MSB = sum_s R_s (y_s - y)^2 / (S - 1),   MSW = sum_sr (y_sr - y_s)^2 / (N - S)
  within = MSW,   between = (MSB - MSW) / R0,   share = between / (both)

N runs in all; R0 = (N - sum_s R_s^2 / N) / (S - 1) is R where each draw has R
seeds, and a little less than their mean where some run measured nothing.

An interval over the n seeds of one study covers the mean over seeds of that
draw; the mean over draws varies by between + within / n.

Reference: Searle, Casella and McCulloch 1992, "Variance components", section
3.6 (the interval of the share, by F).
"""

import dataclasses
import math

import numpy as np
import pandas as pd
from scipy import stats

from rlhf_jax.analysis import kl_reward, scaling
from rlhf_jax.analysis.claims import ppo, sqrt_kl
from rlhf_jax.analysis.findings import NotRunError, last, select

SEEDS = 8  # of a study, for the width that its intervals lack


@dataclasses.dataclass(frozen=True)
class Nested:
  """Variance between and within draws.

  Attributes:
    mean: over all.
    between: of what seeds share; 0 where its estimate is below.
    within: of seeds that share it.
    share: between / (between + within).
    low: lower end of its 95 % interval, at least 0.
    high: upper end of it.
    draws: S.
    seeds: R, of each draw, at most.
    runs: N, those that measured something.
  """

  mean: float
  between: float
  within: float
  share: float
  low: float
  high: float
  draws: int
  seeds: int
  runs: int

  def widening(self, seeds: int = SEEDS) -> float:
    """Standard error of a study's mean over what its seeds alone tell.

    sqrt((between + within / n) / (within / n))
    """
    error = self.within / seeds
    return math.sqrt((self.between + error) / error) if error else math.nan


def one_way(value_SR, level: float = 0.95) -> Nested:
  """Components of variance of groups, and the F interval of the share.

    F = MSB / MSW;  F / F[1 - a/2] <= 1 + R0 between / within <= F / F[a/2]

  at S - 1 and N - S degrees of freedom, so that with f such an end the
  share's is (f - 1) / (f - 1 + R0): exact where groups are equal.

  Args:
    value_SR: rows are draws, columns their seeds; NaN where nothing was
      measured, which is left out.
    level: of the interval.

  Raises:
    ValueError: for fewer than two draws, or seeds of each.
  """
  value_SR = np.asarray(value_SR, float)
  S, R = value_SR.shape
  there_SR = ~np.isnan(value_SR)
  count_S = there_SR.sum(1)
  if S < 2 or count_S.min() < 2:
    raise ValueError(
      f'wanted two draws of two seeds or more, got {S} of {count_S.min()}'
    )
  N = int(count_S.sum())
  mean, mean_S = np.nanmean(value_SR), np.nanmean(value_SR, axis=1)
  msb = (count_S * (mean_S - mean) ** 2).sum() / (S - 1)
  msw = np.nansum((value_SR - mean_S[:, None]) ** 2) / (N - S)
  usual = (N - (count_S**2).sum() / N) / (S - 1)
  between = max(0.0, (msb - msw) / usual)
  total = between + msw
  ratio = msb / msw if msw else math.inf
  ends = [
    _share(ratio / stats.f.ppf((1 + sign * level) / 2, S - 1, N - S), usual)
    for sign in (1, -1)
  ]
  share = between / total if total else math.nan
  found = (float(x) for x in (mean, between, msw, share))
  return Nested(*found, *ends, S, R, N)


def _share(f, R):
  """Share of the variance at (MSW + R between) / MSW = f, at least 0."""
  if math.isinf(f):
    return 1.0
  return float(max(0.0, (f - 1) / (f - 1 + R)))


def measured(tables) -> pd.DataFrame:
  """What a study of several draws measured, by run: draw, seed, name, value."""
  rows = []
  curve = last(select(tables, 'pm_curve', role='scaling'), 'pairs')
  own = curve[curve['train_subset'] == curve['eval_subset']]
  column = scaling.accuracy_column(own)
  rows += _rows(own, f'PM {column.replace("_", " ")}', own[column])
  gain = ppo.change(tables, 'train_pm')
  rows += _rows(gain, 'gain of PPO', gain['change'])
  fitted = sqrt_kl.fitted(tables, 'train')
  for name, key in (('slope', 'slope'), ('bow', 'bow'), ('exponent', 'p')):
    rows += _rows(fitted, f'{name} of reward on KL', fitted[key])
  pi0 = select(tables, 'rl_pi0', role='linear', scorer='train')
  means = [
    kl_reward.pi0_score(pi0, run_id, 'train') for run_id in pi0['run_id']
  ]
  rows += _rows(pi0, 'score of pi_0', means)
  return pd.DataFrame(rows)


def _rows(frame, name, values):
  """Draw and seed of each run; the draw is the folder that it lies in."""
  for run_id, seed, value in zip(
    frame['run_id'], frame['seed'], values, strict=True
  ):
    draw = run_id.split('/')[0]
    if not draw.startswith('draw'):
      raise NotRunError(f'{run_id} is of no draw: wanted a study of several')
    yield {'draw': draw, 'seed': seed, 'name': name, 'value': float(value)}


def table(tables) -> pd.DataFrame:
  """A row a quantity: its components, their share with interval, widening."""
  rows = []
  for name, own in measured(tables).groupby('name', sort=False):
    groups = [group['value'].to_numpy() for _, group in own.groupby('draw')]
    found = one_way(np.stack(groups))
    row = {'quantity': name} | dataclasses.asdict(found)
    rows.append(row | {'widening': found.widening()})
  return pd.DataFrame(rows)
