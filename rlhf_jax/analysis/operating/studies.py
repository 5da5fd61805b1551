"""All scenarios: one for every claim that is measured.

REAL are those of claims that are judged over conversations as well.
"""

from rlhf_jax.analysis.operating import (
  activations,
  best_of_n,
  distillation,
  end_of_context,
  frontier,
  instruct,
  kwise,
  methods,
  online,
  ood,
  pm,
  real,
  rl,
  robust,
  samples,
  scans,
  skills,
  tension,
)

MODULES = (
  *(pm, rl, robust, frontier, methods, distillation),
  *(best_of_n, tension, scans, online, ood),
  *(samples, end_of_context, kwise, skills, instruct),
  activations,
)
SCENARIOS = {
  scenario.claim: scenario
  for module in MODULES
  for scenario in module.SCENARIOS
}
REAL = {scenario.claim: scenario for scenario in (*real.SCENARIOS, *ood.REAL)}
