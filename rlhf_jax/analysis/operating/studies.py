"""All scenarios: one for every claim that is measured."""

from rlhf_jax.analysis.operating import (
  best_of_n,
  frontier,
  pm,
  rl,
  robust,
  scans,
  tension,
)

SCENARIOS = {
  scenario.claim: scenario
  for module in (pm, rl, robust, frontier, best_of_n, tension, scans)
  for scenario in module.SCENARIOS
}
