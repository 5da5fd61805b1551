"""All 65 claims: what is claimed, by whom, and what would make it false.

The thresholds were set before the confirmation runs and do not change with
the results. The numbers are ours where the papers give none; the directions
are the papers'. The texts stand in two modules by section.
"""

from rlhf_jax.analysis import claims_pm_rl, claims_rest
from rlhf_jax.analysis.claim_spec import ClaimSpec

CLAIMS: tuple[ClaimSpec, ...] = (*claims_pm_rl.CLAIMS, *claims_rest.CLAIMS)


def claim(number: int) -> ClaimSpec:
  """The claim with this number."""
  for spec in CLAIMS:
    if spec.id == number:
      return spec
  raise KeyError(f'claims are numbered 1 to {len(CLAIMS)}, got {number}')
