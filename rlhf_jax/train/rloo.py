"""RLOO and GRPO: PPO's iteration without a critic.

Each prompt is answered k times, and a reply is compared with the others. There
is no value network to run or to train, a third of the work of an iteration; the
clip is PPO's.

          advantage of a reply                   penalty         loss, mean over
    RLOO  its return less the others' mean       in the reward   tokens
    GRPO  its score, in deviations of the group  k3 in the loss  replies

    estimate = make_rloo_estimate(group=k)
    update = make_ppo_update(policy_fn, tx, critic=False, ...)
    iteration = make_ppo_iteration(collect, reward, penalise, estimate, update)

With GRPO `make_penalise` is told in_reward=False, and the update GRPO's options
(`LOSSES`); `train.pieces.make_pieces` does both.
"""

import jax.numpy as jnp

from rlhf_jax.losses import advantages, masked
from rlhf_jax.types import Experience

# Options of `make_ppo_update`, by algorithm.
LOSSES = {
  'ppo': {},
  'rloo': {'critic': False},
  'grpo': {'critic': False, 'how': 'sequence_mean', 'kl_in_loss': True},
}


def make_rloo_estimate(group):
  """Builds estimate(params, rollout, reward_BT, hyper) -> Experience.

    R[i] = sum_t r[t],  A[t] = R[i] - mean of the others' R   for every token

  with the rewards of `make_penalise`, so that R is the score less lambda_KL
  times the sampled KL of the reply.

  Reference: Ahmadian et al. 2024 (arXiv:2402.14740), section 3.2.

  Args:
    group: k, replies to each prompt; rows as of `repeat_prompts`.
  """
  return _make_estimate(advantages.leave_one_out, group)


def make_grpo_estimate(group):
  """Builds estimate(params, rollout, reward_BT, hyper) -> Experience.

    A[t] = `advantages.group_normalised` of the scores   for every token

  with the rewards of `make_penalise(..., in_reward=False)`, which add up to the
  score.

  Reference: Shao et al. 2024 (arXiv:2402.03300), section 4.1.2.

  Args:
    group: as of `make_rloo_estimate`.
  """
  return _make_estimate(advantages.group_normalised, group)


def _make_estimate(advantage_fn, group):
  """The estimate whose tokens have the advantage of their reply."""

  def estimate(params, rollout, reward_BT, hyper):
    del params, hyper  # no critic, and one action: the whole reply
    T = rollout.tokens_BT.shape[1]
    mask_BT = masked.reply_mask(rollout.prompt_length_B, rollout.length_B, T)
    return_B = masked.zero_masked(reward_BT, mask_BT).sum(1)
    advantage_B = advantage_fn(return_B, group)
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
