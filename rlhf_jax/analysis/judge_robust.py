"""Evaluators of the claims on the long runs: 19, 20 and 24."""

import math

import pandas as pd

from rlhf_jax.analysis import kl_reward, overopt, robustness
from rlhf_jax.analysis.findings import (
  Finding,
  NotRunError,
  contrast,
  need_values,
  runs_of_role,
  seed_means,
  select,
)
from rlhf_jax.analysis.intervals import Contrast, exact


def _gap(tables):
  gap = robustness.symmetric_gap(select(tables, 'rl_curve', role='robust'))
  if gap.empty:
    raise NotRunError('no PM pair was run in both directions (half a and b)')
  return gap


def train_test_gap(tables) -> Finding:
  """Claim 19: the gap early and late, over PM pairs."""
  gap = _gap(tables)
  early, late = robustness.early_gap(gap), robustness.late_gap(gap)
  errors = robustness.in_errors(early)
  return Finding(
    [
      contrast('late_gap', late['gap'], '>', 0.0),
      Contrast('early_errors', exact(errors, len(early)), 2.0, '<'),
    ],
    {
      'early_gap': float(early.mean()) if len(early) else math.nan,
      'late_gap_per_gain': float((late['gap'] / late['train_gain']).mean()),
    },
  )


def gap_growth(tables) -> Finding:
  """Claim 20: rank correlation of gap and samples after the divergence."""
  gap = _gap(tables)
  start = robustness.divergence_samples(gap)
  note = 'the gap never stays above 2 s.e.' if math.isnan(start) else ''
  return Finding(
    [Contrast('spearman', robustness.growth(gap), 0.8, '>')],
    {'divergence_samples': start},
    note,
  )


def overoptimisation(tables) -> Finding:
  """Claim 24: over PM pairs, both directions averaged.

  Beside the naive Elo, which averages log-odds, stands `pm_elo`: the PM's own
  predicted win rate, turned into Elo as gold's is.
  """
  curve = select(tables, 'rl_curve', role='robust')
  for column in ('gold', 'win_rate'):
    need_values(curve, column, 'real data have no gold scorer')
  pi0 = select(tables, 'rl_pi0', role='robust', scorer='train')
  rows = []
  for identity, run in runs_of_role(tables, 'robust'):
    s0 = kl_reward.pi0_score(pi0, identity['run_id'], 'train')
    rows.append({'seed': identity['seed'], **overopt.turn(run, s0)})
  seeds = seed_means(pd.DataFrame(rows))
  judged = {
    'gold_middle_gain': '>',
    'gold_flattening': '<',
    'train_late_rise': '>',
    'elo_excess': '>',
  }
  return Finding(
    [contrast(name, seeds[name], side, 0.0) for name, side in judged.items()],
    {name: float(seeds[name].mean()) for name in seeds if name not in judged},
  )


PM_ROLE = 'robust'
EVALUATORS = {
  function.__name__: function
  for function in (train_test_gap, gap_growth, overoptimisation)
}
