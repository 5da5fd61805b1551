"""Claims 19, 20, 24: train PM, test PM, gold in long runs (Bai et al., 4.2)."""

import numpy as np
import pandas as pd

from rlhf_jax.analysis import bounded, kl_reward, overopt, robustness
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

PM_ROLE = 'robust'
EQUAL_GAP = 0.05


def _gap(tables):
  gap = robustness.symmetric_gap(select(tables, 'rl_curve', role='robust'))
  if gap.empty:
    raise NotRunError('no PM pair was run in both directions (half a and b)')
  return gap


def train_test_gap(tables) -> Finding:
  """Claim 19: the gap early and late, over PM pairs.

  The early one is a share of the pair's own late train gain; a pair that
  gained nothing has none.
  """
  gap = _gap(tables)
  early, late = robustness.early_gap(gap), robustness.late_gap(gap)
  gain = late['train_gain'].where(late['train_gain'] > 0)
  share = early.reindex(gain.index) / gain
  margin = (-EQUAL_GAP, EQUAL_GAP)
  return Finding(
    [
      contrast('early_gap_per_gain', share, 'inside', margin),
      contrast('late_gap', late['gap'], '>', 0.0),
    ],
    {
      'early_gap': float(early.mean()),
      'late_gain': float(late['train_gain'].mean()),
      'late_gap_per_gain': float((late['gap'] / late['train_gain']).mean()),
    },
  )


def gap_growth(tables) -> Finding:
  """Claim 20: rank correlation of gap and samples after claim 19's window."""
  ranks = robustness.growth(_gap(tables))
  ranked = bounded.meets(ranks, '>=', 0.8)
  return Finding(
    [contrast('share_ranked', ranked, '>', 0.5, bounded.share)],
    {'spearman': float(np.mean(ranks))},
  )


def turns(tables) -> pd.DataFrame:
  """The numbers of `overopt.turn`, a row a PM pair, directions averaged."""
  curve = select(tables, 'rl_curve', role='robust')
  for column in ('gold', 'win_rate'):
    need_values(curve, column, 'real data have no gold scorer')
  pi0 = select(tables, 'rl_pi0', role='robust', scorer='train')
  rows = []
  for identity, run in runs_of_role(tables, 'robust'):
    s0 = kl_reward.pi0_score(pi0, identity['run_id'], 'train')
    rows.append({'seed': identity['seed'], **overopt.turn(run, s0)})
  return seed_means(pd.DataFrame(rows))


def gold_turns(tables) -> Finding:
  """Claim 24: over PM pairs, both directions averaged.

  Beside the naive Elo, which averages log-odds, stands `pm_elo`: the PM's own
  predicted win rate, turned into Elo as gold's is.
  """
  seeds = turns(tables)
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
      '10 to 20 % of samples (after the warm-up): train - test inside 5 % of '
      'the late train gain; last 25 %: train - test > 0; mean of both '
      'directions',
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
      'more than half of all PM pairs have Spearman >= 0.8 of gap and samples '
      'from 20 % of samples on (exact interval of their share)',
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
    'initialises the value network of a robust run, and rewards a run under a '
    'PM of that size',
  },
)
