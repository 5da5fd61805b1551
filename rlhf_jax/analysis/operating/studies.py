"""All scenarios: one for every claim that is measured."""

from rlhf_jax.analysis.operating import frontier, online, pm, rl, robust

SCENARIOS = {
  scenario.claim: scenario
  for module in (pm, rl, robust, frontier, online)
  for scenario in module.SCENARIOS
}
