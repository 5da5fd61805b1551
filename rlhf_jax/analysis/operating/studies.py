"""All scenarios: one for every claim that is measured.

REAL are those of claims that are judged over conversations as well.
"""

from rlhf_jax.analysis.operating import (
  distillation,
  frontier,
  methods,
  pm,
  real,
  rl,
  robust,
)

MODULES = (pm, rl, robust, frontier, methods, distillation)
SCENARIOS = {
  scenario.claim: scenario
  for module in MODULES
  for scenario in module.SCENARIOS
}
REAL = {scenario.claim: scenario for scenario in real.SCENARIOS}
