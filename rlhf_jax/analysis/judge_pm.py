"""Evaluators of the claims on preference models: 1 to 7 and 37."""

import numpy as np
import pandas as pd

from rlhf_jax.analysis import calibration as cal
from rlhf_jax.analysis import fits, scaling
from rlhf_jax.analysis.findings import (
  Finding,
  NotRunError,
  contrast,
  largest,
  means,
  need_values,
  per_seed,
  select,
  sizes,
)

MIN_DATA_POINTS = 5
MIN_SIZES = 4
MIN_CALIBRATION_PAIRS = 10_000
MIN_TURN_PAIRS = 30
CALIBRATED_T = (0.85, 1.15)
ONE_POINT = 0.01


def _own_curve(tables, subset=None):
  """Learning curves at constant rate, tested on what they were trained on.

  On the mixture if it is there, else on the first subset in order of name.
  """
  curve = select(tables, 'pm_curve', role='scaling', schedule='constant')
  curve = curve[curve['train_subset'] == curve['eval_subset']]
  if subset is None:
    there = sorted(set(curve['train_subset']))
    subset = 'mix' if 'mix' in there else (there or ['mix'])[0]
  return select(
    {'pm_curve': curve}, 'pm_curve', train_subset=subset, eval_subset=subset
  )


def data_scaling(tables) -> Finding:
  """Claim 1: accuracy on ln D at the largest size."""
  curve = scaling.mean_over_halves(largest(_own_curve(tables)))
  curve = curve[curve['pairs'] > 0]
  points = curve.groupby('seed')['pairs'].nunique().min()
  if not points >= MIN_DATA_POINTS:
    raise NotRunError(
      f'{points} points on the learning curve; wanted {MIN_DATA_POINTS}'
    )
  found = [scaling.data_fit(group) for _, group in curve.groupby('seed')]
  final = curve[curve['pairs'] == curve['pairs'].max()]
  return Finding(
    [
      contrast('slope', [fit.coefficient_K[1] for fit in found], '>', 0.0),
      contrast('r2', [fit.r2 for fit in found], '>', 0.8),
    ],
    {
      'points': int(points),
      'final_accuracy': float(final[scaling.accuracy_column(final)].mean()),
    },
  )


def size_scaling(tables) -> Finding:
  """Claim 2: accuracy on ln P at the largest D that all sizes have seen."""
  curve = scaling.mean_over_halves(_own_curve(tables))
  n_sizes = curve['size'].nunique()
  if n_sizes < MIN_SIZES:
    raise NotRunError(f'{n_sizes} sizes; wanted {MIN_SIZES}')
  at = curve[curve['pairs'] == scaling.common_pairs(curve)]
  found = [group for _, group in at.groupby('seed')]
  if not found or min(map(len, found)) < n_sizes:
    raise NotRunError('no number of pairs was tested at every size and seed')
  column = scaling.accuracy_column(at)
  mean = at.groupby('n_params')[column].mean()
  by_size = {
    f'accuracy_{size}': float(at[at['size'] == size][column].mean())
    for size in sizes(at)
  }
  return Finding(
    [
      contrast(
        'slope',
        [scaling.size_fit(group).coefficient_K[1] for group in found],
        '>',
        0.0,
      ),
      contrast(
        'spearman', [scaling.size_spearman(g) for g in found], '>=', 0.8
      ),
    ],
    {
      'spearman_of_mean': fits.spearman(mean.index, mean.to_numpy()),
      'pairs': float(at['pairs'].iloc[0]),
      **by_size,
    },
  )


def joint_scaling(tables) -> Finding:
  """Claim 3: the joint fit on helpful-only, and against the mixture."""
  fit = {}
  for subset in ('helpful', 'mix'):
    curve = scaling.mean_over_halves(_own_curve(tables, subset))
    grid = curve.groupby('seed')[['size', 'pairs']].nunique().min()
    if grid.min() < 2 or len(curve) / curve['seed'].nunique() < 4:
      raise NotRunError(f'{subset}: wanted several sizes and several D')
    fit[subset] = {
      seed: scaling.joint_fit(group) for seed, group in curve.groupby('seed')
    }
  shared = sorted(set(fit['helpful']) & set(fit['mix']))
  helpful = np.array([fit['helpful'][seed].r2 for seed in shared])
  mix = np.array([fit['mix'][seed].r2 for seed in shared])
  mean = np.mean([fit['helpful'][s].coefficient_K for s in shared], axis=0)
  return Finding(
    [
      contrast('r2_helpful', helpful, '>', 0.8),
      contrast('r2_helpful_minus_mix', helpful - mix, '>=', 0.0),
    ],
    {'slope_ln_p': mean[1], 'slope_ln_d': mean[2], 'r2_mix': mix.mean()},
  )


def final_pairs(tables, role, **where):
  """Scored pairs of the largest PM at the end of its training, decayed."""
  pairs = largest(
    select(tables, 'pm_pairs', role=role, schedule='decay', **where)
  )
  last = pairs.groupby('run_id')['pairs'].transform('max')
  return pairs[pairs['pairs'] == last]


def _calibration_numbers(pairs):
  found = cal.calibrate(pairs)
  return {
    'ece': found.ece,
    'ece_floor': found.floor,
    'ece_excess': found.excess,
    't': found.t,
    'signed_gap': found.signed_gap,
    'pairs': found.n,
    'accuracy': cal.accuracy(pairs),
    'ceiling': cal.ceiling(pairs),
  }


