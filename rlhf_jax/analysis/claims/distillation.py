"""Claims 49 to 51 and 55: context distillation and prompted models."""

from rlhf_jax.analysis.claims.spec import ASKELL, BAI, ClaimSpec, Theme

THEME = Theme(
  title='Context distillation',
  claims=(
    ClaimSpec(
      49,
      'Context distillation works',
      'KL to the prompted teacher falls, and stays higher for smaller '
      'students.',
      f'{BAI}, Fig. 30',
      'fall > 80 % for self-distillation; slope of final KL on ln P < 0',
    ),
    ClaimSpec(
      50,
      'Bucketed KL is a lower bound',
      'The 51-bucket KL never exceeds the full-vocabulary KL, and equals it '
      'for at most 50 ids.',
      f'{BAI}, App. A.1 (data-processing inequality)',
      'difference <= 0 always',
      evidence='identity',
    ),
    ClaimSpec(
      51,
      'Distilled equals prompted',
      'At the largest size the distilled model without the prompt does as well '
      'as the prompted one.',
      f'{ASKELL}, section 2',
      'difference inside +-3 points',
    ),
    ClaimSpec(
      55,
      'Elo is linear in log size',
      'The Elo of prompted models is nearly linear in ln P.',
      f'{ASKELL}, section 2.2',
      'slope > 0; R2 > 0.95',
    ),
  ),
)
