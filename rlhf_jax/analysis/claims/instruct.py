"""Claims 58 to 60: PPO with a pretraining mix (Ouyang et al., 4, App. E)."""

from rlhf_jax.analysis.claims.spec import OUYANG, ClaimSpec, Theme

THEME = Theme(
  title='InstructGPT',
  claims=(
    ClaimSpec(
      58,
      'Pretraining mix repairs the tax',
      'PPO alone loses on pretraining text; PPO-ptx recovers most at equal '
      'reward, a larger beta does not.',
      f'{OUYANG}, section 4.2, App. E.6',
      'loss > 0; recovered share > 50 %; reward inside 5 % of the RL gain',
    ),
    ClaimSpec(
      59,
      'Some KL penalty is best',
      'Gold is an inverted U in the KL coefficient.',
      f'{OUYANG}, App. E.7',
      'middle - zero > 0 and middle - largest > 0',
    ),
    ClaimSpec(
      60,
      'Small with RLHF beats large without',
      'A small RLHF policy is preferred to a much larger plain model.',
      f'{OUYANG}, Fig. 1',
      'gold win rate > 50 %',
    ),
  ),
)
