"""Claims 4 to 7: what a PM's score is worth, pair by pair (Bai et al., 3.3)."""

import numpy as np
import pandas as pd

from rlhf_jax.analysis import bounded, crossed, fits, intervals
from rlhf_jax.analysis import calibration as cal
from rlhf_jax.analysis.checks import ceiling, length
from rlhf_jax.analysis.claims.spec import (
  BAI,
  ClaimSpec,
  OnConversations,
  Table,
  Theme,
)
from rlhf_jax.analysis.drawings.calibration import pm_calibration, pm_min_score
from rlhf_jax.analysis.findings import (
  Finding,
  NotRunError,
  contrast,
  means,
  per_seed,
)
from rlhf_jax.analysis.scored_pairs import (
  broadest_pairs,
  helpful_pairs,
  mixture_pairs,
)

MIN_CALIBRATION_PAIRS = 10_000
MIN_TURN_PAIRS = 30
CALIBRATED_T = (0.85, 1.15)
ONE_POINT = 0.01


def _numbers(pairs: pd.DataFrame) -> dict[str, float]:
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


def _confidence(t_N) -> str:
  """Calibrated, under- or over-confident, by the interval of the refit t.

  Calibrated is an interval inside [0.85, 1.15]; else t > 1 says that the
  differences of scores are too small for the labels.
  """
  t = intervals.t_interval(t_N)
  left, right = CALIBRATED_T
  word = 'of undecided confidence'
  if left <= t.low and t.high <= right:
    word = 'calibrated'
  elif t.low > 1:
    word = 'under-confident'
  elif t.high < 1:
    word = 'over-confident'
  return f'{word}: t = {t.mean:.2f} [{t.low:.2f}, {t.high:.2f}]'


