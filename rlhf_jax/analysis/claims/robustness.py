"""Claims 19, 20, 24: train PM, test PM, gold in long runs (Bai et al., 4.2)."""

import math

import pandas as pd

from rlhf_jax.analysis import kl_reward, overopt, robustness
from rlhf_jax.analysis.claims.spec import BAI, ClaimSpec, Theme
from rlhf_jax.analysis.drawings.robustness import (
  gap_vs_samples,
  overoptimisation,
  train_test_gold,
)
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

PM_ROLE = 'robust'


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


def gold_turns(tables) -> Finding:
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


THEME = Theme(
  title='Robustness of preference models to RL',
  claims=(
    ClaimSpec(
      19,
      'Train and test PM agree, then part',
      'The two halves agree early in training; late in training the train PM '
      'is the higher one.',
      f'{BAI}, Fig. 4',
      'first 10 % of samples: |train - test| < 2 s.e. over PM pairs; last '
      '25 %: train - test > 0; mean of both directions',
      train_test_gap,
      tables=('rl_curve',),
      figure='train_test_gold',
      pm_role=PM_ROLE,
    ),
    ClaimSpec(
      20,
      'The gap keeps growing',
      'After they part, train - test does not shrink with further training.',
      f'{BAI}, Fig. 4',
      'Spearman of gap and samples > 0.8 from the first of two checkpoints in '
      'a row with a gap above 2 s.e. over PM pairs',
      gap_growth,
      tables=('rl_curve',),
      figure='gap_vs_samples',
      pm_role=PM_ROLE,
    ),
    ClaimSpec(
      24,
      'Gold flattens while the PM rises',
      'The true score rises, then flattens or falls, while the train PM still '
      'rises; Elo read off the PM is too optimistic.',
      f'{BAI}, Figs. 15 and 35',
      'gold gain at mid-run > 0; last-quarter gold slope < 25 % of the '
      'first-quarter slope; last-quarter train PM rises; naive Elo - gold Elo '
      '> 0 at the end',
      gold_turns,
      tables=('rl_curve', 'rl_pi0'),
      figure='overoptimisation',
      pm_role=PM_ROLE,
    ),
  ),
  drawings=(train_test_gold, overoptimisation, gap_vs_samples),
  roles={
    'robust': 'a PM of few pairs and the largest size, or a long RL run under '
    'it; each half of the comparisons serves as train PM in turn',
    'value': 'a PM of the size of the policy, trained on a robust half; it '
    'only initialises the value network of a robust run, and no claim uses it',
  },
)
