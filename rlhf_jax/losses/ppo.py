"""Rewards and losses of PPO on replies.

References: Schulman et al. 2017 (arXiv:1707.06347), equation 7; Bai et al. 2022
(arXiv:2204.05862), section 4.1; Huang et al. 2024 (arXiv:2403.17031).

Order: scale the scores, take off the truncation penalty, build the rewards,
estimate advantages (`gae_batch`), then in every minibatch whiten the advantages
(`masked_whiten`) and take the two losses. Rewards are not whitened, unless
`make_estimate` is asked to.
"""

import chex
import jax.numpy as jnp

from rlhf_jax.losses import kl, masked


def scaled_scores(score_B, gain, bias):
  """Scores times gain plus bias, float32; a gain of 1 and no bias keep them.

  Args:
    score_B: [B], PM scores.
    gain: scalar, of `train.control.score_scale`.
    bias: scalar, likewise.
  """
  return gain * jnp.asarray(score_B, jnp.float32) + bias


def truncation_adjusted(score_B, ended_B, penalty):
  """Takes `penalty` from the score of replies without an end token.

  Args:
    score_B: [B], PM scores.
    ended_B: [B] bool, whether the reply has its end token.
    penalty: scalar, PM-score units; 0 is Bai et al. 2022.

  Returns:
    score_B, float32.
  """
  chex.assert_equal_shape([score_B, ended_B])
  score_B = jnp.asarray(score_B, jnp.float32)
  return jnp.where(ended_B, score_B, score_B - penalty)


def kl_penalised_rewards(score_B, logp_BT, ref_logp_BT, mask_BT, kl_coef):
  """Spreads r_total = r_PM - kl_coef * KL over the tokens of a reply.

    r[b, t] = - kl_coef * k1[b, t] + (score[b] at the last reply token, else 0)

  so that sum_t r = score - kl_coef * sum_t k1. Bai et al. 2022, section 4.1,
  with kl_coef 0.001; k1 is `kl.kl_k1`, which is what a log must report.

  Args:
    score_B: [B], PM scores (integers become float32).
    logp_BT: [B, T], log-probability under the sampling policy, nats.
    ref_logp_BT: [B, T], under the reference, at the same temperature.
    mask_BT: [B, T], 1 on reply tokens; a row without any gets no reward.
    kl_coef: scalar, PM-score units per nat.

  Returns:
    reward_BT, float32, 0 where mask_BT is 0.
  """
  chex.assert_rank([score_B, logp_BT], [1, 2])
  chex.assert_equal_shape([logp_BT, ref_logp_BT, mask_BT])
  chex.assert_equal_shape_prefix([score_B[:, None], logp_BT], 1)
  in_reply_BT = jnp.asarray(mask_BT) > 0
  next_in_reply_BT = jnp.pad(in_reply_BT[:, 1:], ((0, 0), (0, 1)))
  last_BT = in_reply_BT & ~next_in_reply_BT
  k1_BT = masked.zero_masked(kl.kl_k1(logp_BT, ref_logp_BT), mask_BT)
  score_B1 = jnp.asarray(score_B, jnp.float32)[:, None]
  return -kl_coef * k1_BT + jnp.where(last_BT, score_B1, 0.0)


def policy_loss(
  logp_BT, old_logp_BT, advantage_BT, mask_BT, clip, how='token_mean'
):
  """The clipped surrogate, as a loss to minimise.

    ratio = exp(logp - old_logp)
    loss  = aggregate(max(-A * ratio, -A * clip(ratio, 1 - clip, 1 + clip)))

  Args:
    logp_BT: [B, T], under the policy being trained, nats.
    old_logp_BT: [B, T], under the policy that sampled, frozen.
    advantage_BT: [B, T], whitened over this minibatch by the caller.
    mask_BT: [B, T], 1 on reply tokens.
    clip: positive scalar.
    how: 'token_mean' or 'sequence_mean', as in `masked.aggregate`.

  Returns:
    (loss, stats): scalars. stats has, over reply tokens, `ratio_mean`,
    `clip_fraction` (where the clipped branch is the larger, so that the token
    has no gradient) and `approx_kl` (k3 of KL(old || new), nats per token).
  """
  chex.assert_rank(logp_BT, 2)
  chex.assert_equal_shape([logp_BT, old_logp_BT, advantage_BT, mask_BT])
  logp_BT = masked.zero_masked(logp_BT, mask_BT)
  old_logp_BT = masked.zero_masked(old_logp_BT, mask_BT)
  advantage_BT = masked.zero_masked(advantage_BT, mask_BT)
  ratio_BT = jnp.exp(-kl.kl_k1(old_logp_BT, logp_BT))
  plain_BT = -advantage_BT * ratio_BT
  clipped_BT = -advantage_BT * jnp.clip(ratio_BT, 1.0 - clip, 1.0 + clip)
  loss = masked.aggregate(jnp.maximum(plain_BT, clipped_BT), mask_BT, how)
  k3_BT = kl.kl_k3(old_logp_BT, logp_BT)
  stats = {
    'ratio_mean': masked.masked_mean(ratio_BT, mask_BT),
    'clip_fraction': masked.masked_mean(clipped_BT > plain_BT, mask_BT),
    'approx_kl': masked.masked_mean(k3_BT, mask_BT),
  }
  return loss, stats


