"""Claims 29 and 43: capability after RL, and skills mixed in (Bai et al.)."""

from rlhf_jax.analysis.claims.spec import BAI, ClaimSpec, Theme

THEME = Theme(
  title='Alignment tax and specialised skills',
  claims=(
    ClaimSpec(
      29,
      'Small models pay an alignment tax',
      'RLHF costs small models some capability, and the loss shrinks with '
      'size.',
      f'{BAI}, Figs. 3 and 28',
      'loss at the smallest size > 0; slope of the loss on ln P < 0',
    ),
    ClaimSpec(
      43,
      'A skill can be mixed in',
      'A PM of dialogue and a third task loses little on either.',
      f'{BAI}, Fig. 20',
      'each loss < 1 point at the largest size',
    ),
  ),
)
