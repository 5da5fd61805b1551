"""Simulated studies for claims on what a model learns from pairs: 52 to 54."""

import numpy as np
import pandas as pd

from rlhf_jax.analysis.operating.noise import NOISE
from rlhf_jax.analysis.operating.scenario import Scenario
from rlhf_jax.analysis.operating.tables import LOWER, accuracy_row, run_of

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
    size: rung.
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
          'pairs': 2_560,
          'rate': 0.3,
          'accuracy': accuracy,
          'accuracy_whole': accuracy - 0.05 if imitates else np.nan,
          'n_eval': 1_000,
        }
      )
  return rows


def ranking_against_imitation(rng, seeds, where):
  """Claim 52: four tasks at three sizes."""
  error = NOISE['size_residual']
  rows = []
  for seed in seeds:
    for place, size in enumerate(LOWER):
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


FINETUNING = (128, 512, 2_048, 10_240)
# What tagged pretraining gains at each of them, and ranked less than tagged.
GAIN = (0.1, 0.08, 0.05, 0.03)
BEHIND = 0.03


def after_rows(seed, gain_D, behind, noise=lambda: 0.0) -> list[dict]:
  """Rows of pm_curve of one seed, after each kind of pretraining.

  Args:
    seed: of the runs.
    gain_D: of tagged pretraining, at each of FINETUNING.
    behind: what ranked pretraining gains less.
    noise: () -> error of one accuracy.
  """
  rows = []
  for pairs, gain in zip(FINETUNING, gain_D, strict=True):
    none = 0.55 + 0.02 * np.log(pairs / 128)
    for before, accuracy in (
      ('none', none),
      ('ranked', none + gain - behind),
      ('binary', none + gain),
    ):
      value = accuracy + noise()
      run = run_of(f'after_{before}', '42K', seed, tag=f'-{pairs}')
      args = run, 'mix', 'decay', pairs, 'mix', value, value
      rows.append(accuracy_row(*args))
  return rows


def _pretraining(rng, seeds, gain_D, behind=BEHIND):
  noise = lambda: NOISE['data_residual'] * rng.standard_normal()
  rows = [row for s in seeds for row in after_rows(s, gain_D, behind, noise)]
  return {'pm_curve': pd.DataFrame(rows)}


def helps_most_with_few(rng, seeds, where):
  """Claim 53: four numbers of pairs."""
  gain_D = {'none': (0.07, 0.05, 0.02, 0.0), 'level': 4 * (0.05,)}
  return _pretraining(rng, seeds, gain_D.get(where, GAIN))


def binary_transfers(rng, seeds, where):
  """Claim 54: the same."""
  behind = 0.0 if where == 'equal' else BEHIND
  return _pretraining(rng, seeds, GAIN, behind)


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
  Scenario(
    53,
    helps_most_with_few,
    'gains of 8 points at 512 pairs and 3 at 10,240, residuals of micro',
    {
      'none': '5 points at 512 pairs, none at 10,240',
      'level': '5 points at every number of pairs',
    },
  ),
  Scenario(
    54,
    binary_transfers,
    'tagged pretraining 3 points above ranked, residuals of micro',
    {'equal': 'no difference'},
  ),
)
