"""Claim 52: imitation, discrimination and ranking (Askell et al., 3)."""

from rlhf_jax.analysis.claims.spec import ASKELL, ClaimSpec, Theme

THEME = Theme(
  title='Imitation against ranking',
  claims=(
    ClaimSpec(
      52,
      'Ranking beats imitation',
      'On ranked data PMs beat imitation, more so at larger sizes; on binary '
      'data they are equal.',
      f'{ASKELL}, section 3.2',
      'ranked: difference > 0 at every size, slope on ln P > 0; binary: inside '
      '+-2 points',
    ),
  ),
)
