"""Claims 53 and 54: preference-model pretraining (Askell et al., 4)."""

from rlhf_jax.analysis.claims.spec import ASKELL, ClaimSpec, Theme

THEME = Theme(
  title='Preference-model pretraining',
  claims=(
    ClaimSpec(
      53,
      'PMP helps most with few pairs',
      'Preference-model pretraining gains more at 500 pairs than at 10,000.',
      f'{ASKELL}, section 4.2',
      'gain at 10k > 0; gain at 500 - gain at 10k > 0',
    ),
    ClaimSpec(
      54,
      'Binary PMP transfers better',
      'GOOD/BAD-tagged pretraining is at least as good as ranked pretraining '
      'at 500 pairs.',
      f'{ASKELL}, section 4.3',
      'accuracy difference >= 0',
    ),
  ),
)