def calibration(tables) -> Finding:
  """Claim 4: the helpful-only PM on helpful pairs."""
  pairs = final_pairs(
    tables, 'calibration', train_subset='helpful', subset='helpful'
  )
  found = per_seed(pairs, _calibration_numbers)
  enough = not cal.has_labels(pairs) or (
    found['pairs'].min() >= MIN_CALIBRATION_PAIRS
  )
  note = (
    ''
    if enough
    else f'{int(found["pairs"].min())} test pairs; with simulated labels '
    f'{MIN_CALIBRATION_PAIRS} are wanted'
  )
  judged = found if enough else found * np.nan
  return Finding(
    [
      contrast('ece_excess', judged['ece_excess'], '<', 0.02),
      contrast('t', judged['t'], 'inside', CALIBRATED_T),
    ],
    means(found, *found.columns),
    note,
  )


def mixture_calibration(tables) -> Finding:
  """Claim 5: the PM of the mixture, on the mixture, against claim 4's."""
  helpful = per_seed(
    final_pairs(
      tables, 'calibration', train_subset='helpful', subset='helpful'
    ),
    _calibration_numbers,
  )
  mix = per_seed(
    final_pairs(tables, 'mixture', train_subset='mix'), _calibration_numbers
  )
  difference = (mix['ece_excess'] - helpful['ece_excess']).dropna()
  if difference.empty:
    raise NotRunError('calibration and mixture PMs share no seed')
  return Finding(
    [
      contrast('ece_mix_minus_helpful', difference, '>', 0.0),
      contrast('signed_gap_mix', mix['signed_gap'], '>=', 0.0),
      contrast('t_mix', mix['t'], '>', 1.0),
    ],
    {'ece_mix': mix['ece'].mean(), 'ece_helpful': helpful['ece'].mean()},
  )


def broadest_pairs(tables) -> tuple[pd.DataFrame, str]:
  """Final pairs of the mixture PM, or of the helpful-only one; and its role."""
  for role in ('mixture', 'calibration'):
    try:
      return final_pairs(tables, role), role
    except NotRunError as error:
      reason = error
  raise reason


def high_score_accuracy(tables) -> Finding:
  """Claim 6: accuracy against the threshold on the smaller score."""
  pairs, role = broadest_pairs(tables)

  def measure(run):
    table = cal.min_score_accuracy(run)
    out = {'spearman': fits.spearman(table['quantile'], table['accuracy'])}
    for row in table.itertuples():
      out[f'accuracy_q{row.quantile:.1f}'] = row.accuracy
      out[f'ceiling_q{row.quantile:.1f}'] = row.ceiling
    return out

  found = per_seed(pairs, measure)
  return Finding(
    [contrast('spearman', found['spearman'], '<', -0.8)],
    means(found, *found.columns),
    f'PMs of role {role}',
  )


def turn_accuracy(tables) -> Finding:
  """Claim 7: the first exchange against later ones."""
  pairs, role = broadest_pairs(tables)
  counts = pairs.groupby(['run_id', 'turn']).size().groupby('turn').min()
  turns = sorted(counts[counts >= MIN_TURN_PAIRS].index)
  if turns[:1] != [1] or len(turns) < 3:
    raise NotRunError('wanted pairs of the first and of two later turns')

  def measure(run):
    table = cal.turn_accuracy(run[run['turn'].isin(turns)])
    later = run[run['turn'].isin(turns[1:])]
    trend = np.polyfit(table['turn'][1:], table['accuracy'][1:], 1)[0]
    return {
      'first_minus_later': table['accuracy'].iloc[0] - cal.accuracy(later),
      'later_slope': trend,
      'ceiling_first': table['ceiling'].iloc[0],
      'ceiling_later': cal.ceiling(later),
    }

  found = per_seed(pairs, measure)
  flat = (-ONE_POINT, ONE_POINT)
  return Finding(
    [
      contrast('first_minus_later', found['first_minus_later'], '>', 0.0),
      contrast('later_slope', found['later_slope'], 'inside', flat),
    ],
    means(found, *found.columns),
    f'PMs of role {role}',
  )


def cross_accuracy(tables) -> Finding:
  """Claim 37: each single-objective PM on the other objective."""
  contrasts, measured = [], {}
  for train, other in (('helpful', 'harmless'), ('harmless', 'helpful')):
    for eval_subset in (other, train):
      curve = largest(
        select(
          tables,
          'pm_curve',
          role='single',
          train_subset=train,
          eval_subset=eval_subset,
        )
      )
      column = scaling.accuracy_column(curve)
      need_values(curve, column, f'{train} PM on {eval_subset}')
      last = curve.groupby('run_id')['pairs'].transform('max')
      curve = curve[curve['pairs'] == last]
      seeds = curve.groupby('seed')[column].mean()
      name = f'{train}_on_{eval_subset}'
      if eval_subset == other:
        contrasts.append(contrast(name, seeds, '<', 0.5))
      else:
        measured[name] = float(seeds.mean())
  return Finding(contrasts, measured)


EVALUATORS = {
  function.__name__: function
  for function in (
    data_scaling,
    size_scaling,
    joint_scaling,
    calibration,
    mixture_calibration,
    high_score_accuracy,
    turn_accuracy,
    cross_accuracy,
  )
}
