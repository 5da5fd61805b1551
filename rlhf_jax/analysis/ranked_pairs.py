"""Ways to score the replies of real ranked sets, side by side.

A row of ranked_pairs is two replies to one prompt, and what each method says of
them: 1 where it scores the better one higher, .5 of a tie, the mean over draws
of the folds. Methods are compared pair by pair; intervals are over
conversations.
"""

import numpy as np
import pandas as pd

from rlhf_jax.analysis import conversations as over

METHODS = ('ranked', 'binary', 'imitation', 'imitation_whole', 'longer')
IMITATION, RULE = 'imitation', 'longer'


def rows(pairs: pd.DataFrame) -> list[dict]:
  """Rows of ranked_methods: each set and method.

  Args:
    pairs: rows of ranked_pairs.
  """
  found = []
  for name, own in pairs.groupby('set', sort=False):
    units = own['prompt_id'].nunique()
    for method in METHODS:
      row = {'set': name, 'method': method, 'prompts': own['ranking'].nunique()}
      row |= {'conversations': units, 'n_eval': len(own)}
      for column, values in {
        'accuracy': own[method],
        'over_imitation': own[method] - own[IMITATION],
        'over_longer': own[method] - own[RULE],
      }.items():
        one = interval_of(values, own['prompt_id'])
        row |= {column: one.mean, f'{column}_low': one.low}
        row |= {f'{column}_high': one.high}
      found.append(row)
  return found


def interval_of(values, group_N):
  """The mean of some pairs, with its interval over conversations."""
  x_N = np.asarray(values, float)
  (drawn,) = over.mean_draws(x_N[:, None], group_N).T
  return over.interval(x_N.mean(), drawn, len(set(group_N)))


def over_imitation(pairs: pd.DataFrame, method: str):
  """A contrast a set: accuracy of a method less that of imitation > 0.

  Args:
    pairs: rows of ranked_pairs.
    method: of METHODS.
  """
  found = []
  for name, own in pairs.groupby('set', sort=False):
    gap = (own[method] - own[IMITATION]).to_numpy(float)
    (drawn,) = over.mean_draws(gap[:, None], own['prompt_id']).T
    units = own['prompt_id'].nunique()
    args = f'{name}_{method}', gap.mean(), drawn, '>', 0.0, units
    found.append(over.contrast(*args))
  return found
