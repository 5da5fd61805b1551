"""Causal self-attention, whole sequences and one token at a time."""

import jax
import jax.numpy as jnp
from flax import linen as nn

from rlhf_jax.models.config import TransformerConfig

_MASKED = -1e30  # finite, so that a fully masked row gives no NaN


def rotary(x_BHTK, position_BT, theta):
  """Rotates pairs of features by an angle proportional to the position.

    (x1, x2) -> (x1 cos a - x2 sin a, x2 cos a + x1 sin a),
    a = position * theta^(-2 i / K),  i = 0 ... K/2 - 1 (half-rotation pairs)

  Reference: Su et al. 2021 (arXiv:2104.09864), section 3.2.2.
  """
  half = x_BHTK.shape[-1] // 2
  frequency = theta ** (-jnp.arange(half, dtype=jnp.float32) / half)
  angle_B1Tk = position_BT[:, None, :, None].astype(jnp.float32) * frequency
  cos, sin = jnp.cos(angle_B1Tk), jnp.sin(angle_B1Tk)
  x1, x2 = x_BHTK[..., :half], x_BHTK[..., half:]
  x1, x2 = x1.astype(jnp.float32), x2.astype(jnp.float32)
  rotated = jnp.concatenate([x1 * cos - x2 * sin, x2 * cos + x1 * sin], -1)
  return rotated.astype(x_BHTK.dtype)


def attend(q_BHTK, k_BGSK, v_BGSK, mask_BTS):
  """Softmax attention with grouped queries, heads-major.

    out[t] = sum_s softmax_s(q[t] . k[s] / sqrt(K)) v[s]  over mask[t, s]

  Args:
    q_BHTK: queries, H heads.
    k_BGSK: keys, G heads; H is a multiple of G and head h reads group h G / H.
    v_BGSK: values.
    mask_BTS: bool, True where token t may look at slot s.

  Returns:
    [B, H, T, K] in the type of `q_BHTK`; the softmax runs in float32.
  """
  B, H, T, K = q_BHTK.shape
  G = k_BGSK.shape[1]
  q = q_BHTK.reshape(B, G, (H // G) * T, K)
  logits = jnp.einsum('bgqk,bgsk->bgqs', q, k_BGSK) * K**-0.5
  logits = logits.reshape(B, H, T, -1).astype(jnp.float32)
  logits = jnp.where(mask_BTS[:, None], logits, _MASKED)
  weights = jax.nn.softmax(logits, axis=-1).astype(q_BHTK.dtype)
  weights = weights.reshape(B, G, (H // G) * T, -1)
  return jnp.einsum('bgqs,bgsk->bgqk', weights, v_BGSK).reshape(B, H, T, K)


class Attention(nn.Module):
  """Self-attention with one fused QKV matrix; the cache is an argument."""

  config: TransformerConfig

  @nn.compact
  def __call__(self, x_BTD, position_BT, mask_BTS, cache=None, slot=None):
    """Attends within the sequence, or, given a cache, to its slots.

    Args:
      x_BTD: input.
      position_BT: int32 positions for the rotation.
      mask_BTS: bool; S = T without a cache, else the cache's slots.
      cache: None or (k_BGSK, v_BGSK).
      slot: [] int32, where the new keys and values go.

    Returns:
      (output_BTD, (k, v)): the keys and values of this call, or the updated
      cache.
    """
    config = self.config
    H, G, K = config.n_heads, config.n_kv_heads, config.head_size
    B, T, D = x_BTD.shape
    dense = lambda features, name: nn.Dense(
      features,
      use_bias=config.use_bias,
      dtype=config.dtype,
      kernel_init=nn.initializers.normal(D**-0.5),
      name=name,
    )
    # Flat rows: XLA's CPU products of [B T, D] are faster than of [B, T, D].
    qkv = dense((H + 2 * G) * K, 'qkv')(x_BTD.reshape(B * T, D))
    qkv = qkv.reshape(B, T, H + 2 * G, K).transpose(0, 2, 1, 3)
    q, k, v = qkv[:, :H], qkv[:, H : H + G], qkv[:, H + G :]
    if config.positions == 'rotary':
      qk = rotary(qkv[:, : H + G], position_BT, config.rope_theta)
      q, k = qk[:, :H], qk[:, H:]
    if cache is not None:
      put = jax.lax.dynamic_update_slice_in_dim
      k, v = put(cache[0], k, slot, 2), put(cache[1], v, slot, 2)
    out = attend(q, k, v, mask_BTS)
    out = out.transpose(0, 2, 1, 3).reshape(B * T, H * K)
    scale = (2 * config.n_layers * H * K) ** -0.5
    project = nn.Dense(
      D,
      use_bias=config.use_bias,
      dtype=config.dtype,
      kernel_init=nn.initializers.normal(scale),
      name='out',
    )
    return project(out).reshape(B, T, D), (k, v)
