"""Rules that know nothing but length, and heads beside them.

The floor of a kind of pair is the better of 'the longer reply wins' and 'the
shorter reply wins'; of both kinds together, the rule that knows the kind and
takes the better one for each. Which is better is seen on the same pairs, which
favours the rule.
"""

import math

import numpy as np
import pandas as pd

from rlhf_jax.analysis import calibration as cal
from rlhf_jax.analysis import conversations as over

MATCHED = 0.1  # most difference of words, over those of the longer reply
KINDS = ('helpful', 'harmless')


def longer(pairs: pd.DataFrame) -> np.ndarray:
  """Whether the preferred reply has more words; equal ones are a half."""
  gap_N = pairs['words_chosen'] - pairs['words_rejected']
  return (0.5 + 0.5 * np.sign(gap_N)).to_numpy(float)


def better_rule(pairs: pd.DataFrame) -> np.ndarray:
  """Whether the better length rule of each pair's kind is right."""
  longer_N, right_N = longer(pairs), np.zeros(len(pairs))
  for kind in KINDS:
    rows = (pairs['subset'] == kind).to_numpy()
    shorter = rows.any() and longer_N[rows].mean() < 0.5
    right_N[rows] = 1 - longer_N[rows] if shorter else longer_N[rows]
  return right_N


def columns(pairs: pd.DataFrame) -> dict[str, np.ndarray]:
  """Values of each pair, NaN where it has no part in a mean.

  accuracy          the head is right
  rule              the better length rule is
  over_rule         the one less the other, pair by pair
  matched           the head, where lengths are about equal
  where_longer      the head, where the preferred reply is the longer one
  where_shorter     the head, where it is the shorter one
  """
  right_N, longer_N = cal.agreement(pairs), longer(pairs)
  rule_N = better_rule(pairs)
  words_N2 = pairs[['words_chosen', 'words_rejected']].to_numpy(float)
  near_N = np.abs(np.diff(words_N2)[:, 0]) <= MATCHED * words_N2.max(1)
  where = lambda mask_N: np.where(mask_N, right_N, math.nan)
  return {
    'accuracy': right_N,
    'rule': rule_N,
    'over_rule': right_N - rule_N,
    'matched': where(near_N),
    'where_longer': where(longer_N == 1),
    'where_shorter': where(longer_N == 0),
  }


def row_of(pairs: pd.DataFrame) -> dict[str, float]:
  """Means of `columns` with their 95 % intervals over conversations.

  `balanced`, the mean of `where_longer` and `where_shorter`, is .5 of any rule
  on length alone.
  """
  found = columns(pairs)
  x_NM, group_N = np.stack([*found.values()], 1), pairs['prompt_id']
  with np.errstate(invalid='ignore'):
    draw_DM = over.mean_draws(x_NM, group_N)
    total_M, known_M = np.nansum(x_NM, 0), np.isfinite(x_NM).sum(0)
    mean = dict(zip(found, total_M / known_M, strict=True))
  drawn = dict(zip(found, draw_DM.T, strict=True))
  for parts in (mean, drawn):
    parts['balanced'] = (parts['where_longer'] + parts['where_shorter']) / 2
  row = {'n_eval': len(pairs), 'n_matched': int(known_M[3])}
  for name in ('accuracy', 'rule', 'over_rule', 'matched', 'balanced'):
    one = over.interval(mean[name], drawn[name], group_N.nunique())
    row |= {name: one.mean, f'{name}_low': one.low, f'{name}_high': one.high}
  return row


def rows(pairs: pd.DataFrame) -> list[dict]:
  """A row of cross_floors for each model and kind of pair.

  Args:
    pairs: rows of cross_pairs.
  """
  found = []
  for model, part in pairs.groupby('model', sort=False):
    part = part[part['pairs'] == part['pairs'].max()]
    part = part.assign(p_label=math.nan)
    kinds = {kind: part[part['subset'] == kind] for kind in KINDS}
    for subset, own in {'mix': part, **kinds}.items():
      if len(own):
        head = {'model': model, 'pairs': int(own['pairs'].iloc[0])}
        found.append(head | {'subset': subset} | row_of(own))
  return found