def kl_loss(logp_BT, ref_logp_BT, mask_BT, how='sequence_mean'):
  """The penalty of GRPO, a term of its loss and not of its reward.

    loss = aggregate(k3),   k3 = r - 1 - log r,   r = pi_0 / pi

  Its gradient is that of KL(pi_0 || pi) at tokens that pi wrote (see `kl`).

  Reference: Shao et al. 2024 (arXiv:2402.03300), equations 3 and 4.

  Args:
    logp_BT: [B, T], under the policy being trained, nats.
    ref_logp_BT: [B, T], under the reference, frozen.
    mask_BT: [B, T], 1 on reply tokens.
    how: as of `masked.aggregate`.

  Returns:
    A float32 scalar, nats per token, never negative.
  """
  chex.assert_rank(logp_BT, 2)
  chex.assert_equal_shape([logp_BT, ref_logp_BT, mask_BT])
  logp_BT = masked.zero_masked(logp_BT, mask_BT)
  ref_logp_BT = masked.zero_masked(ref_logp_BT, mask_BT)
  return masked.aggregate(kl.kl_k3(logp_BT, ref_logp_BT), mask_BT, how)


def value_loss(
  value_BT, old_value_BT, return_BT, mask_BT, clip, how='token_mean'
):
  """Squared error of the value, clipped around its value at sampling time.

    v_clipped = v_old + clip(v - v_old, -clip, clip)
    loss      = aggregate(0.5 * max((v - G)^2, (v_clipped - G)^2))

  Args:
    value_BT: [B, T], being trained.
    old_value_BT: [B, T], at sampling time, frozen.
    return_BT: [B, T], targets G.
    mask_BT: [B, T], 1 on reply tokens.
    clip: positive scalar; jnp.inf switches the clipping off.
    how: 'token_mean' or 'sequence_mean', as in `masked.aggregate`.

  Returns:
    A float32 scalar, in squared PM-score units.
  """
  chex.assert_rank(value_BT, 2)
  chex.assert_equal_shape([value_BT, old_value_BT, return_BT, mask_BT])
  value_BT = masked.zero_masked(value_BT, mask_BT)
  old_value_BT = masked.zero_masked(old_value_BT, mask_BT)
  return_BT = masked.zero_masked(return_BT, mask_BT)
  clipped_BT = old_value_BT + jnp.clip(value_BT - old_value_BT, -clip, clip)
  error_BT = jnp.maximum(
    jnp.square(value_BT - return_BT), jnp.square(clipped_BT - return_BT)
  )
  return masked.aggregate(0.5 * error_BT, mask_BT, how)


def explained_variance(value, return_, mask):
  """1 - variance(G - v) / variance(G) over the entries with mask 1.

  Args:
    value: any shape.
    return_: the shape of value, targets G.
    mask: the shape of value.

  Returns:
    A float32 scalar, at most 1: 1 for a perfect value, 0 for a constant one;
    0 too when the returns do not vary (variance up to VARIANCE_EPS).
  """
  value = masked.zero_masked(value, mask)
  return_ = masked.zero_masked(return_, mask)
  total = masked.masked_variance(return_, mask)
  residual = masked.masked_variance(return_ - value, mask)
  varies = total > masked.VARIANCE_EPS
  return jnp.where(varies, 1.0 - residual / jnp.where(varies, total, 1.0), 0.0)
