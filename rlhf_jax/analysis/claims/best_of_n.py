"""Claims 33 to 36: best-of-n beside PPO (Bai et al., 4.3; Gao et al.)."""

import math

import numpy as np
import pandas as pd

from rlhf_jax.analysis import best_of_n, elo, fits, gold_forms
from rlhf_jax.analysis.claims.bows import LABELS
from rlhf_jax.analysis.claims.spec import BAI, GAO, ClaimSpec, Table, Theme
from rlhf_jax.analysis.drawings.best_of_n import gold_and_forms
from rlhf_jax.analysis.findings import (
  Finding,
  NotRunError,
  contrast,
  contrasts_by_size,
  keep,
  largest,
  select,
)

STEPS = (1, 4, 16, 64)
STRAIGHT = (-1.0, 1.0)
STRAIGHT_POINTS, STRAIGHT_SPAN = 8, 10.0
FROM_ROOT = 0.5  # of sqrt(KL), where best-of-n and PPO are compared
SAME_POINTS = 4
NO_GAIN = 0.05
CHOICES = 64  # n at which PMs of few pairs are compared
LONG_RUNS = ('robust', 'under_')


def choices(tables, scorer, **where) -> pd.DataFrame:
  """Rows of what a train PM chooses on prompts of all kinds, by n."""
  frame = select(tables, 'best_of_n', subset='all', **where)
  own = best_of_n.measured_by(frame, scorer, 'train')
  return keep(own, f'best_of_n.csv, chosen by train, measured by {scorer},')


def best_of_k(tables) -> Finding:
  """Claim 33: Elo of best-of-k by workers, and the bow of the reward."""
  won = largest(choices(tables, 'worker', role='linear'))
  rate = won.assign(rate=0.5 + won['gain']).pivot_table(
    index='seed', columns='n', values='rate'
  )
  missing = [k for k in STEPS[1:] if k not in rate]
  if missing:
    raise NotRunError(f'best_of_n.csv has no rows of n = {missing[0]}')
  rating = {1: 0.0 * rate[STEPS[1]]}
  rating |= {k: elo.elo_from_win_rate(rate[k]) for k in STEPS[1:]}
  contrasts = [
    contrast(f'elo_{k}_minus_{j}', rating[k] - rating[j], '>', 0.0)
    for j, k in zip(STEPS, STEPS[1:], strict=False)
  ]
  reward = largest(choices(tables, 'train', role='linear'))
  bows = [reward_bow(own) for _, own in reward.groupby('seed')]
  contrasts.append(contrast('bow_units', bows, 'inside', STRAIGHT))
  top = reward.groupby('n')[['kl', 'gain']].mean().iloc[-1]
  measured = {f'elo_{k}': float(np.mean(rating[k])) for k in STEPS[1:]}
  return Finding(
    contrasts,
    measured
    | {'sqrt_kl_last': math.sqrt(top['kl']), 'gain_last': float(top['gain'])},
    'workers of the world judge; sqrt(KL) of ranks, ties included',
  )


def reward_bow(rows) -> float:
  """`fits.bow_in_units` of one curve; NaN of a short one, as for claim 13."""
  kl_N = rows['kl'].to_numpy(float)
  if len(kl_N) < STRAIGHT_POINTS or kl_N.max() < STRAIGHT_SPAN * kl_N.min():
    return math.nan
  return fits.bow_in_units(np.sqrt(kl_N), rows['gain'].to_numpy(float))


def differences(tables) -> pd.DataFrame:
  """Best-of-n less PPO at equal KL, in gold and by the train PM.

  A row a linear run: means over its checkpoints from sqrt(KL) = .5 to the last
  point of best-of-n, at whose KL best-of-n is interpolated on sqrt(KL). NaN
  with fewer than 4 such checkpoints.
  """
  curve = select(tables, 'rl_curve', role='linear')
  pi0 = select(tables, 'rl_pi0', role='linear')
  keys, rows = ['size', 'half', 'seed'], []
  chosen = {name: choices(tables, name, role='linear') for name in SCORES}
  for key, run in curve.groupby(keys):
    own = dict(zip(keys, key, strict=True))
    row = own | {'n_params': run['n_params'].iloc[0]}
    for name, column in SCORES.items():
      best = keep(chosen[name], 'best_of_n.csv', **own).sort_values('kl')
      start = keep(pi0, 'rl_pi0.csv', scorer=name, **own)['mean'].mean()
      row[name] = _at_equal_kl(best, run['kl'], run[column] - start)
    rows.append(row)
  return pd.DataFrame(rows)


