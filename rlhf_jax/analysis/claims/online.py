"""Claims 9, 28, 30 to 32: tranches and online training (Bai et al., 4.5)."""

from rlhf_jax.analysis.claims.spec import BAI, ClaimSpec, Theme

THEME = Theme(
  title='Iterated online training',
  claims=(
    ClaimSpec(
      9,
      'Better samples are harder to rank',
      'The final PM is most accurate on the base tranche, then on rejection '
      'sampling, then online.',
      f'{BAI}, section 4.5',
      'base - RS > 0 and RS - online > 0',
    ),
    ClaimSpec(
      28,
      'Policies rank pairs worse than PMs',
      "The policy's mean log-probability ranks comparisons better during RL, "
      'yet below the PM.',
      f'{BAI}, Fig. 34',
      'final - initial accuracy > 0; PM - policy accuracy > 0',
    ),
    ClaimSpec(
      30,
      'Tranches shift upwards',
      'Under the final PM, mean score and upper tail grow from base to RS to '
      'online.',
      f'{BAI}, Fig. 15 left',
      "both differences of means > 0 and of mass above base's 95th percentile "
      '> 0',
    ),
    ClaimSpec(
      31,
      'Online data make better policies',
      'At equal data size, a third each of base, RS and online beats base '
      'alone.',
      f'{BAI}, Fig. 16',
      'gold-judged win rate > 50 %',
    ),
    ClaimSpec(
      32,
      'Online data calibrate the top',
      'A PM of all tranches is better calibrated at high scores than one of '
      'the base tranche.',
      f'{BAI}, section 4.5',
      'difference of calibration error on top-decile pairs < 0',
    ),
  ),
)
