"""Claims 13 to 18: reward against sqrt(KL) (Bai et al., section 4.3)."""

import math

import pandas as pd

from rlhf_jax.analysis import bounded, gain_bound, kl_reward
from rlhf_jax.analysis.claims.spec import BAI, ClaimSpec, Theme
from rlhf_jax.analysis.drawings.sqrt_kl import reward_vs_sqrt_kl
from rlhf_jax.analysis.findings import (
  Finding,
  NotRunError,
  contrast,
  contrasts_by_size,
  keep,
  means_by_size,
  runs_of_role,
  seed_means,
  select,
  sizes,
)

MIN_PARALLEL_SIZES = 3
EXPONENT_MARGIN = (0.4, 0.6)
STRAIGHT = (-1.0, 1.0)
FITTED = ('s0', 'slope', 'r2', 'bow', 'bow_units', 'p')


def fitted(tables, scorer) -> pd.DataFrame:
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
        **{key: getattr(fit, key) for key in FITTED},
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
  """The bow is judged; R2 cannot fail (KL^.3 has .98) and stands beside it."""
  rows = fitted(tables, scorer)
  return Finding(
    contrasts_by_size(rows, 'bow_units', 'inside', STRAIGHT),
    means_by_size(rows, 'bow', 'r2', 'slope', 's0'),
    _window_note(rows),
  )


def regressor(tables) -> Finding:
  """Claim 14: the exponent of the gain, and beside it three regressors' AIC.

  `share_sqrt` is the share of runs where sqrt(KL) has the lowest one.
  """
  rows = fitted(tables, 'train')
  seeds = seed_means(rows[['seed', 'best', 'p']])
  best = bounded.bootstrap_mean(seeds['best'], (0, 1))
  return Finding(
    [contrast('p', seeds['p'], 'inside', EXPONENT_MARGIN)],
    {
      'share_sqrt': best.mean,
      'share_sqrt_low': best.low,
      'share_sqrt_high': best.high,
      **means_by_size(rows, 'p'),
    },
    _window_note(rows),
  )


def parallel_slopes(tables) -> Finding:
  """Claim 16: the slopes of all sizes under one train PM (seed and half).

  A train PM that has not policies of every size is left out.
  """
  rows = fitted(tables, 'train')
  order = sizes(rows)
  if len(order) < MIN_PARALLEL_SIZES:
    raise NotRunError(f'{len(order)} sizes; wanted {MIN_PARALLEL_SIZES}')
  train_pm = ['seed', 'half']
  n_sizes = rows.groupby(train_pm)['size'].transform('nunique')
  rows = rows[n_sizes == len(order)]
  if rows.empty:
    raise NotRunError(f'no seed has linear runs of all {len(order)} sizes')
  spread = rows.groupby(train_pm)['slope'].agg(kl_reward.slope_spread)
  seeds = spread.groupby('seed').agg(lambda cv: cv.mean(skipna=False))
  start = rows.pivot_table(index='seed', columns='size', values='s0')[order]
  rise = start[order[-1]] - start[order[0]]
  return Finding(
    [
      contrast('cv', seeds, '<', 0.25, bounded.log_mean),
      contrast('s0_rise', rise, '>', 0.0),
    ],
    means_by_size(rows, 'slope', 's0'),
    _window_note(rows),
  )


def _named(rows):
  """Rows as tuples; `size` would be hidden by the tuple's own attributes."""
  return rows.rename(columns={'size': 'size_'}).itertuples()


def slope_bound(tables) -> Finding:
  """Claim 17: 0 < gain < its bound: without a gain nothing is bounded.

  Beside it `ratio`, the slope over sqrt(2 V), the bound of Gaussian rewards.
  """
  table = select(tables, 'frontier', scorer='train', subset='all')
  rows = fitted(tables, 'train')
  found = []
  for row in _named(rows):
    run = {'size': row.size_, 'half': row.half, 'seed': row.seed}
    own = keep(table, 'frontier.csv', role='linear', **run)
    window = kl_reward.early_window(row.run)
    found.append(gain_bound.window_excess(window, row.s0, own))
  rows = pd.concat([rows, pd.DataFrame(found)], axis=1)
  rows['ratio'] = rows['slope'] / rows['limit']
  short = int(rows['excess'].isna().sum())
  note = f'effective samples too small in {short} of {len(rows)} runs'
  return Finding(
    contrasts_by_size(rows, 'excess', '<', 0.0)
    + contrasts_by_size(rows, 'slope', '>', 0.0),
    means_by_size(rows, 'share_of_bound', 'judged_to', 'ratio', 'limit'),
    '; '.join(filter(None, [_window_note(rows), note if short else ''])),
  )


def forecast(tables) -> Finding:
  """Claim 18: every larger policy from the slope of the smallest one."""
  rows = fitted(tables, 'train')
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
    contrasts_by_size(found, 'error', '<', 0.15, bounded.log_mean),
    {},
    _window_note(rows),
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
      'at every size the bow of a quadratic in sqrt(KL) inside the bows of '
      'KL^.4 and KL^.6 over the same points (bow_units inside (-1, 1)), from '
      'KL > 3 s.e. to sqrt(KL) = 3.5; window >= 10x in KL and >= 8 points',
      linear_train,
      **READS,
    ),
    ClaimSpec(
      14,
      'sqrt(KL) is the right regressor',
      'The early gain grows with a power of KL near one half; sqrt(KL) '
      'describes it better than KL or log KL.',
      f'{BAI}, section 4.3',
      'exponent p of gain ~ KL^p inside [0.4, 0.6]',
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
      'coefficient of variation of the slopes over >= 3 sizes < 25 % (on a log '
      'scale); starting scores rise: largest - smallest > 0',
      parallel_slopes,
      **READS,
    ),
    ClaimSpec(
      17,
      'The slope keeps below its bound',
      'The early gain does not exceed what the scores of replies of pi_0 allow '
      'any policy at its KL (sqrt(2 V KL) for Gaussian ones).',
      f'derived from {BAI}, section 4.3',
      'slope > 0 and mean (gain - bound) < 0 at every size, bound = min over b '
      'of (log E exp(b (r - mean)) + KL) / b, judged where its b has an '
      'effective sample >= 20',
      slope_bound,
      **(READS | {'tables': ('rl_curve', 'rl_pi0', 'frontier')}),
    ),
    ClaimSpec(
      18,
      'A small policy forecasts a large one',
      "The smallest policy's slope and a larger policy's initial score predict "
      "the larger one's score at matched sqrt(KL).",
      f'{BAI}, section 4.3 (conjecture)',
      'mean relative error of the gain < 15 % for sqrt(KL) in [1.25, 2.5] (on '
      'a log scale)',
      forecast,
      **READS,
    ),
  ),
  drawings=(reward_vs_sqrt_kl,),
)
