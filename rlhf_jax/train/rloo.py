"""RLOO: PPO's iteration without a critic.

Each prompt is answered k times, and a reply's baseline is what the others
earned. There is no value network to run or to train, a third of the work of an
iteration; the KL penalty and the clip are PPO's.

    estimate = make_rloo_estimate(group=k)
    update = make_ppo_update(policy_fn, tx, critic=False, ...)
    iteration = make_ppo_iteration(collect, reward, penalise, estimate, update)
"""

import jax.numpy as jnp

from rlhf_jax.losses import advantages, masked
from rlhf_jax.types import Experience


def make_rloo_estimate(group):
  """Builds estimate(params, rollout, reward_BT, hyper) -> Experience.

    R[i] = sum_t r[t],  A[t] = R[i] - mean of the others' R   for every token

  with the rewards of `make_penalise`, so that R is the score less lambda_KL
  times the sampled KL of the reply.

  Reference: Ahmadian et al. 2024 (arXiv:2402.14740), section 3.2.

  Args:
    group: k, replies to each prompt; rows as of `repeat_prompts`.
  """

  def estimate(params, rollout, reward_BT, hyper):
    del params, hyper  # no critic, and one action: the whole reply
    T = rollout.tokens_BT.shape[1]
    mask_BT = masked.reply_mask(rollout.prompt_length_B, rollout.length_B, T)
    return_B = masked.zero_masked(reward_BT, mask_BT).sum(1)
    advantage_B = advantages.leave_one_out(return_B, group)
    return Experience(
      tokens_BT=rollout.tokens_BT,
      prompt_length_B=rollout.prompt_length_B,
      length_B=rollout.length_B,
      old_logp_BT=rollout.logp_BT,
      old_value_BT=jnp.zeros_like(mask_BT),
      advantage_BT=advantage_B[:, None] * mask_BT,
      return_BT=return_B[:, None] * mask_BT,
    )

  return estimate
