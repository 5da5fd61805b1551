"""Final policies by kind of prompt: places among the PM data, gold, attacks.

Source: Bai et al. 2022, sections 4.4 and 5.1, Figs. 1 and 14. A row of `scored`
is the replies of a policy to the prompts of one kind, under one scorer.
"""

import numpy as np
import pandas as pd

from rlhf_jax.analysis import mixtures
from rlhf_jax.analysis.findings import NotRunError, keep, largest, last, select

HELPFUL_ONLY, MIXED = 'helpful_pm', 'mixed_pm'
# Number -> kind of prompts, column of `scored`.
BY_GOLD = {
  'helpful_gold': ('helpful', 'mean'),
  'attack_success': ('harmless', 'negative'),
}


def percentile(value: float, score_N) -> float:
  """Share of scores below a value, in per cent; ties count one half."""
  score_N = np.asarray(score_N, float)
  return float(100 * (0.5 * (np.sign(value - score_N) + 1)).mean())


def percentiles(tables) -> pd.DataFrame:
  """Percentile of the median reply among the PM's test replies.

  The train PM of a policy scores its replies, and both replies of every test
  pair of the same kind.

  Returns:
    A row a seed, a column a kind.
  """
  replies = select(tables, 'scored', role='linear', subset=mixtures.KINDS)
  replies = keep(replies[replies['pm_params'] > 0], 'scored.csv by a PM')
  pairs = largest(select(tables, 'pm_pairs', role='scaling'))
  rows = {}
  for seed, own in replies.groupby('seed'):
    data = keep(last(pairs, 'pairs'), 'pm_pairs.csv', seed=seed)
    rows[seed] = {}
    for kind in mixtures.KINDS:
      part = data[data['subset'] == kind]
      both = pd.concat([part['score_chosen'], part['score_rejected']])
      median = own[own['subset'] == kind]['median'].mean()
      rows[seed][kind] = percentile(median, both)
  return pd.DataFrame.from_dict(rows, orient='index')


def by_gold(tables, name: str) -> pd.DataFrame:
  """One number of BY_GOLD of policies under a helpful and under a mixed PM.

    helpful_gold    mean gold of replies to helpful prompts
    attack_success  share of replies to red-team prompts of negative gold

  Returns:
    A row a seed, columns HELPFUL_ONLY and MIXED.

  Raises:
    NotRunError: if policies under one of the two are lacking.
  """
  subset, column = BY_GOLD[name]
  gold = select(tables, 'scored', role=[HELPFUL_ONLY, MIXED], pm='gold')
  own = keep(gold, 'scored.csv by gold', subset=subset)
  table = own.pivot_table(index='seed', columns='role', values=column)
  if set(table) != {HELPFUL_ONLY, MIXED}:
    raise NotRunError('wanted policies under both PMs')
  return table
