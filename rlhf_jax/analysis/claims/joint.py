"""Claim 3: the joint fit of PM accuracy (Bai et al., A.3, Figs. 31 and 32)."""

import math

import numpy as np
import pandas as pd

from rlhf_jax.analysis import bounded, compute, scaling
from rlhf_jax.analysis.claims.spec import BAI, ClaimSpec, Theme
from rlhf_jax.analysis.drawings.joint import joint_fits, what_compute_buys
from rlhf_jax.analysis.findings import (
  Finding,
  NotHereError,
  NotRunError,
  contrast,
  finite_interval,
  select,
)
from rlhf_jax.analysis.intervals import t_interval

ROLES = ['scaling', 'joint']  # of the mixture and of helpful pairs alone
SUBSETS = ('helpful', 'mix')


def curves(tables) -> dict[str, pd.DataFrame]:
  """Learning curves of both kinds of PM, at the numbers of pairs of both.

  Each is tested on the kind of pairs it was trained on, at a constant rate.

  Raises:
    NotRunError: if a kind lacks several sizes and numbers of pairs.
  """
  found = {}
  for subset in SUBSETS:
    where = {'train_subset': subset, 'eval_subset': subset}
    where |= {'role': ROLES, 'schedule': 'constant'}
    curve = select(tables, 'pm_curve', **where)
    found[subset] = scaling.mean_over_halves(curve[curve['pairs'] > 0])
  shared = set.intersection(*(set(own['pairs']) for own in found.values()))
  for subset, curve in found.items():
    curve = found[subset] = curve[curve['pairs'].isin(shared)]
    grid = curve.groupby('seed')[['size', 'pairs']].nunique().min()
    if not grid.min() >= 2:
      raise NotRunError(f'{subset}: wanted several sizes and several D')
  return found


def joint_scaling(tables) -> Finding:
  """Claim 3: the joint fit on helpful-only, and against the mixture.

  Beside it, of helpful pairs: both slopes with bootstrap intervals over seeds
  (eight or more), and how far off the fit is beyond what it saw.
  """
  found = curves(tables)
  shared = sorted(set.intersection(*(set(x['seed']) for x in found.values())))
  fit, beyond = {}, []
  for subset, curve in found.items():
    own = {seed: rows for seed, rows in curve.groupby('seed')}
    fit[subset] = [scaling.joint_fit(own[seed]) for seed in shared]
    if subset == 'helpful':
      beyond = [scaling.extrapolate(own[seed]) for seed in shared]
  r2 = {name: np.array([x.r2 for x in own]) for name, own in fit.items()}
  z = {name: bounded.fisher_z(own) for name, own in r2.items()}
  slope_SK = np.array([x.coefficient_K for x in fit['helpful']])
  more = _with_ends('slope_ln_p', slope_SK[:, 1])
  more |= _with_ends('slope_ln_d', slope_SK[:, 2])
  more |= _with_ends('held_out_error', [x.error for x in beyond])
  if 'held_out_error' in more:
    more['held_out_rmse'] = float(np.mean([x.rmse for x in beyond]))
    more['held_out_rmse_flat'] = float(np.mean([x.flat for x in beyond]))
  more['r2_mix'] = float(r2['mix'].mean())
  return Finding(
    [
      contrast('r2_helpful', r2['helpful'], '>', 0.8, bounded.fisher),
      contrast('z_helpful_minus_mix', z['helpful'] - z['mix'], '>=', 0.0),
    ],
    more,
  )


def _with_ends(name, values) -> dict[str, float]:
  """The mean over seeds of a number, and its bootstrap interval if it has one.

  Nothing where a seed has no such number.
  """
  found = bounded.bootstrap_mean(values, (-math.inf, math.inf))
  if math.isnan(found.mean):
    return {}
  ends = {f'{name}_low': found.low, f'{name}_high': found.high}
  return {name: found.mean} | (ends if math.isfinite(found.low) else {})


def size_or_data(tables) -> dict:
  """Whether FLOPs of a PM are better spent on size or on pairs.

  An e-fold of FLOPs is one of size at equal pairs or one of pairs at equal
  size: their gains in accuracy, by the joint fit of the mixture, and the place
  of the best size at equal FLOPs (0 the smallest that reaches them, 1 the
  largest).
  """
  try:
    spent = select(tables, 'compute')
    curve = select(tables, 'pm_curve', role='scaling', schedule='constant')
    curve = curve[curve['train_subset'] == curve['eval_subset']]
    curve = compute.spent(curve[curve['pairs'] > 0], spent, 'pairs')
    if curve.empty or curve['size'].nunique() < 2:
      raise NotRunError('no curves of several sizes')
  except NotRunError:
    raise NotHereError('no PMs whose compute is known') from None
  fits = [
    scaling.joint_fit(rows).coefficient_K
    for _, rows in scaling.mean_over_halves(curve).groupby('seed')
  ]
  slope_SK, levels = np.array(fits), compute.iso_flop(curve)
  more = t_interval(slope_SK[:, 2] - slope_SK[:, 1])
  measured = {'pairs_minus_size': more.mean}
  measured |= {'slope_ln_p': slope_SK[:, 1].mean()}
  measured |= {'slope_ln_d': slope_SK[:, 2].mean()}
  if len(levels):
    measured['place_of_best'] = float(levels['rank'].mean())
  return {
    'measured': measured,
    'ci': finite_interval(more),
    'seeds': more.n,
    'threshold': 'accuracy that an e-fold of FLOPs buys as pairs, less what it '
    'buys as size',
    'verdict': 'reported',
    'note': f'{len(levels)} levels of FLOPs that two sizes or more reach',
  }


THEME = Theme(
  title='The joint fit of accuracy',
  claims=(
    ClaimSpec(
      3,
      'Joint scaling fit',
      'acc = c + a ln P + b ln D describes helpful-only PMs, and does so at '
      'least as well as it describes PMs of the mixture.',
      f'{BAI}, App. A.3, Figs. 31-32',
      'R2 > 0.8 on helpful-only (by Fisher z) and z there >= z on the mixture',
      joint_scaling,
      tables=('pm_curve',),
      figure='joint_fits',
    ),
  ),
  drawings=(joint_fits, what_compute_buys),
  checks=(size_or_data,),
  roles={
    'joint': 'a PM of helpful pairs alone at a constant rate, half a, tested '
    'along its training; one a size',
  },
)
