"""Simulated studies for the claims on skills: 29 and 43."""

import numpy as np
import pandas as pd

from rlhf_jax.analysis.operating.scenario import Scenario
from rlhf_jax.analysis.operating.tables import LARGEST, THREE, run_of

LN_SIZES = np.log(list(THREE.values()))
TASKS = ('hh', 'summaries', 'oneliners')
# Accuracies of PMs of the largest size and 6,144 to 12,288 pairs vary by .0066
# between the seeds of micro; two PMs of a seed have their labels in common.
LOSS_SEED = 0.007
# No study has run yet: as far as choices of distilled models are taken to vary.
TAX_SEED = 0.02


def alignment_tax(rng, seeds, where):
  """Claim 29: a loss that is largest at the smallest size, 0 at the largest."""
  start = 0.04
  tax_S = start * (LN_SIZES[-1] - LN_SIZES) / np.ptp(LN_SIZES)
  if where == 'loss':  # none at the smallest, a bonus above
    tax_S = tax_S - start
  if where == 'slope':
    tax_S = np.full(len(LN_SIZES), start)
  rows = []
  for seed in seeds:
    noise_S = TAX_SEED * rng.standard_normal(len(THREE))
    for tax, size in zip(tax_S + noise_S, THREE, strict=True):
      run = run_of('capability', size, seed)
      for task in TASKS:
        for policy, lost in (('pi_0', 0.0), ('hh', tax), ('mixed', 0.0)):
          row = {'policy': policy, 'task': task, 'accuracy': 0.8 - lost}
          row |= {'n_choices': 1024, 'passed': 0.3 - lost, 'gold': 1.0}
          rows.append(run | row | {'n_samples': 256})
  return {'capability': pd.DataFrame(rows)}


def skill_mixed_in(rng, seeds, where):
  """Claim 43: mixing costs nothing, or one task a point."""
  rows = []
  for seed in seeds:
    run = run_of('capability', LARGEST, seed)
    for task in TASKS:
      lost = 0.01 if where == task else 0.0
      lost += LOSS_SEED * rng.standard_normal()
      for pm, accuracy in ((task, 0.7), ('mixed', 0.7 - lost)):
        row = {'pm': pm, 'task': task, 'accuracy': accuracy}
        row |= {'expected_accuracy': accuracy, 'n_eval': 2048}
        rows.append(run | row)
  return {'skill_pms': pd.DataFrame(rows)}


SCENARIOS = (
  Scenario(
    29,
    alignment_tax,
    '4 points lost at the smallest size and none at the largest, 2 between '
    'seeds',
    {
      'loss': 'nothing lost at the smallest size, 4 points won at the largest',
      'slope': '4 points lost at every size',
    },
  ),
  Scenario(
    43,
    skill_mixed_in,
    'mixing costs nothing, .7 points between seeds',
    {
      'hh': 'it costs a point on requests of the world',
      'summaries': 'a point on summaries',
      'oneliners': 'a point on lines of Python',
    },
  ),
)
