"""Divergence of a student from its teacher, and what the buckets leave out."""

import jax.numpy as jnp
import numpy as np

from rlhf_jax.losses import distillation, masked


def make_target_divergence(logits_fn):
  """Builds divergence(params, batch) -> (nats_B, tokens_B), of a DistilBatch.

    nats[b] = sum_t KL[b, t],  1 <= t < length, of `distillation.bucketed_kl`

  Args:
    logits_fn: (params, tokens_BT, length_B) -> logits_BTV, of the student.
  """

  def divergence(params, batch):
    logits_BTV = logits_fn(params, batch.tokens_BT, batch.length_B)
    kl_BT = distillation.bucketed_kl(
      logits_BTV, batch.target_logp_BTC, batch.target_id_BTK
    )
    first_B = jnp.ones_like(batch.length_B)
    mask_BT = masked.reply_mask(first_B, batch.length_B, kl_BT.shape[1])
    return masked.zero_masked(kl_BT, mask_BT).sum(1), mask_BT.sum(1)

  return divergence


def divergences(logp_NV, logq_NV, top):
  """(full_N, bucketed_N): divergences of N distributions, in float64.

    full     = sum_v p_v (log p_v - log q_v)
    bucketed = the same over the `top` likeliest ids of p and one bucket

  Args:
    logp_NV: log-probabilities of the teacher, up to a constant.
    logq_NV: of the student, likewise.
    top: ids that are kept.
  """
  p_NV, q_NV = _softmax(logp_NV), _softmax(logq_NV)
  order_NV = np.argsort(-p_NV, axis=1, kind='stable')
  p_NV, q_NV = (np.take_along_axis(x, order_NV, 1) for x in (p_NV, q_NV))
  full_N = _terms(p_NV, q_NV).sum(1)
  kept_N = _terms(p_NV[:, :top], q_NV[:, :top]).sum(1)
  rest = (x[:, top:].sum(1) for x in (p_NV, q_NV))
  return full_N, kept_N + _terms(*rest)


def _softmax(x_NV):
  x_NV = np.asarray(x_NV, np.float64)
  e_NV = np.exp(x_NV - x_NV.max(1, keepdims=True))
  return e_NV / e_NV.sum(1, keepdims=True)


def _terms(p, q):
  """Terms p (log p - log q), which are 0 where p is."""
  tiny = np.finfo(np.float64).tiny
  return np.where(
    p > 0, p * (np.log(np.maximum(p, tiny)) - np.log(np.maximum(q, tiny))), 0.0
  )
