"""The noise that real runs show, from which simulated studies draw theirs.

`NOISE` was read from results/micro/tables (seeds 120-124, code d183ebbfe301) by
`measured`, to two digits; a test does it again. Standard deviations between
seeds are of what all runs of a seed share, those between runs of what they do
not. With three seeds of RL they are rough. `HEADLINE` is the same of
results/headline (seeds 200-207, world of parts), which was not known when
claims and their power were written down.
"""

import contextlib
import math

import numpy as np
import pandas as pd

from rlhf_jax.analysis import calibration as cal
from rlhf_jax.analysis import kl_reward, robustness, scaling
from rlhf_jax.analysis.claims import ppo, sqrt_kl
from rlhf_jax.analysis.claims import robustness as claims_robustness
from rlhf_jax.analysis.findings import largest, last, select
from rlhf_jax.analysis.scored_pairs import helpful_pairs, mixture_pairs

TURNS = ('gold_middle_gain', 'gold_flattening', 'train_late_rise', 'elo_excess')
NOISE = {
  'slope': 0.48,
  'slope_seed': 0.11,
  'slope_run': 0.012,
  'exponent_seed': 0.014,
  'exponent_run': 0.018,
  'residual': 0.049,
  'residual_next': 0.4,
  'start_run': 0.0083,
  'test_slope': 0.34,
  'test_slope_seed': 0.047,
  'test_slope_run': 0.037,
  'test_exponent_seed': 0.025,
  'test_exponent_run': 0.0085,
  'test_residual': 0.063,
  'test_residual_next': 0.5,
  'test_start_run': 0.0031,
  'gain': 1.7,
  'gain_seed': 0.21,
  'gain_run': 0.083,
  'entropy': -0.47,
  'entropy_seed': 0,
  'entropy_run': 0.06,
  'penalty': 0.02,
  'late_gain': 1.8,
  'late_gain_seed': 0.032,
  'early_gap_seed': 0.011,
  'late_gap': 0.4,
  'late_gap_seed': 0.1,
  'gap_step': 0.012,
  'data_slope': 0.032,
  'data_slope_seed': 0.0044,
  'data_residual': 0.0088,
  'size_slope': 0.0069,
  'size_residual': 0.0083,
  'cross_seed': 0.018,
  't_helpful_seed': 0.035,
  't_mix_seed': 0.047,
  'gold_step': 0.057,
  'gold_middle_gain_seed': 0.22,
  'gold_flattening_seed': 0.28,
  'train_late_rise_seed': 0.052,
  'elo_excess_seed': 55.0,
}


HEADLINE = {
  'slope': 0.43,
  'slope_seed': 0.085,
  'slope_run': 0.081,
  'exponent_seed': 0.033,
  'exponent_run': 0.064,
  'residual': 0.05,
  'residual_next': 0.55,
  'start_run': 0.0058,
  'test_slope': 0.39,
  'test_slope_seed': 0.072,
  'test_slope_run': 0.075,
  'test_exponent_seed': 0.056,
  'test_exponent_run': 0.065,
  'test_residual': 0.044,
  'test_residual_next': 0.48,
  'test_start_run': 0.0076,
  'gain': 2.4,
  'gain_seed': 0.1,
  'gain_run': 0.036,
  'entropy': -0.45,
  'entropy_seed': 0.008,
  'entropy_run': 0.034,
  'penalty': 0.022,
  'late_gain': 2.0,
  'late_gain_seed': 0.43,
  'early_gap_seed': 0.012,
  'late_gap': 0.25,
  'late_gap_seed': 0.088,
  'gap_step': 0.0079,
  'data_slope': 0.051,
  'data_slope_seed': 0.0025,
  'data_residual': 0.017,
  'size_slope': -0.0047,
  'size_residual': 0.0067,
  'cross_seed': 0.011,
  't_helpful_seed': 0.055,
  't_mix_seed': 0.096,
  'gold_step': 0.051,
  'gold_middle_gain_seed': 0.62,
  'gold_flattening_seed': 1.4,
  'train_late_rise_seed': 0.051,
  'elo_excess_seed': 91.0,
}


@contextlib.contextmanager
def drawn_with(noise: dict[str, float]):
  """Simulated studies have this noise in place of that of micro, within it."""
  kept = dict(NOISE)
  NOISE.update(noise)
  try:
    yield
  finally:
    NOISE.update(kept)


def measured(tables) -> dict[str, float]:
  """Every number of `NOISE`, from the tables of a study like micro."""
  return {
    **_linear(tables, 'train'),
    **{f'test_{k}': v for k, v in _linear(tables, 'test').items()},
    **_ppo(tables),
    **_robust(tables),
    **_accuracy(tables),
    **_pairs(tables),
  }


def spread(rows: pd.DataFrame, column: str) -> tuple[float, float]:
  """Standard deviations between seeds, and between the runs of a seed.

  Each size's mean is taken off; the mean of a seed then varies by
  seed^2 + run^2 / sizes.
  """
  table = rows.pivot_table(index='seed', columns='size', values=column)
  table = table - table.mean()
  mean = table.mean(axis=1)
  seeds, sizes = table.shape
  inner = (table.sub(mean, axis=0) ** 2).to_numpy().sum()
  run = inner / ((seeds - 1) * (sizes - 1))
  seed = (mean**2).sum() / (seeds - 1) - run / sizes
  return math.sqrt(max(seed, 0.0)), math.sqrt(run)


