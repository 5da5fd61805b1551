"""Claims 44 to 48: harmful prompts as outliers (Bai et al., 5.4, B.9)."""

from rlhf_jax.analysis.claims.spec import BAI, ClaimSpec, Theme

THEME = Theme(
  title='Detection of out-of-distribution prompts',
  claims=(
    ClaimSpec(
      44,
      'Relative Mahalanobis is better',
      'The simplified relative score detects red-team prompts better than the '
      'plain distance.',
      f'{BAI}, Fig. 39',
      'difference of AUROC > 0 in >= 90 % of the cells of layer and size',
    ),
    ClaimSpec(
      45,
      'OOD detection grows with size',
      'The best AUROC rises with size, and deep models have it in the middle.',
      f'{BAI}, Fig. 22',
      'slope on ln P > 0; best layer in the middle half',
    ),
    ClaimSpec(
      46,
      'Ten outliers help',
      'Ten exposed harmful prompts beat the best unsupervised score; more are '
      'better.',
      f'{BAI}, Fig. 23',
      'difference of AUROC > 0; Spearman with M > 0',
    ),
    ClaimSpec(
      47,
      'Ten outliers replace the ladder',
      'The smallest model with ten outliers matches the largest without.',
      f'{BAI}, section 5.4',
      'AUROC difference > -0.02',
    ),
    ClaimSpec(
      48,
      'OOD negative control',
      'A rotation that diagonalises the covariance kills the score; shuffled '
      'labels give chance.',
      'derived from ' + f'{BAI}, section 5.4',
      '|score| < 1e-4; shuffled AUROC equal to 0.5',
      evidence='identity',
    ),
  ),
)