def helpful_calibration(tables) -> Finding:
  """Claim 4: the helpful-only PM on helpful pairs."""
  pairs = helpful_pairs(tables)
  found = per_seed(pairs, _numbers)
  enough = not cal.has_labels(pairs) or (
    found['pairs'].min() >= MIN_CALIBRATION_PAIRS
  )
  note = _confidence(found['t'])
  if not enough:
    note += (
      f'; {int(found["pairs"].min())} test pairs; with simulated labels '
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
  helpful = per_seed(helpful_pairs(tables), _numbers)
  mix = per_seed(mixture_pairs(tables), _numbers)
  shared = mix.index.intersection(helpful.index)
  difference = (mix['ece_excess'] - helpful['ece_excess']).loc[shared]
  if difference.empty:
    raise NotRunError('calibration and mixture PMs share no seed')
  return Finding(
    [
      contrast('ece_mix_minus_helpful', difference, '>', 0.0),
      contrast('signed_gap_mix', mix['signed_gap'], '>=', 0.0),
      contrast('t_mix', mix['t'], '>', 1.0),
    ],
    {
      'ece_mix': means(mix, 'ece')['ece'],
      'ece_helpful': means(helpful, 'ece')['ece'],
    },
    _confidence(mix['t']),
  )


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
  ranked = bounded.meets(found['spearman'], '<', -0.8)
  return Finding(
    [contrast('share_ranked', ranked, '>', 0.5, bounded.share)],
    means(found, *found.columns),
    f'PMs of role {role}',
  )


def turn_accuracy(tables) -> Finding:
  """Claim 7: the first exchange against later ones."""
  pairs, role = broadest_pairs(tables)
  counts = pairs.groupby(['run_id', 'turn']).size().unstack(fill_value=0).min()
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


PM_PAIRS = Table(
  name='pm_pairs',
  meaning='a held-out pair, scored by a PM at the end of its training',
  columns={
    'train_subset': 'kind of pair the PM is trained on',
    'schedule': 'of its learning rate',
    'pairs': 'training pairs it has seen',
    'pair_id': 'of the pair',
    'prompt_id': 'of its prompt; pairs of one prompt share it',
    'subset': 'kind of the pair: `helpful` or `harmless`',
    'turn': 'exchange of the dialogue that is compared; 1 is the first',
    'score_chosen': 'PM score of the preferred reply (log-odds)',
    'score_rejected': 'PM score of the other one',
    'p_label': 'true probability that `chosen` is preferred; NaN on real data',
    'words_chosen': 'words of the preferred reply',
    'words_rejected': 'words of the other one',
  },
  text=('train_subset', 'schedule', 'subset', 'pair_id', 'prompt_id'),
  compressed=True,
)

# Of one trained PM: over its conversations, not over seeds.
LOW = 'lower end of its 95 % interval (bootstrap over conversations)'
HIGH = 'upper end of it'
FLOORS = Table(
  name='floors',
  meaning='a kind of held-out pair, and an imported PM on it',
  columns={
    'subset': 'kind of pair',
    'pairs': 'held out',
    'accuracy': 'of the PM',
    'accuracy_low': LOW,
    'accuracy_high': HIGH,
    'longer_wins': 'accuracy of the rule that the longer reply wins',
    'longer_wins_low': LOW,
    'longer_wins_high': HIGH,
    'over_longer': 'accuracy of the PM less that of the rule',
    'over_longer_low': LOW,
    'over_longer_high': HIGH,
  },
  text=('subset',),
  heading='Accuracy on held-out pairs, and the floor',
)

THEME = Theme(
  title='Calibration of preference models',
  claims=(
    ClaimSpec(
      4,
      'Helpful-only PM is calibrated',
      'Differences of PM scores are log-odds of the preference.',
      f'{BAI}, Fig. 9 right',
      'calibration error less its expectation under perfect calibration < '
      '0.02 (10 equal-count bins, >= 10,000 pairs where labels are simulated) '
      'and logistic refit t inside [0.85, 1.15]',
      helpful_calibration,
      tables=('pm_pairs',),
      figure='pm_calibration',
      crossed=OnConversations(
        crossed.helpful_calibration,
        'calibration error less its expectation under perfect calibration < '
        '0.02 (10 equal-count bins) and logistic refit t inside [0.85, 1.15], '
        'helpful head on helpful pairs (bootstrap over conversations)',
      ),
    ),
    ClaimSpec(
      5,
      'Mixture PM is under-confident',
      'A PM of the mixture is less well calibrated than a helpful-only one, on '
      'the side of too little confidence.',
      f'{BAI}, Fig. 9 left',
      'calibration error larger, mean (accuracy - predicted) >= 0 and t > 1',
      mixture_calibration,
      tables=('pm_pairs',),
      figure='pm_calibration',
    ),
    ClaimSpec(
      6,
      'Accuracy falls among good replies',
      'The higher the score that both members must exceed, the lower the '
      'accuracy.',
      f'{BAI}, Fig. 25',
      'more than half of all seeds have Spearman < -0.8 of accuracy and '
      'threshold (quantiles 0 to 0.8 of the smaller score; exact interval of '
      'their share)',
      high_score_accuracy,
      min_seeds=6,  # of which all meet the bound: fewer cannot pass
      tables=('pm_pairs',),
      figure='pm_min_score',
      crossed=OnConversations(
        crossed.high_score_accuracy,
        'Spearman < -0.8 of accuracy and threshold, conditional head on all '
        'pairs (bootstrap over conversations)',
      ),
    ),
    ClaimSpec(
      7,
      'First turns are a little easier',
      'Accuracy is highest on the first exchange and flat afterwards.',
      f'{BAI}, Fig. 8',
      'first turn - later turns > 0; slope over later turns inside +-1 point '
      'a turn; multi-turn data only',
      turn_accuracy,
      tables=('pm_pairs',),
      figure='accuracy_by_turn',
      crossed=OnConversations(
        crossed.turn_accuracy,
        'first turn - later turns > 0; slope over later turns inside +-1 point '
        'a turn, conditional head on all pairs (bootstrap over conversations)',
      ),
    ),
  ),
  tables=(PM_PAIRS, FLOORS),
  drawings=(pm_calibration, pm_min_score),
  checks=(length, ceiling),
  roles={
    'calibration': 'a helpful-only PM at a decaying rate',
    'mixture': 'a PM of the mixture at a decaying rate',
  },
)
