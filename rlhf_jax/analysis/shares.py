"""Heads of shares of helpful and harmless pairs, at one number of pairs.

A head is named after its share, '25/75' for 25 helpful to 75 harmless pairs;
those of '100/0' and '0/100' are the specialists. Accuracy is that of one head,
the mean over draws of its training pairs (`right` of cross_pairs); in the mean
of both kinds of pair each kind weighs the same.

    lost(share, kind) = accuracy of the specialist of the kind - accuracy,

pair by pair.
"""

import math

import numpy as np
import pandas as pd

from rlhf_jax.analysis import conversations as over
from rlhf_jax.analysis.findings import NotRunError
from rlhf_jax.analysis.mixtures import KINDS, share_of

SPECIALIST = {'helpful': '100/0', 'harmless': '0/100'}
EQUAL = '50/50'
BOTH = 'both'


def is_share(model: str) -> bool:
  """Whether a model of cross_pairs is one of a share."""
  return '/' in model


def right_table(pairs: pd.DataFrame) -> pd.DataFrame:
  """What each share has right of each pair, with its kind and conversation.

  A pair that some share did not score is left out.

  Args:
    pairs: rows of cross_pairs.

  Returns:
    A row a pair: subset, prompt_id, and a column a share, from few helpful
    pairs to many.

  Raises:
    NotRunError: if there is no head of a share, or one share has heads of
      several numbers of pairs.
  """
  rows = pairs[pairs['model'].map(is_share)]
  if rows.empty:
    raise NotRunError('no heads of shares of helpful and harmless pairs')
  if rows.groupby('model')['pairs'].nunique().max() > 1:
    raise NotRunError('wanted heads of shares at one number of pairs')
  wide = rows.pivot(index='pair_id', columns='model', values='right').dropna()
  known = rows.drop_duplicates('pair_id').set_index('pair_id')
  ordered = wide[sorted(wide, key=share_of)]
  return known.loc[wide.index, ['subset', 'prompt_id']].join(ordered)


def rows(pairs: pd.DataFrame) -> list[dict]:
  """Rows of cross_shares: each share on each kind of pair, and on both.

  Intervals are over conversations. Without a specialist `lost` is NaN.

  Args:
    pairs: rows of cross_pairs.
  """
  table = right_table(pairs)
  found = []
  for share in table.columns[2:]:
    row = {'share': share, 'helpful': share_of(share)}
    row['pairs'] = int(pairs[pairs['model'] == share]['pairs'].iloc[0])
    found += [row | part for part in _of_share(table, share)]
  return found


def _of_share(table, share):
  """What the rows of one share say, a dict a subset."""
  columns = {}
  for kind in KINDS:
    own_N = (table['subset'] == kind).to_numpy()
    best = table.get(SPECIALIST[kind], pd.Series(math.nan, table.index))
    parts = {'accuracy': table[share], 'lost': best - table[share]}
    for name, values in parts.items():
      columns[kind, name] = np.where(own_N, values, math.nan)
  known = np.stack([*columns.values()], 1)
  with np.errstate(invalid='ignore'):  # 0 / 0 of what is not there
    drawn = over.mean_draws(known, table['prompt_id']).T
    mean = np.nansum(known, 0) / np.isfinite(known).sum(0)
  values = {k: (mean[i], drawn[i]) for i, k in enumerate(columns)}
  for name in ('accuracy', 'lost'):
    sides = zip(*(values[kind, name] for kind in KINDS), strict=True)
    values[BOTH, name] = tuple(sum(side) / len(KINDS) for side in sides)
  for subset in (*KINDS, BOTH):
    own = table if subset == BOTH else table[table['subset'] == subset]
    row = {'subset': subset, 'n_eval': len(own)}
    for name in ('accuracy', 'lost'):
      one = over.interval(*values[subset, name], own['prompt_id'].nunique())
      row |= {name: one.mean, f'{name}_low': one.low}
      row |= {f'{name}_high': one.high}
    yield row
