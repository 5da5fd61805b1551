"""Claims 13 to 18: reward against sqrt(KL) (Bai et al., section 4.3)."""

import math

import numpy as np
import pandas as pd

from rlhf_jax.analysis import fits, kl_reward
from rlhf_jax.analysis.claims.spec import BAI, ClaimSpec, Theme
from rlhf_jax.analysis.drawings.sqrt_kl import reward_vs_sqrt_kl
from rlhf_jax.analysis.findings import (
  Finding,
  NotRunError,
  contrast,
  contrasts_by_size,
  means_by_size,
  runs_of_role,
  seed_means,
  select,
  sizes,
)
from rlhf_jax.analysis.intervals import Contrast, exact

MIN_PARALLEL_SIZES = 3
EXPONENT_MARGIN = (0.4, 0.6)
STRAIGHT = (-0.03, 0.03)


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


def linear_train(tables) -> Finding:
  """Claim 13: a straight line in sqrt(KL) from the score of pi_0."""
  return _linear(tables, 'train')


def linear_test(tables) -> Finding:
  """Claim 15: as claim 13, under the test PM."""
  return _linear(tables, 'test')


def _linear(tables, scorer):
  rows = _fitted(tables, scorer)
  straight = contrasts_by_size(rows, 'bow', 'inside', STRAIGHT)
  return Finding(
    contrasts_by_size(rows, 'r2', '>', 0.95) + straight,
    means_by_size(rows, 'slope', 's0'),
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
    means_by_size(rows, 'p'),
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
      **means_by_size(rows, 'slope', 's0'),
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
    contrasts_by_size(rows, 'excess', '<', 0.0)
    + contrasts_by_size(rows, 'slope', '>', 0.0),
    means_by_size(rows, 'ratio', 'limit'),
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
  return Finding(
    contrasts_by_size(found, 'error', '<', 0.15), {}, _window_note(rows)
  )


READS = {
  'tables': ('rl_curve', 'rl_pi0'),
  'figure': 'reward_vs_sqrt_kl',
  'pm_role': 'rl',
}

THEME = Theme(
  title='Reward against sqrt(KL)',
  claims=(
    ClaimSpec(
      13,
      'Reward is linear in sqrt(KL)',
      'Early in RL the train-PM score rises along a straight line in sqrt(KL) '
      'from the measured score of pi_0.',
      f'{BAI}, Figs. 4 and 13',
      'R2 > 0.95 and bow inside 3 % of the gain at every size, from KL > 3 '
      's.e. to sqrt(KL) = 3.5; window >= 10x in KL and >= 8 points',
      linear_train,
      **READS,
    ),
    ClaimSpec(
      14,
      'sqrt(KL) is the right regressor',
      'sqrt(KL) describes the early gain better than KL or log KL.',
      f'{BAI}, section 4.3',
      'lowest AIC in >= 2/3 of runs; exponent p: interval inside [0.4, 0.6], '
      'or containing 0.5 with its mean in [0.4, 0.6]',
      regressor,
      **READS,
    ),
    ClaimSpec(
      15,
      'Linear for the test PM too',
      'The score under a PM trained on the other half is linear in sqrt(KL) '
      'over the same window.',
      f'{BAI}, Fig. 4',
      'as claim 13, for the test PM',
      linear_test,
      **READS,
    ),
    ClaimSpec(
      16,
      'Policy sizes run in parallel',
      'Under one train PM policies of all sizes gain at one slope, larger ones '
      'from a higher start.',
      f'{BAI}, Fig. 13 left',
      'coefficient of variation of the slopes < 25 % over >= 3 sizes; '
      'interaction p > 0.05 or < 10 % of variance; starting scores rise '
      '(Spearman > 0, largest - smallest > 0)',
      parallel_slopes,
      **READS,
    ),
    ClaimSpec(
      17,
      'The slope keeps below its bound',
      'The early slope does not exceed sqrt(2 V), V the within-prompt variance '
      'of the score under pi_0.',
      f'derived from {BAI}, section 4.3',
      'slope > 0 and slope - sqrt(2 V) < 0 at every size',
      slope_bound,
      **READS,
    ),
    ClaimSpec(
      18,
      'A small policy forecasts a large one',
      "The smallest policy's slope and a larger policy's initial score predict "
      "the larger one's score at matched sqrt(KL).",
      f'{BAI}, section 4.3 (conjecture)',
      'mean relative error of the gain < 15 % for sqrt(KL) in [1.25, 2.5]',
      forecast,
      **READS,
    ),
  ),
  drawings=(reward_vs_sqrt_kl,),
)
