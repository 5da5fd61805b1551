"""Evaluators of the claims on the linear runs: 11 to 18 and 27."""

import functools
import math

import numpy as np
import pandas as pd

from rlhf_jax.analysis import fits, kl_reward
from rlhf_jax.analysis.findings import (
  Finding,
  NotRunError,
  contrast,
  runs_of_role,
  seed_means,
  select,
  sizes,
)
from rlhf_jax.analysis.intervals import Contrast, exact

MIN_PARALLEL_SIZES = 3
EQUAL_GAIN = 0.05
EXPONENT_MARGIN = (0.4, 0.6)


def _by_size(rows, column, side, bound):
  """One contrast a policy size, over seeds (the runs of a seed averaged)."""
  return [
    contrast(
      f'{column}_{size}',
      seed_means(rows[rows['size'] == size][['seed', column]])[column],
      side,
      bound,
    )
    for size in sizes(rows)
  ]


def _means_by_size(rows, *columns):
  return {
    f'{column}_{size}': float(rows[rows['size'] == size][column].mean())
    for column in columns
    for size in sizes(rows)
  }


def _change(tables, column):
  """First, last and last - first of a column, one row a linear run."""
  rows = [
    {
      **identity,
      'start': run[column].iloc[0],
      'end': run[column].iloc[-1],
      'change': run[column].iloc[-1] - run[column].iloc[0],
    }
    for identity, run in runs_of_role(tables, 'linear')
  ]
  return pd.DataFrame(rows)


def ppo_gain(tables) -> Finding:
  """Claim 11: train PM at the last checkpoint less that at pi_0."""
  rows = _change(tables, 'train_pm').rename(columns={'change': 'gain'})
  return Finding(_by_size(rows, 'gain', '>', 0.0))


def entropy(tables) -> Finding:
  """Claim 27: entropy, with the reply length beside it."""
  rows = _change(tables, 'entropy').rename(
    columns={
      'change': 'entropy_change',
      'start': 'entropy_start',
      'end': 'entropy_end',
    }
  )
  length = _change(tables, 'length').rename(
    columns={'start': 'length_start', 'end': 'length_end'}
  )
  return Finding(
    _by_size(rows, 'entropy_change', '<', 0.0),
    {
      **_means_by_size(rows, 'entropy_start', 'entropy_end'),
      **_means_by_size(length, 'length_start', 'length_end'),
    },
  )


def inert_penalty(tables) -> Finding:
  """Claim 12: kl_coef 0 against 0.001, paired by seed, size and half."""
  inert = {
    (i['seed'], i['size'], i['half']): run
    for i, run in runs_of_role(tables, 'inert')
  }
  rows = []
  for identity, run in runs_of_role(tables, 'linear'):
    other = inert.get(tuple(identity[k] for k in ('seed', 'size', 'half')))
    if other is None:
      continue
    shared = run.merge(other, on='samples', suffixes=('', '_inert'))
    if shared.empty or shared['samples'].iloc[-1] == 0:
      continue
    last = shared.iloc[-1]
    gain = last['train_pm'] - run['train_pm'].iloc[0]
    difference = last['train_pm_inert'] - last['train_pm']
    rows.append(
      {
        **identity,
        'difference': difference / gain if gain > 0 else math.nan,
        'gain': gain,
        'sqrt_kl': math.sqrt(max(last['kl'], 0.0)),
        'sqrt_kl_inert': math.sqrt(max(last['kl_inert'], 0.0)),
      }
    )
  if not rows:
    raise NotRunError('no run of role inert has its linear twin')
  rows = pd.DataFrame(rows)
  return Finding(
    _by_size(rows, 'difference', 'inside', (-EQUAL_GAIN, EQUAL_GAIN)),
    _means_by_size(rows, 'gain', 'sqrt_kl', 'sqrt_kl_inert'),
    'difference / gain; the final KL is not claimed to be equal',
  )


def _fitted(tables, scorer):
  """The early-window fit of every linear run; scorer 'train' or 'test'."""
  pi0 = select(tables, 'rl_pi0', role='linear', scorer=scorer)
  rows = []
  for identity, run in runs_of_role(tables, 'linear'):
    s0 = kl_reward.pi0_score(pi0, identity['run_id'], scorer)
    if math.isnan(s0):
      raise NotRunError(f'{identity["run_id"]}: score of pi_0 not measured')
    fit = kl_reward.fit_window(run, f'{scorer}_pm', s0)
    variance = kl_reward.within_variance(pi0, identity['run_id'], scorer)
    rows.append(
      {
        **identity,
        **{key: getattr(fit, key) for key in ('s0', 'slope', 'r2', 'bow')},
        'p': fit.p,
        'best': float(fit.best == 'sqrt') if fit.usable else math.nan,
        'limit': kl_reward.theory_slope(variance),
        'run': run,
      }
    )
  return pd.DataFrame(rows)


