"""Claims 33 to 36: best-of-n beside PPO (Bai et al., 4.3; Gao et al.)."""

from rlhf_jax.analysis.claims.spec import BAI, GAO, ClaimSpec, Theme

THEME = Theme(
  title='Best-of-n',
  claims=(
    ClaimSpec(
      33,
      'Best-of-k',
      'Elo rises over k = 1, 4, 16, 64 and reward is linear in the root of its '
      'KL.',
      f'{BAI}, Fig. 36, section 4.3',
      'each Elo step > 0; bow of reward in sqrt(log k - (k-1)/k) inside those '
      'of KL^.4 and KL^.6, as claim 13',
    ),
    ClaimSpec(
      34,
      'Best-of-n spends KL better',
      'At matched KL best-of-n has at least the reward of PPO.',
      GAO,
      'reward difference >= 0',
    ),
    ClaimSpec(
      35,
      'Forms of over-optimisation',
      'Gold follows d (alpha - beta d) for best-of-n and '
      'd (alpha - beta log d) for RL, d = sqrt(KL).',
      GAO,
      'each form on its own data: AIC less that of the other form < 0; beta '
      'falls with PM size',
    ),
    ClaimSpec(
      36,
      'Too little data, no gain',
      'Below about 2,000 comparisons (scaled to the task) gold gains nothing '
      'at any PM size.',
      GAO,
      'gold gain inside 5 % of the full-data gain',
    ),
  ),
)