SCORES = {'gold': 'gold', 'train': 'train_pm'}


def _at_equal_kl(best, kl_N, gain_N):
  """Mean of best-of-n's gain less a policy's, where both are known."""
  root_N = np.sqrt(np.maximum(kl_N.to_numpy(float), 0))
  edge = np.append(0, np.sqrt(best['kl']))
  inside_N = (root_N >= FROM_ROOT) & (root_N <= edge[-1])
  if inside_N.sum() < SAME_POINTS:
    return math.nan
  there_N = np.interp(root_N[inside_N], edge, np.append(0, best['gain']))
  return float((there_N - gain_N.to_numpy(float)[inside_N]).mean())


def spends_better(tables) -> Finding:
  """Claim 34: gold and train PM of best-of-n less those of PPO."""
  rows = differences(tables)
  contrasts = [
    found
    for name in SCORES
    for found in contrasts_by_size(rows, name, '>=', 0.0)
  ]
  return Finding(contrasts, {}, 'best-of-n less PPO at equal KL, log-odds')


def long_runs(tables) -> pd.DataFrame:
  """Checkpoints of RL runs by train PM size; gold as a gain over pi_0."""
  curve = select(tables, 'rl_curve')
  curve = curve[curve['role'].str.startswith(LONG_RUNS)]
  curve = keep(curve, 'rl_curve.csv of long runs').sort_values('samples')
  start = curve.groupby('run_id')['gold'].transform('first')
  pm = curve['pm_size'].map(_sizes_of(tables))
  return curve.assign(gain=curve['gold'] - start, pm_params=pm)


def _sizes_of(tables):
  """{ladder name: parameters} of every preference model."""
  curve = select(tables, 'pm_curve')
  return curve.groupby('size')['n_params'].min().to_dict()


def fitted_forms(tables) -> pd.DataFrame:
  """Fits of `gold_forms.fit_forms`: a row a curve, `way` best_of_n or rl."""
  best = choices(tables, 'gold', role='best_of_n')
  best = best[best['pm_pairs'] == best['pm_pairs'].max()]
  found = []
  for way, frame in (('best_of_n', best), ('rl', long_runs(tables))):
    for key, rows in frame.groupby(['seed', 'pm_params', 'half']):
      fit = gold_forms.fit_forms(rows['kl'], rows['gain'], way)
      names = ('seed', 'pm_params', 'half')
      found.append(dict(zip(names, key, strict=True)) | fit | {'way': way})
  return pd.DataFrame(found)


def gold_follows_forms(tables) -> Finding:
  """Claim 35: AIC of each form on its own data, and the slope of beta."""
  rows = fitted_forms(tables)
  contrasts, measured = [], {}
  for way, own in rows.groupby('way'):
    apart = own.groupby('seed')['aic'].agg(lambda v: v.mean(skipna=False))
    contrasts.append(contrast(f'aic_{way}', apart, '<', 0.0))
    if own['pm_params'].nunique() < 2:
      raise NotRunError(f'{way}: one PM size; wanted another to compare')
    slopes = [_slope_on_size(seed) for _, seed in own.groupby('seed')]
    contrasts.append(contrast(f'beta_slope_{way}', slopes, '<', 0.0))
    for name in ('alpha', 'beta', 'r2'):
      measured[f'{name}_{way}'] = float(own[name].mean())
      for pm, group in own.groupby('pm_params'):
        measured[f'{name}_{way}_{pm:.0f}'] = float(group[name].mean())
  return Finding(contrasts, measured, 'beta on ln of the parameters of the PM')


def _slope_on_size(rows):
  """The slope of beta on ln PM size, halves averaged."""
  mean = rows.groupby('pm_params')['beta'].agg(lambda v: v.mean(skipna=False))
  if len(mean) < 3 or mean.isna().any():  # two points have no residual
    return math.nan
  return float(fits.line(np.log(mean.index), mean).coefficient_K[1])


