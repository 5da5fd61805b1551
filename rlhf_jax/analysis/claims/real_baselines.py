"""RLOO, GRPO and DPO of a real model beside PPO: measured, nothing claimed."""

from rlhf_jax.analysis import equal_kl
from rlhf_jax.analysis.claims.baselines import at_equal_kl
from rlhf_jax.analysis.claims.spec import Theme
from rlhf_jax.analysis.drawings.real_baselines import real_algorithms
from rlhf_jax.analysis.findings import NotHereError


def real_algorithms_at_equal_kl(tables) -> dict:
  """The same as `algorithms_at_equal_kl`, of a real model, without gold."""
  curve = tables.get('rl_curve')
  if curve is None or not curve['role'].isin(equal_kl.REAL).any():
    raise NotHereError('this study has no such policies of a real model')
  return at_equal_kl(equal_kl.of_real_model(curve))


THEME = Theme(
  title='A real model: PPO, RLOO, GRPO and DPO',
  drawings=(real_algorithms,),
  checks=(real_algorithms_at_equal_kl,),
  roles={
    'real_rloo': 'a policy of a real model by RLOO, under the PMs of the '
    'linear run: four replies to each of a fourth of the prompts',
    'real_grpo': 'the same by GRPO, whose penalty is in its loss',
    'real_dpo': 'a policy of a real model by DPO on pairs of the train PM; an '
    'iteration is an update, `samples` counts pairs, and `kl_coef` is beta',
  },
)
