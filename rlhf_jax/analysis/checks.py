"""Facts about the scored pairs that every result is to be read beside."""

import numpy as np
import pandas as pd

from rlhf_jax.analysis import calibration as cal
from rlhf_jax.analysis import fits, intervals
from rlhf_jax.analysis.findings import (
  NotRunError,
  contrast,
  finite_interval,
  means,
  per_seed,
)
from rlhf_jax.analysis.scored_pairs import broadest_pairs

CHANCE = 0.5
MIN_OVER_LENGTH = 0.03


def length(tables) -> dict:
  """PM accuracy less that of the rule 'the longer reply wins'.

  It must exceed 3 points, with its interval clear of 0.
  """
  pairs, role = broadest_pairs(tables)
  found = per_seed(pairs, _length_numbers)
  over = contrast(
    'accuracy_minus_longer', found['accuracy_minus_longer'], '>', 0.0
  )
  mean = intervals.exact(over.interval.mean, over.interval.n)
  three = intervals.Contrast('mean', mean, MIN_OVER_LENGTH, '>=')
  return {
    'measured': means(found, *found.columns),
    'ci': finite_interval(over.interval),
    'seeds': over.interval.n,
    'threshold': 'PM accuracy - longer reply wins > 0, mean >= 3 points',
    'verdict': intervals.verdict([over, three]),
    'note': f'PMs of role {role}',
  }


def _length_numbers(pairs: pd.DataFrame) -> dict[str, float]:
  score = np.append(pairs['score_chosen'], pairs['score_rejected'])
  words = np.append(pairs['words_chosen'], pairs['words_rejected'])
  return {
    'accuracy': cal.accuracy(pairs),
    'longer_wins': cal.longer_wins(pairs),
    'accuracy_minus_longer': cal.accuracy(pairs) - cal.longer_wins(pairs),
    'score_length_correlation': fits.reward_length_correlation(score, words),
  }


def ceiling(tables) -> dict:
  """The accuracy of a perfect labeller, and how much of it the PM reaches."""
  pairs, role = broadest_pairs(tables)
  if not cal.has_labels(pairs):
    raise NotRunError('p_label is empty: real data have no known ceiling')
  found = per_seed(
    pairs,
    lambda run: {
      'ceiling': cal.ceiling(run),
      'accuracy': cal.accuracy(run),
      'share_of_range': (cal.accuracy(run) - CHANCE)
      / max(cal.ceiling(run) - CHANCE, 1e-12),
    },
  )
  return {
    'measured': means(found, *found.columns),
    'ci': finite_interval(intervals.t_interval(found['ceiling'])),
    'seeds': len(found),
    'verdict': 'reported',
    'note': f'PMs of role {role}',
  }
