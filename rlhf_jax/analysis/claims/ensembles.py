"""Ensembles of preference models beside one: measured, and nothing claimed."""

import pandas as pd

from rlhf_jax.analysis import blind_spots as spots
from rlhf_jax.analysis.claims.spec import Theme
from rlhf_jax.analysis.drawings.ensembles import (
  REWARDS,
  gold_under_ensembles,
  runs_of,
)
from rlhf_jax.analysis.findings import NotHereError, need_values


def blind_spots(tables) -> dict:
  """Runs in which the test PM rises while gold falls, by the reward.

  No verdict: beside the count stand the mean gain in gold at its best and at
  the end.
  """
  roles = set(tables['rl_curve']['role']) if 'rl_curve' in tables else set()
  if not any(role.startswith('ensemble_') for role in roles):
    raise NotHereError('this study has no policies under ensembles')
  curve = runs_of(tables)
  need_values(curve, 'gold', 'real data have no gold scorer')
  measured = {}
  for role, rows in curve.groupby('role'):
    runs = [run.sort_values('samples') for _, run in rows.groupby('run_id')]
    found = pd.DataFrame([spots.after_the_best(run) for run in runs])
    gain = [run['gold'] - run['gold'].iloc[0] for run in runs]
    name = REWARDS[role].replace(' ', '_')
    measured |= {
      f'{name}_runs': float(len(runs)),
      f'{name}_blind': float(found['blind'].sum()),
      f'{name}_gold_best': float(pd.Series([x.max() for x in gain]).mean()),
      f'{name}_gold_last': float(pd.Series([x.iloc[-1] for x in gain]).mean()),
    }
  return {
    'measured': measured,
    'seeds': curve['seed'].nunique(),
    'verdict': 'reported',
    'note': 'counts of runs; gains of gold over pi_0, log-odds',
  }


THEME = Theme(
  title='Ensembles of preference models',
  drawings=(gold_under_ensembles,),
  checks=(blind_spots,),
  roles={
    **{
      f'member_{i}': 'a PM as of role robust, half a, with another head to '
      'start from and another order of its pairs'
      for i in (1, 2, 3)
    },
    'ensemble_mean': 'a run as of role robust, half a, under the mean score of '
    'its train PM and three members',
    'ensemble_min': 'the same under the least of their scores',
    'ensemble_variance': 'the same under the mean less .1 times the variance',
  },
)
