"""Capability that RL costs, by size: rows of world_tax.csv.

    tax = accuracy of pi_0 - accuracy after RL, the mean over seeds

on choices between a right and a wrong answer of the world's skills and of its
own requests; below 0 it is a bonus. Intervals are t-intervals over seeds.
"""

import numpy as np
import pandas as pd

from rlhf_jax.analysis import intervals
from rlhf_jax.analysis.claims.skills import OWN, SKILLS, losses
from rlhf_jax.analysis.findings import by_size

BOTH = 'both skills'
POLICIES = {'tax': OWN, 'tax_mixed': 'mixed'}


def rows_of(tables) -> list[dict]:
  """Rows of each size, policy and task, and of the mean of both skills.

  Args:
    tables: of which `capability` is read.

  Raises:
    NotRunError: if a policy is missing.
  """
  asked = {BOTH: SKILLS} | {task: [task] for task in (OWN, *SKILLS)}
  return [
    row
    for task, tasks in asked.items()
    for size, own in by_size(losses(tables, tasks=tasks))
    for row in _rows(task, size, own)
  ]


def _rows(task: str, size: str, own: pd.DataFrame):
  """Yields the rows of one task and size."""
  for column, policy in POLICIES.items():
    tax_N = own[column].to_numpy(float)
    tax_N = tax_N[np.isfinite(tax_N)]
    if not len(tax_N):
      continue
    one = intervals.t_interval(tax_N)
    yield {
      'size': size,
      'n_params': int(own['n_params'].iloc[0]),
      'policy': policy,
      'task': task,
      'tax': one.mean,
      'low': one.low,
      'high': one.high,
      'seeds': one.n,
    }
