"""Advantages of the tokens of a reply, and of whole replies."""

import functools

import chex
import jax
import jax.numpy as jnp

from rlhf_jax.losses import masked

# Added to a deviation that is divided by: a prompt whose replies all earn the
# same has advantages of 0, not of rounding errors.
DEVIATION_EPS = 1e-4


def gae(reward_T, value_T, mask_T, *, discount, gae_lambda):
  """Generalised advantage estimates for one trajectory.

    delta[t] = r[t] + discount * v[t+1] - v[t]
    A[t]     = delta[t] + discount * gae_lambda * A[t+1]
    G[t]     = A[t] + v[t]

  The reply is one run of tokens with prompt before it and pads after it; past
  its last token v and A are 0. What the arrays hold outside it is not read.

  Reference: Schulman et al. 2016 (arXiv:1506.02438), section 3.

  Args:
    reward_T: [T], in PM-score units (log-odds).
    value_T: [T], value before token t is emitted, same units.
    mask_T: [T], 1 on reply tokens, 0 on prompt and padding.
    discount: scalar in [0, 1].
    gae_lambda: scalar in [0, 1].

  Returns:
    (advantage_T, return_T), float32, both zero where mask_T is 0.

  Raises:
    AssertionError: if the three arrays are not equal-length vectors.
  """
  chex.assert_rank([reward_T, value_T, mask_T], 1)
  chex.assert_equal_shape([reward_T, value_T, mask_T])
  reward_T = masked.zero_masked(reward_T, mask_T)
  value_T = masked.zero_masked(value_T, mask_T)
  next_value_T = jnp.append(value_T[1:], 0.0)
  delta_T = masked.zero_masked(
    reward_T + discount * next_value_T - value_T, mask_T
  )

  def step(next_advantage, inputs):
    delta, in_reply = inputs
    advantage = delta + discount * gae_lambda * next_advantage
    advantage = jnp.where(in_reply, advantage, 0.0)
    return advantage, advantage

  inputs = (delta_T, jnp.asarray(mask_T) > 0)
  _, advantage_T = jax.lax.scan(step, jnp.float32(0.0), inputs, reverse=True)
  return advantage_T, advantage_T + value_T


def gae_batch(reward_BT, value_BT, mask_BT, *, discount, gae_lambda):
  """Runs `gae` on every row.

  Args:
    reward_BT: [B, T].
    value_BT: [B, T].
    mask_BT: [B, T].
    discount: scalar in [0, 1].
    gae_lambda: scalar in [0, 1].

  Returns:
    (advantage_BT, return_BT), float32, both zero where mask_BT is 0.
  """
  one_row = functools.partial(gae, discount=discount, gae_lambda=gae_lambda)
  return jax.vmap(one_row)(reward_BT, value_BT, mask_BT)


def leave_one_out(return_B, group):
  """Leave-one-out advantage: a reply beside the others to its prompt.

    A[i] = R[i] - 1 / (k - 1) sum_{j != i} R[j],   i, j of one prompt

  A baseline without a critic, which is independent of the reply it is taken
  from, so that the gradient stays unbiased.

  Reference: Kool et al. 2019 ("Buy 4 REINFORCE samples, get a baseline for
  free!"); Ahmadian et al. 2024 (arXiv:2402.14740), section 3.2 (RLOO).

  Args:
    return_B: [B], total reward of a reply; the k replies to a prompt stand
      together.
    group: k, replies to each prompt, 2 or more; divides B.

  Returns:
    advantage_B, float32, which sums to 0 over each group.

  Raises:
    ValueError: if k is less than 2 or does not divide B.
  """
  return_NC = _in_groups(return_B, group)
  mean_N1 = return_NC.mean(1, keepdims=True)
  return ((return_NC - mean_N1) * (group / (group - 1))).reshape(-1)


def group_normalised(reward_B, group):
  """Advantage in standard deviations of the rewards of one prompt's replies.

    A[i] = (r[i] - mean_j r[j]) / (std_j r[j] + DEVIATION_EPS)

  i, j of one prompt; std has the divisor k - 1, of which the paper says
  nothing and which its implementations have.

  Reference: Shao et al. 2024 (arXiv:2402.03300), section 4.1.2 (GRPO with
  outcome supervision).

  Args:
    reward_B: [B], score of a reply; the k replies to a prompt stand together.
    group: k, replies to each prompt, 2 or more; divides B.

  Returns:
    advantage_B, float32, without unit, which sums to 0 over each group.

  Raises:
    ValueError: if k is less than 2 or does not divide B.
  """
  reward_NC = _in_groups(reward_B, group)
  deviation_N1 = reward_NC.std(1, ddof=1, keepdims=True)
  away_NC = reward_NC - reward_NC.mean(1, keepdims=True)
  return (away_NC / (deviation_N1 + DEVIATION_EPS)).reshape(-1)


def _in_groups(x_B, group):
  """x_NC, float32: a row a prompt, if the groups fit."""
  chex.assert_rank(x_B, 1)
  if group < 2 or x_B.shape[0] % group:
    raise ValueError(
      f'wanted groups of 2 or more replies that divide {x_B.shape[0]} '
      f'rows, got {group}'
    )
  return jnp.asarray(x_B, jnp.float32).reshape(-1, group)
