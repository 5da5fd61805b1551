"""What a round of online training changed: preference model and policy.

Before is what was trained on base pairs alone, after what was trained last
(Bai et al. 2022, section 4.5). Both preference models judge the same held-out
pairs, so that their difference is taken pair by pair:

  change = mean_n (a_n - b_n),   interval: -+ 1.96 sd / sqrt(n)

with a_n and b_n the agreement of the two with pair n (or its expectation, where
the odds of the label are known). Gains of policies over pi_0 are of runs of
their own, with errors over held-out prompts:

  change = a - b,   interval: -+ 1.96 sqrt(s_a^2 + s_b^2)
"""

import math

import numpy as np
import pandas as pd

from rlhf_jax.analysis import calibration

Z = 1.959964  # of 95 %
BEFORE, AFTER = 'base_only', 'final'  # names of both in the tables
TRANCHES = {'base': 'base pairs', 'online': 'pairs of people'}


def accuracies(pairs: pd.DataFrame) -> list[dict]:
  """Rows of the preference models' accuracy, a tranche each.

  Args:
    pairs: the table tranche_pairs, of one seed.
  """
  rows = []
  for tranche, said in TRANCHES.items():
    own = pairs[pairs['tranche'] == tranche]
    before, after = (
      calibration.agreement(own[own['pm'] == pm].sort_values('pair_id'))
      for pm in (BEFORE, AFTER)
    )
    if not len(before):
      continue
    change_N = np.asarray(after, float) - np.asarray(before, float)
    error = _error(change_N)
    name = f'PM accuracy on held-out {said}'
    rows.append(_row(name, np.mean(before), np.mean(after), error, len(before)))
  return rows


def gains(before: pd.DataFrame, after: pd.DataFrame, prompts) -> list[dict]:
  """Rows of the policies' gain in gold over pi_0, on held-out prompts.

  Without a world there is no gold, and no row.

  Args:
    before: the table rl_curve of the first policy.
    after: of the last.
    prompts: held-out prompts behind each.
  """
  ends = []
  for curve in (before, after):
    curve = curve.sort_values('iteration')
    first, last = curve.iloc[0], curve.iloc[-1]
    ends.append((last['gold'] - first['gold'], last['gold_se']))
  (own, own_se), (new, new_se) = ends
  if math.isnan(own) or math.isnan(new):
    return []
  error = math.hypot(own_se, new_se)
  return [_row('gold reward over pi_0', own, new, error, prompts)]


def preferred(matches: pd.DataFrame) -> list[dict]:
  """A row of how often the crowd prefers the last policy to the first.

  Args:
    matches: of one seed; win_rate NaN on real data: no row.
  """
  own = matches[(matches['player'] == AFTER) & (matches['opponent'] == BEFORE)]
  if own['win_rate'].isna().all():
    return []
  rate, games = float(own['win_rate'].iloc[0]), int(own['games'].iloc[0])
  return [_row('preferred to the other', 1 - rate, rate, math.nan, games)]


def _error(value_N):
  """Standard error of a mean."""
  if len(value_N) < 2:
    return math.nan
  return float(value_N.std(ddof=1) / math.sqrt(len(value_N)))


def _row(name, before, after, error, n):
  change = float(after - before)
  return {
    'what': name,
    'before': float(before),
    'after': float(after),
    'change': change,
    'low': change - Z * error,
    'high': change + Z * error,
    'n': n,
  }
