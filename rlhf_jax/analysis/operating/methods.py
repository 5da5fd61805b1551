"""Simulated studies for the claims on what a model learns from pairs: 52."""

import numpy as np
import pandas as pd

from rlhf_jax.analysis.operating.noise import NOISE
from rlhf_jax.analysis.operating.scenario import Scenario
from rlhf_jax.analysis.operating.tables import SIZES, run_of

TASKS = {
  'helpful': 'ranked',
  'harmless': 'ranked',
  'answer': 'binary',
  'refusal': 'binary',
}
# Ranked less imitation at the smallest size, and what each further size adds.
FIRST, STEP = 0.05, 0.02
IMITATION = 0.6


def method_rows(seed, size, lead, noise=lambda: 0.0) -> list[dict]:
  """Rows of methods of one run.

  Args:
    seed: of the run.
    size: of SIZES.
    lead: kind of a task -> what its method has over imitation.
    noise: () -> error of one accuracy.
  """
  rows = []
  for task, kind in TASKS.items():
    for method in ('ranked', 'binary', 'imitation'):
      imitates = method == 'imitation'
      accuracy = IMITATION + (0.0 if imitates else lead[kind]) + noise()
      rows.append(
        run_of('compared', size, seed)
        | {
          'task': task,
          'kind': kind,
          'method': method,
          'pairs': 2_048,
          'rate': 0.3,
          'accuracy': accuracy,
          'accuracy_whole': accuracy - 0.05 if imitates else np.nan,
          'n_eval': 1_500,
        }
      )
  return rows


def ranking_against_imitation(rng, seeds, where):
  """Claim 52: four tasks at four sizes."""
  error = NOISE['size_residual']
  rows = []
  for seed in seeds:
    for place, size in enumerate(SIZES):
      lead = {'ranked': FIRST + STEP * place, 'binary': 0.0}
      if where == 'level':
        lead['ranked'] = 0.15
      if where == 'smallest':
        lead['ranked'] -= FIRST
      if where == 'binary' and place == 0:
        lead['binary'] = 0.02
      noise = lambda: error * rng.standard_normal()
      rows += method_rows(seed, size, lead, noise)
  return {'methods': pd.DataFrame(rows)}


SCENARIOS = (
  Scenario(
    52,
    ranking_against_imitation,
    'ranked tasks: 5 points at the smallest size and 2 more at each next one; '
    'binary: equal; residuals of micro in every accuracy',
    {
      'smallest': 'no difference at the smallest size',
      'level': '15 points on ranked tasks at all sizes: slope 0',
      'binary': '2 points on binary tasks at the smallest size',
    },
  ),
)
