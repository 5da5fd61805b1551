"""Simulated studies for the claim on where a score is read: 8.

Differences of two PMs of a seed had a standard deviation of .013 on five
development seeds (0 to 4, 42K), as errors of .009 of each make.
"""

import pandas as pd

from rlhf_jax.analysis.operating.noise import NOISE
from rlhf_jax.analysis.operating.scenario import Scenario
from rlhf_jax.analysis.operating.tables import accuracy_row, run_of

SIZES = ('13K', '42K')
PAIRS = 12_288


def special_token(rng, seeds, where):
  """Claim 8: two PMs of each seed and size, with errors of their own."""
  gap = -0.01 if where == 'margin' else 0.01
  rows = []
  for seed in seeds:
    for size in SIZES:
      level = 0.65 + NOISE['size_residual'] * rng.standard_normal()
      for role, shift in (('at_end_of_context', gap), ('at_last_token', 0.0)):
        error = NOISE['data_residual'] * rng.standard_normal()
        found = level + shift + error
        run = run_of(role, size, seed, 'a')
        args = run, 'mix', 'constant', PAIRS, 'mix', found, found
        rows.append(accuracy_row(*args))
  return {'pm_curve': pd.DataFrame(rows)}


SCENARIOS = (
  Scenario(
    8,
    special_token,
    'one point better at the special token; errors of .009 of each PM',
    {'margin': 'one point worse at both sizes'},
  ),
)