def little_data(tables) -> Finding:
  """Claim 36: gold at n = 64 by PMs of the fewest pairs over that of all."""
  rows = choices(tables, 'gold', role='best_of_n', n=CHOICES)
  pairs = sorted(rows['pm_pairs'].unique())
  if len(pairs) < 2:
    raise NotRunError('PMs of one number of pairs; wanted others to compare')
  table = rows.pivot_table(
    index=['pm_params', 'seed'], columns='pm_pairs', values='gain'
  )
  share = table.div(table[pairs[-1]].where(table[pairs[-1]] > 0), axis=0)
  contrasts, measured = [], {'fewest_pairs': float(pairs[0])}
  for pm, own in share.groupby(level='pm_params'):
    name = f'share_{pm:.0f}'
    margin = (-NO_GAIN, NO_GAIN)
    contrasts.append(contrast(name, own[pairs[0]], 'inside', margin))
    for count in pairs[1:-1]:
      measured[f'{name}_{count:.0f}_pairs'] = float(own[count].mean())
    full = table.loc[pm, pairs[-1]]
    measured[f'full_gain_{pm:.0f}'] = float(full.mean())
  return Finding(contrasts, measured, f'gold gain of the best of {CHOICES}')


BEST_OF_N = Table(
  name='best_of_n',
  meaning='the best of n replies of pi_0 by one scorer, measured by one, from '
  'the same replies',
  columns=LABELS
  | {
    'scorer': '`train` or `test` PM, `gold`, or `worker`: the probability that '
    'one prefers the reply to one of pi_0',
    'chooser': 'the scorer that chooses; where it is lacking, the same one',
    'pm_params': 'parameters of the train PM without embeddings; 0: none',
    'pm_pairs': 'training pairs of the train PM; 0: all, or no PM',
    'n': 'replies of which the best is taken',
    'gain': 'its mean score less that of pi_0',
    'kl': 'log n - (n - 1) / n less what ties take off, nats per reply',
  },
  text=('scorer', 'subset', 'world', 'pm', 'chooser'),
  optional=('chooser', 'pm_params', 'pm_pairs'),
)
THEME = Theme(
  title='Best-of-n',
  claims=(
    ClaimSpec(
      33,
      'Best-of-k',
      'Elo rises over k = 1, 4, 16, 64 and reward is linear in the root of its '
      'KL.',
      f'{BAI}, Fig. 36, section 4.3',
      'each Elo step > 0; bow of reward in sqrt(KL) up to n = 1,024 inside '
      'those of KL^.4 and KL^.6, as claim 13; largest pi_0',
      best_of_k,
      tables=('best_of_n',),
      figure='gold_and_forms',
      pm_role='rl',
    ),
    ClaimSpec(
      34,
      'Best-of-n spends KL better',
      'At matched KL best-of-n has at least the reward of PPO.',
      GAO,
      'difference of gain >= 0 in gold and by the train PM, at every size; '
      'sqrt(KL) from .5 to that of the largest n',
      spends_better,
      tables=('best_of_n', 'rl_curve', 'rl_pi0'),
      figure='gold_and_forms',
      pm_role='rl',
    ),
    ClaimSpec(
      35,
      'Forms of over-optimisation',
      'Gold follows d (alpha - beta d) for best-of-n and '
      'd (alpha - beta log d) for RL, d = sqrt(KL).',
      GAO,
      'each form on its own data: AIC less that of the other form < 0; slope '
      'of beta on ln PM size < 0',
      gold_follows_forms,
      tables=('best_of_n', 'rl_curve', 'pm_curve'),
      figure='gold_and_forms',
      pm_role='robust',
    ),
    ClaimSpec(
      36,
      'Too little data, no gain',
      'Below about 2,000 comparisons (scaled to the task) gold gains nothing '
      'at any PM size.',
      GAO,
      'gold gain of the best of 64 by PMs of 2 % of the pairs inside 5 % of '
      'that of PMs of all pairs, at every PM size',
      little_data,
      tables=('best_of_n',),
      pm_role='rl',
    ),
  ),
  tables=(BEST_OF_N,),
  drawings=(gold_and_forms,),
  roles={
    'best_of_n': 'replies of pi_0, scored by PMs of all sizes and of few pairs',
    'few_256': 'a PM of 256 pairs, half a, which chooses the best of n',
    'scan': 'a PM as of role robust and of a smaller size',
    **{
      f'under_{size}': f'a run as of role robust, under a PM of size {size}'
      for size in ('3K', '13K')
    },
  },
)