def _window_note(rows):
  short = int(rows['slope'].isna().sum())
  return f'{short} of {len(rows)} windows too short' if short else ''


def _linear(tables, scorer) -> Finding:
  """Claims 13 (scorer 'train') and 15 ('test')."""
  rows = _fitted(tables, scorer)
  bow = (-0.03, 0.03)
  return Finding(
    _by_size(rows, 'r2', '>', 0.95) + _by_size(rows, 'bow', 'inside', bow),
    _means_by_size(rows, 'slope', 's0'),
    _window_note(rows),
  )


def regressor(tables) -> Finding:
  """Claim 14: AIC of three regressors, and the exponent of the gain."""
  rows = _fitted(tables, 'train')
  seeds = seed_means(rows[['seed', 'best', 'p']])
  return Finding(
    [
      contrast('share_sqrt', seeds['best'], '>=', 2 / 3),
      contrast('p', seeds['p'], 'contains', 0.5, EXPONENT_MARGIN),
    ],
    _means_by_size(rows, 'p'),
    _window_note(rows),
  )


def parallel_slopes(tables) -> Finding:
  """Claim 16: the slopes of all sizes under one train PM (seed and half).

  A train PM that has not policies of every size is left out.
  """
  rows = _fitted(tables, 'train')
  order = sizes(rows)
  if len(order) < MIN_PARALLEL_SIZES:
    raise NotRunError(f'{len(order)} sizes; wanted {MIN_PARALLEL_SIZES}')
  train_pm = ['seed', 'half']
  n_sizes = rows.groupby(train_pm)['size'].transform('nunique')
  rows = rows[n_sizes == len(order)]
  if rows.empty:
    raise NotRunError(f'no seed has linear runs of all {len(order)} sizes')
  found = []
  for (seed, _), group in rows.groupby(train_pm):
    by_size = {row.size_: (row.run, row.s0) for row in _named(group)}
    found.append({'seed': seed, **kl_reward.parallel(by_size)})
  seeds = seed_means(pd.DataFrame(found))
  start = rows.pivot_table(index='seed', columns='size', values='s0')[order]
  mean = start.mean()
  rank = fits.spearman(np.arange(len(order)), mean.to_numpy())
  rise = start[order[-1]] - start[order[0]]
  return Finding(
    [
      contrast('cv', seeds['cv'], '<', 0.25),
      contrast('interaction', seeds['interaction'], '<', 0.10),
      Contrast('s0_spearman', exact(rank, len(start)), 0.0, '>'),
      contrast('s0_rise', rise, '>', 0.0),
    ],
    {
      'interaction_p': float(seeds['p_value'].mean()),
      'interaction_share': float(seeds['share'].mean()),
      **_means_by_size(rows, 'slope', 's0'),
    },
    _window_note(rows),
  )


def _named(rows):
  """Rows as tuples; `size` would be hidden by the tuple's own attributes."""
  return rows.rename(columns={'size': 'size_'}).itertuples()


def slope_bound(tables) -> Finding:
  """Claim 17: 0 < slope < sqrt(2 V): without a gain nothing is bounded."""
  rows = _fitted(tables, 'train')
  rows['excess'] = rows['slope'] - rows['limit']
  rows['ratio'] = rows['slope'] / rows['limit']
  return Finding(
    _by_size(rows, 'excess', '<', 0.0) + _by_size(rows, 'slope', '>', 0.0),
    _means_by_size(rows, 'ratio', 'limit'),
    _window_note(rows),
  )


def forecast(tables) -> Finding:
  """Claim 18: every larger policy from the slope of the smallest one."""
  rows = _fitted(tables, 'train')
  order = sizes(rows)
  if len(order) < 2:
    raise NotRunError('one policy size; wanted a larger one to forecast')
  small = rows[rows['size'] == order[0]].set_index(['seed', 'half'])['slope']
  found = [
    {
      'seed': row.seed,
      'size': row.size_,
      'n_params': row.n_params,
      'error': kl_reward.forecast_error(
        small[row.seed, row.half], row.s0, row.run
      ),
    }
    for row in _named(rows[rows['size'] != order[0]])
    if (row.seed, row.half) in small.index
  ]
  if not found:
    raise NotRunError('no larger policy shares seed and half with the smallest')
  found = pd.DataFrame(found)
  return Finding(_by_size(found, 'error', '<', 0.15), {}, _window_note(rows))


PM_ROLE = 'rl'
EVALUATORS = {
  'ppo_gain': ppo_gain,
  'inert_penalty': inert_penalty,
  'linear_train': functools.partial(_linear, scorer='train'),
  'regressor': regressor,
  'linear_test': functools.partial(_linear, scorer='test'),
  'parallel_slopes': parallel_slopes,
  'slope_bound': slope_bound,
  'forecast': forecast,
  'entropy': entropy,
}
