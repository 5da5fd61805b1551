"""Claims 21 to 23, 26: sizes of PMs, passes of PPO (Bai et al., 4.2, B.1)."""

from rlhf_jax.analysis.claims.spec import BAI, ClaimSpec, Theme

THEME = Theme(
  title='Sizes of train and test PM, and passes of PPO',
  claims=(
    ClaimSpec(
      21,
      'Larger PMs are more robust',
      'A larger train PM has a smaller gap at equal train gain and lasts '
      'longer before it diverges.',
      f'{BAI}, section 4.2',
      'gap / gain falls and KL or samples at divergence rise with PM size',
      figure='gap_vs_samples',
    ),
    ClaimSpec(
      22,
      'Larger test PMs discriminate more',
      'The slope of the test-PM score on log policy size grows with the size '
      'of the test PM.',
      f'{BAI}, Fig. 33',
      'change of slope with ln test-PM size > 0',
    ),
    ClaimSpec(
      23,
      'Small train PMs make poor policies',
      'Trained against a small PM, a policy is rated below its equal trained '
      'against the largest PM, by the largest PM.',
      f'{BAI}, Fig. 13',
      'difference of the largest PM score < 0',
    ),
    ClaimSpec(
      26,
      'More inner passes are steadier',
      'K = 1, 2, 4 PPO passes a batch: more give less variance between runs.',
      f'{BAI}, App. B.1',
      'log variance ratio < 0 (exploratory)',
    ),
  ),
)
