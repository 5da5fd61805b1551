"""Context distillation: the divergence from a teacher of whom 50 ids are kept.

A teacher's distribution of a token is kept as its K largest log-probabilities,
their ids, and one bucket for all of the rest: K + 1 categories. What is
returned is aligned to the token it speaks about; column 0, which nothing
predicts, is 0. Everything is computed in float32, in nats.

Reference: Bai et al. 2022 (arXiv:2204.05862), appendix A.1, where K = 50, after
Askell et al. 2021 (arXiv:2112.00861), section 2.
"""

import chex
import jax
import jax.numpy as jnp

from rlhf_jax.losses import language

TOP = 50


def top_buckets(logits_BTV, top=TOP):
  """Distribution of each token over its likeliest ids and one bucket.

    logp[b, t, k] = log p(id_k | x[b, < t]),    k < K, falling
    logp[b, t, K] = log (1 - sum_k p(id_k))     of the logits that are left

  Args:
    logits_BTV: [B, T, V], any float dtype; position t predicts token t + 1.
    top: ids that are kept; K = min(top, V).

  Returns:
    (logp_BTC float32 with C = K + 1, id_BTK int32), column 0 being 0; no
    log-probability is below LOG_FLOOR, which is that of an empty bucket.
  """
  logp_BSV = language.prefix_log_softmax(logits_BTV)
  top_BSK, id_BSK = jax.lax.top_k(logp_BSV, min(top, logp_BSV.shape[-1]))
  logp_BSC = jnp.concatenate([top_BSK, _rest(logp_BSV, id_BSK)], axis=-1)
  return _align(logp_BSC), _align(id_BSK)


def bucketed_kl(logits_BTV, target_logp_BTC, target_id_BTK):
  """Divergence of the teacher from the student over the teacher's buckets.

    KL[b, t] = sum_k p_k (log p_k - log q_k),    k = 0 ... K
    q_k = q(id_k | x[b, < t]),  q_K = 1 - sum_k q(id_k)

  with p the teacher's and q the student's. It is never more than the divergence
  over the whole vocabulary, and equal to it where the K ids are all there are.

  Args:
    logits_BTV: [B, T, V], the student's; position t predicts token t + 1.
    target_logp_BTC: float, of `top_buckets` of the teacher; column t is of
      token t.
    target_id_BTK: int, likewise.

  Returns:
    kl_BT, float32, nats per token, never negative; column 0 is 0.
  """
  chex.assert_rank([logits_BTV, target_logp_BTC, target_id_BTK], 3)
  chex.assert_equal_shape_prefix([logits_BTV, target_logp_BTC], 2)
  chex.assert_equal_shape_prefix([logits_BTV, target_id_BTK], 2)
  logq_BSV = language.prefix_log_softmax(logits_BTV)
  id_BSK = jnp.asarray(target_id_BTK)[:, 1:].astype(jnp.int32)
  logq_BSK = jnp.take_along_axis(logq_BSV, id_BSK, axis=-1)
  logq_BSC = jnp.concatenate([logq_BSK, _rest(logq_BSV, id_BSK)], axis=-1)
  logp_BSC = jnp.asarray(target_logp_BTC, jnp.float32)[:, 1:]
  term_BSC = jnp.exp(logp_BSC) * (logp_BSC - logq_BSC)
  # Never negative on paper; the sum may round below zero.
  return language.align(jnp.maximum(term_BSC.sum(axis=-1), 0.0))


def _rest(logp_BSV, id_BSK):
  """Log of what the other ids have together, [B, S, 1], from LOG_FLOOR."""
  without_BSV = jnp.put_along_axis(
    logp_BSV, id_BSK, language.LOG_FLOOR, axis=-1, inplace=False
  )
  rest_BS1 = jax.nn.logsumexp(without_BSV, axis=-1, keepdims=True)
  return jnp.maximum(rest_BS1, language.LOG_FLOOR)


def _align(x_BSK):
  """Puts the 0 of token 0 before values that speak of tokens 1, 2, ..."""
  return jnp.pad(x_BSK, ((0, 0), (1, 0), (0, 0)))
