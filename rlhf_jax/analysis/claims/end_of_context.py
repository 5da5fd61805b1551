"""Claim 8: where a PM's score is read (Bai et al., appendix A.2)."""

from rlhf_jax.analysis.claims.spec import BAI, ClaimSpec, Theme

THEME = Theme(
  title='The end-of-context token',
  claims=(
    ClaimSpec(
      8,
      'End-of-context token',
      'Reading the score at a special token is no worse than reading it at the '
      'last ordinary token.',
      f'{BAI}, App. A.2',
      'accuracy difference > -1 point',
    ),
  ),
)
