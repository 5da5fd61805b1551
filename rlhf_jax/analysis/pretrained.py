"""Heads with and without pretraining, on the same pairs.

    gain = accuracy after pretraining - accuracy without, pair by pair,

of heads that were finetuned on the same pairs. Accuracy is that of one head,
the mean over draws of its finetuning pairs. Intervals are over conversations.
"""

import math

import numpy as np
import pandas as pd

from rlhf_jax.analysis import conversations as over

NONE = 'none'


def rows(pairs: pd.DataFrame) -> list[dict]:
  """Rows of pretraining_gains: each model, pretraining and number of pairs.

  Args:
    pairs: rows of pretrained_pairs.
  """
  found = []
  keys = ['model', 'pairs']
  for (model, count), part in pairs.groupby(keys, sort=False):
    wide = part.pivot(index='pair_id', columns='before', values='right')
    known = part.drop_duplicates('pair_id').set_index('pair_id')
    group = known.loc[wide.index, 'prompt_id']
    plain = wide.get(NONE, pd.Series(math.nan, wide.index))
    for before in part['before'].unique():
      x_N2 = np.stack([wide[before], wide[before] - plain], 1)
      row = {'model': model, 'before': before, 'pairs': int(count)}
      found.append(row | {'n_eval': len(wide)} | _intervals(x_N2, group))
  return found


def _intervals(x_N2, group_N):
  """Means of accuracy and gain with their intervals; NaN without a plain one.

  Args:
    x_N2: right, and right less right without.
    group_N: conversation of each pair.
  """
  with np.errstate(invalid='ignore'):
    drawn_D2 = over.mean_draws(x_N2, group_N)
  row = {}
  for i, name in enumerate(('accuracy', 'gain')):
    one = over.interval(x_N2[:, i].mean(), drawn_D2[:, i], len(set(group_N)))
    row |= {name: one.mean, f'{name}_low': one.low, f'{name}_high': one.high}
  return row


def contrast_of_gains(pairs: pd.DataFrame, model, before):
  """{name: Contrast}: the gain on few pairs, and less that on many.

  Args:
    pairs: rows of pretrained_pairs.
    model: as there.
    before: likewise.
  """
  own = pairs[(pairs['model'] == model) & (pairs['pairs'] > 0)]
  few, many = own['pairs'].min(), own['pairs'].max()
  wide = own.pivot(
    index='pair_id', columns=['before', 'pairs'], values='right'
  ).dropna()
  known = own.drop_duplicates('pair_id').set_index('pair_id')
  group = known.loc[wide.index, 'prompt_id']
  gain = {n: wide[before, n] - wide[NONE, n] for n in (few, many)}
  x_N2 = np.stack([gain[few], gain[few] - gain[many]], 1)
  drawn_D2, units = over.mean_draws(x_N2, group), group.nunique()
  names = f'gain_at_{few}', f'gain_at_{few}_less_{many}'
  return {
    name: over.contrast(
      name, x_N2[:, i].mean(), drawn_D2[:, i], '>', 0.0, units
    )
    for i, name in enumerate(names)
  }
