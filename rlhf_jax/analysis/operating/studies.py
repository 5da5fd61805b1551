"""All scenarios: one for every claim that is measured.

REAL are those of claims that are judged over conversations as well.
"""

from rlhf_jax.analysis.operating import (
  distillation,
  frontier,
  pm,
  real,
  rl,
  robust,
)

SCENARIOS = {
  scenario.claim: scenario
  for module in (pm, rl, robust, frontier, distillation)
  for scenario in module.SCENARIOS
}
REAL = {scenario.claim: scenario for scenario in real.SCENARIOS}
