"""Policies by where their PPO starts: the plain model, or a distilled one.

Each policy's KL is from its own start, exact, in nats per reply. Scores are
those of one preference model on the same held-out prompts, so they stand beside
each other; where a policy starts is not the same model, and its first score
says how much of the last one it had before any RL.
"""

import numpy as np
import pandas as pd

from rlhf_jax.analysis.findings import NotHereError, keep, last, select
from rlhf_jax.analysis.intervals import Interval, t_interval

SCORES = {'train': 'train_pm', 'test': 'test_pm', 'gold': 'gold'}
PLAIN, PAGES, DISTILLED = 'linear', 'from_lm', 'from_distilled'
ROLES = (PLAIN, PAGES, DISTILLED)


def runs_of(tables) -> pd.DataFrame:
  """Rows of rl_curve.csv of PAGES and DISTILLED, and of PLAIN beside them.

  Beside them: of their size and seeds, and of half a, as theirs are.

  Raises:
    NotRunError: if there are none of these two.
  """
  curve = select(tables, 'rl_curve', role=list(ROLES), half='a')
  moved = keep(curve, 'rl_curve.csv', role=[PAGES, DISTILLED])
  alike = curve['size'].isin(moved['size']) & curve['seed'].isin(moved['seed'])
  return curve[alike]


def ends(curve: pd.DataFrame) -> pd.DataFrame:
  """What each run begins and ends at.

  Args:
    curve: rows of rl_curve.csv, one run a role and seed, the first of each
      being pi_0.

  Returns:
    Indexed by role and seed: kl of the last checkpoint, and for each scorer
    NAME_start, its score of pi_0, and NAME_gain, what the last has over that.
    NaN of a score that was not measured.
  """
  keys = ['role', 'seed']
  first = curve[
    curve['samples'] == curve.groupby('run_id')['samples'].transform('min')
  ].set_index(keys)
  end = last(curve, 'samples').set_index(keys)
  found = {'kl': end['kl']}
  for name, column in SCORES.items():
    found[f'{name}_start'] = first[column].astype(float)
    found[f'{name}_gain'] = end[column].astype(float) - first[column]
  return pd.DataFrame(found).sort_index()


def apart(found: pd.DataFrame, column: str, role: str, other: str) -> Interval:
  """A column of `ends` of one role less that of another, paired by seed.

  The interval is a t-interval over the seeds that have both; of none it is NaN.
  """
  of = lambda name: found[column].xs(name, level='role')
  return t_interval((of(role) - of(other)).dropna().to_numpy(np.float64))


def policies_by_start(tables) -> dict:
  """First score, gain and last KL of each start, and less those of the plain.

  No verdict: the papers at hand start from a distilled model and compare it
  with no other.
  """
  roles = tables['rl_curve']['role'] if 'rl_curve' in tables else ()
  if not set(roles) & {PAGES, DISTILLED}:
    raise NotHereError('this study has no policies from a distilled model')
  found = ends(runs_of(tables)).dropna(axis='columns', how='all')
  there = [role for role in ROLES if role in found.index.unique('role')]
  mean = lambda column, role: float(found[column].xs(role, level='role').mean())
  measured = {f'{x}_{role}': mean(x, role) for x in found for role in there}
  for role in there[1:] if there[0] == PLAIN else ():
    for column in found:
      one, name = apart(found, column, role, PLAIN), f'{column}_{role}_less'
      measured[f'{name}_{PLAIN}'] = one.mean
      measured[f'{name}_{PLAIN}_low'] = one.low
      measured[f'{name}_{PLAIN}_high'] = one.high
  return {
    'measured': measured,
    'seeds': found.index.unique('seed').size,
    'verdict': 'reported',
    'note': 'scores in log-odds, KL in nats a reply from the own start; 95 % '
    'intervals over seeds',
  }
