"""Claims 56 and 57: rewards from rankings of K replies (Ouyang et al., 3.5)."""

from rlhf_jax.analysis.claims.spec import OUYANG, ClaimSpec, Theme

THEME = Theme(
  title='K-wise reward models',
  claims=(
    ClaimSpec(
      56,
      'All pairs of a prompt together',
      'Pairs of one prompt in one batch element overfit less than shuffled '
      'pairs at equal epochs.',
      f'{OUYANG}, section 3.5',
      'difference of validation loss < 0',
    ),
    ClaimSpec(
      57,
      'A second epoch overfits',
      'Validation loss of the reward model is worse after a second epoch.',
      f'{OUYANG}, App. C.2',
      'difference of validation loss > 0',
    ),
  ),
)