def _linear(tables, scorer):
  """Slope, exponent and residual of the linear runs in their windows."""
  rows = sqrt_kl.fitted(tables, scorer)
  squares, products = 0.0, 0.0
  residuals = []
  for _, row in rows.iterrows():
    window = kl_reward.early_window(row['run'])
    power_N = window['kl'].to_numpy() ** row['p']
    gain_N = window[f'{scorer}_pm'].to_numpy() - row['s0']
    scale = (power_N * gain_N).sum() / (power_N**2).sum()
    residual_N = gain_N - scale * power_N
    residual_N = residual_N - residual_N.mean()
    residuals.append(residual_N)
    squares += (residual_N**2).sum()
    products += (residual_N[1:] * residual_N[:-1]).sum()
  freedom = sum(len(r) - 2 for r in residuals)
  rows['log_slope'] = np.log(rows['slope'])
  slope_seed, slope_run = spread(rows, 'log_slope')
  exponent_seed, exponent_run = spread(rows, 'p')
  return {
    'slope': float(rows['slope'].mean()),
    'slope_seed': slope_seed,
    'slope_run': slope_run,
    'exponent_seed': exponent_seed,
    'exponent_run': exponent_run,
    'residual': math.sqrt(squares / freedom),
    'residual_next': products / squares,
    'start_run': spread(rows, 's0')[1],
  }


def _ppo(tables):
  """Gain, entropy, and the difference that the penalty makes."""
  gain = ppo.change(tables, 'train_pm')
  gain['log_gain'] = np.log(gain['change'])
  entropy = ppo.change(tables, 'entropy')
  difference = ppo.penalty_differences(tables)['difference']
  gain_seed, gain_run = spread(gain, 'log_gain')
  entropy_seed, entropy_run = spread(entropy, 'change')
  return {
    'gain': float(gain['change'].mean()),
    'gain_seed': gain_seed,
    'gain_run': gain_run,
    'entropy': float(entropy['change'].mean()),
    'entropy_seed': entropy_seed,
    'entropy_run': entropy_run,
    'penalty': float(difference.std(ddof=1)),
  }


def _robust(tables):
  """The gap of PM pairs, as a share of their late gain, and gold."""
  curve = select(tables, 'rl_curve', role='robust')
  gap = robustness.symmetric_gap(curve)
  gain = robustness.late_gap(gap)['train_gain']
  early = robustness.early_gap(gap) / gain
  late = robustness.late_gap(gap)['gap'] / gain
  both = curve.groupby(['seed', 'samples'], as_index=False)['gold'].mean()
  seeds = claims_robustness.turns(tables)
  return {
    'late_gain': float(gain.mean()),
    'late_gain_seed': float(gain.std(ddof=1)),
    'early_gap_seed': float(early.std(ddof=1)),
    'late_gap': float(late.mean()),
    'late_gap_seed': float(late.std(ddof=1)),
    'gap_step': _steps(gap, 'gap'),
    'gold_step': _steps(both, 'gold'),
    **{f'{name}_seed': float(seeds[name].std(ddof=1)) for name in TURNS},
  }


def _steps(rows, column):
  """The s.d. about the line through both neighbours, over sqrt(1.5)."""
  found = []
  for _, own in rows.groupby('seed'):
    value_N = own.sort_values('samples')[column].to_numpy()
    found += list(value_N[1:-1] - (value_N[2:] + value_N[:-2]) / 2)
  return float(np.std(found) / math.sqrt(1.5))


def _accuracy(tables):
  """Residuals of accuracy on ln D and on ln P, and of the other objective."""
  curve = select(tables, 'pm_curve', role='scaling', schedule='constant')
  curve = curve[curve['train_subset'] == curve['eval_subset']]
  top = largest(curve)
  top = top[top['pairs'] > 0]
  fits = [scaling.data_fit(own) for _, own in top.groupby('seed')]
  slopes = [fit.coefficient_K[1] for fit in fits]
  end = curve[curve['pairs'] == scaling.common_pairs(curve)]
  sizes = [scaling.size_fit(own) for _, own in end.groupby('seed')]
  single = last(select(tables, 'pm_curve', role='single'), 'pairs')
  cross = single[single['train_subset'] != single['eval_subset']]
  cross = cross[cross['eval_subset'] != 'mix']
  spreads = cross.groupby('train_subset')['expected_accuracy'].std(ddof=1)
  return {
    'data_slope': float(np.mean(slopes)),
    'data_slope_seed': float(np.std(slopes, ddof=1)),
    'data_residual': _residual(fits),
    'size_slope': float(np.mean([f.coefficient_K[1] for f in sizes])),
    'size_residual': _residual(sizes),
    'cross_seed': float(spreads.mean()),
  }


def _residual(fits):
  """Pooled s.d. about least-squares fits."""
  squares = sum(fit.residual_sum for fit in fits)
  return math.sqrt(squares / sum(fit.dof for fit in fits))


def _pairs(tables):
  """The refit t of the two PMs, over seeds."""
  found = {}
  for name, choose in (('helpful', helpful_pairs), ('mix', mixture_pairs)):
    pairs = choose(tables)
    t = [cal.calibrate(run).t for _, run in pairs.groupby('seed')]
    found[f't_{name}_seed'] = float(np.std(t, ddof=1))
  return found
