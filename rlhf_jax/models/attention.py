"""Causal self-attention, whole sequences and one token at a time.

On a GPU, whole right-padded sequences go to cuDNN's flash attention, which
never holds [T, T]; everything else, and every CPU, runs the plain products.
"""

import re

import jax
import jax.numpy as jnp
from flax import linen as nn

from rlhf_jax.losses.masked import take_columns
from rlhf_jax.models.config import TransformerConfig
from rlhf_jax.models.matmul import product
from rlhf_jax.models.rotary import rotary
from rlhf_jax.models.turned import PLAIN, TURNED

SMALLEST_BLOCK, MOST_BLOCKS = 64, 4  # of queries that share a slice of keys
_MASKED = -1e30  # finite, so that a fully masked row gives no NaN


def attend(q_BHTK, k_BGSK, v_BGSK, mask_BTS, how='float32'):
  """Softmax attention with grouped queries, heads-major.

    out[t] = sum_s softmax_s(q[t] . k[s] / sqrt(K)) v[s]  over mask[t, s]

  Args:
    q_BHTK: queries, H heads.
    k_BGSK: keys, G heads; H is a multiple of G and head h reads group h G / H.
    v_BGSK: values.
    mask_BTS: bool, True where token t may look at slot s.
    how: of `matmul.product`.

  Returns:
    [B, H, T, K] in the type of `q_BHTK`; the softmax runs in float32.
  """
  B, H, T, K = q_BHTK.shape
  G = k_BGSK.shape[1]
  q = (q_BHTK * K**-0.5).reshape(B, G, (H // G) * T, K)
  logits = product(q, k_BGSK, how, turned=True)
  logits = logits.reshape(B, H, T, -1).astype(jnp.float32)
  # Added, not chosen by `where`, whose gradient is one more pass over [T, S]: a
  # seventh of a preference-model step at head size 16.
  bias_BTS = jnp.where(mask_BTS, 0.0, _MASKED)
  weights = jax.nn.softmax(logits + bias_BTS[:, None], axis=-1)
  weights = weights.astype(q_BHTK.dtype)
  weights = weights.reshape(B, G, (H // G) * T, -1)
  return product(weights, v_BGSK, how).reshape(B, H, T, K)


def query_blocks(T):
  """Equal parts of T tokens: [(first, end)], of 64 tokens and more, at most 4.

  Whose queries look at no key beyond `end`: (n + 1) / 2n of all T^2 products
  are left in n parts.
  """
  count = min(-(-T // SMALLEST_BLOCK), MOST_BLOCKS)
  size = -(-T // max(count, 1))
  return [(i, min(i + size, T)) for i in range(0, T, size)]


def attend_causal(q_BHTK, k_BGTK, v_BGTK, mask_BTS, how='float32'):
  """`attend` where mask[t, s] implies s <= t, without most of what it masks.

  Queries go by blocks, each against the keys up to its own end. On a CPU this
  halves the time of attention at T = 192.
  """
  blocks = [
    attend(
      q_BHTK[:, :, first:end],
      k_BGTK[:, :, :end],
      v_BGTK[:, :, :end],
      mask_BTS[:, first:end, :end],
      how,
    )
    for first, end in query_blocks(q_BHTK.shape[2])
  ]
  return blocks[0] if len(blocks) == 1 else jnp.concatenate(blocks, axis=2)


def cuda_capability():
  """The default GPU's compute capability, such as (9, 0); None without CUDA."""
  if jax.default_backend() != 'gpu':
    return None
  text = str(getattr(jax.devices()[0], 'compute_capability', ''))
  found = re.fullmatch(r'(\d+)\.(\d+)', text)  # other makers' have letters
  return (int(found[1]), int(found[2])) if found else None


def cudnn_takes(capability, dtype, T, head_size):
  """Whether cuDNN's flash attention takes sequences of this kind.

  Args:
    capability: of `cuda_capability`.
    dtype: of queries, keys and values: 16 bits are needed.
    T: tokens; a single one is decoding, which the plain products do as well.
    head_size: K, a multiple of 8 up to 128.
  """
  return (
    capability is not None
    and capability >= (8, 0)
    and jnp.dtype(dtype) in (jnp.bfloat16, jnp.float16)
    and T > 1
    and head_size % 8 == 0
    and head_size <= 128
  )


def attend_by_length(
  q_BHTK, k_BGTK, v_BGTK, length_B, *, implementation='cudnn'
):
  """`attend` of right-padded sequences: mask[t, s] = s <= t < length.

  The mask goes to the kernel as lengths: with a mask array cuDNN cannot leave
  out what lies above the diagonal, and its gradients of T = 64, 192, ... tokens
  were NaN (pytorch issue 196678).

  Args:
    q_BHTK: queries.
    k_BGTK: keys; G divides H.
    v_BGTK: values.
    length_B: int32; 0 counts as 1, since older kernels give NaN for it.
    implementation: of `jax.nn.dot_product_attention`.

  Returns:
    [B, H, T, K]; zeros at pads, where `attend` gives numbers without meaning.
  """
  tokens_first = lambda x_BHTK: x_BHTK.transpose(0, 2, 1, 3)
  length_B = jnp.maximum(length_B, 1).astype(jnp.int32)
  # Says nothing new, but under vmap ties the lengths to the queries: the
  # kernel wants both with an axis of members, or neither.
  length_B = jnp.where(q_BHTK[:, 0, 0, 0] == 0, length_B, length_B)
  out_BTHK = jax.nn.dot_product_attention(
    *map(tokens_first, (q_BHTK, k_BGTK, v_BGTK)),
    is_causal=True,
    query_seq_lengths=length_B,
    key_value_seq_lengths=length_B,
    implementation=implementation,
  )
  return out_BTHK.transpose(0, 2, 1, 3)


class Projection(nn.Module):
  """x W + b with the parameters of nn.Dense, or some columns of it alone.

  Where the parameters hold them (`lora.attach`), x A B is added; where they
  hold W the other way round (`turned.turn_kernels`), it is read so.
  """

  features: int
  config: TransformerConfig
  scale: float
  bias: bool

  @nn.compact
  def __call__(self, x_ND, columns=slice(None)):
    """[N, D] to [N, features], or as many as `columns` names."""
    dtype, how = self.config.dtype, self.config.matmul
    x_ND = x_ND.astype(dtype)
    if self.has_variable('params', TURNED):
      rows = self.get_variable('params', TURNED)[columns]
      out = product(x_ND, rows.astype(dtype), how, turned=True)
    else:
      shape = (x_ND.shape[-1], self.features)
      kernel = self.param(PLAIN, nn.initializers.normal(self.scale), shape)
      out = product(x_ND, kernel[:, columns].astype(dtype), how)
    if self.bias:
      bias = self.param('bias', nn.initializers.zeros, (self.features,))
      out += bias[columns].astype(dtype)
    if self.has_variable('params', 'lora_a'):
      a = self.get_variable('params', 'lora_a').astype(dtype)
      b = self.get_variable('params', 'lora_b').astype(dtype)
      out += product(product(x_ND, a, how), b[:, columns], how)
    return out


def head_norm(config, name):
  """RMS norm of each head's features, in float32, given in the compute type.

  Reference: Henry et al. 2020 (arXiv:2010.04245); with a gain, as in Qwen3.
  """
  norm = nn.RMSNorm(epsilon=config.norm_eps, dtype='float32', name=name)
  return lambda x_BTHK: norm(x_BTHK).astype(x_BTHK.dtype)


def _turned(q, k, turns_BT2K, read_BS):
  """(q, k), rotated by their columns' turns, if there are any."""
  if turns_BT2K is None:
    return q, k
  read = turns_BT2K if read_BS is None else take_columns(turns_BT2K, read_BS)
  return rotary(q, read), rotary(k, turns_BT2K)


def attend_rows(q, k, v, mask_BTS, length_B, every, how='float32'):
  """Attention by the fastest kernel that may do the work.

  Args:
    q: queries [B, H, T, K].
    k: keys [B, G, S, K].
    v: values [B, G, S, K].
    mask_BTS: bool.
    length_B: of `Attention`.
    every: whether queries and keys are those of all T = S columns.
    how: of `matmul.product`.

  Returns:
    [B, H, T, K].
  """
  if not every:
    return attend(q, k, v, mask_BTS, how)
  T, K = q.shape[2:]
  if length_B is not None and cudnn_takes(cuda_capability(), q.dtype, T, K):
    return attend_by_length(q, k, v, length_B)
  return attend_causal(q, k, v, mask_BTS, how)


class Attention(nn.Module):
  """Self-attention with one fused QKV matrix; the cache is an argument."""

  config: TransformerConfig

  @nn.compact
  def __call__(
    self,
    x_BTD,
    turns_BT2K,
    mask_BTS,
    cache=None,
    slot=None,
    length_B=None,
    read_BS=None,
  ):
    """Attends within the sequence, or, given a cache, to its slots.

    Args:
      x_BTD: input.
      turns_BT2K: of `rotary_turns`; None: no rotation.
      mask_BTS: bool; S = T without a cache, else the cache's slots.
      cache: None or (k_BGSK, v_BGSK).
      slot: [] int32, where the new keys and values go.
      length_B: int32, given only where `mask_BTS` is s <= t, s < length: then
        a kernel that knows lengths may do the work. Pads differ by it.
      read_BS: int32, the columns whose output is wanted; None: all T. Without
        a cache only.

    Returns:
      (output_BTD, or output_BSD with `read_BS`, and (k, v)): the keys and
      values of this call, or the updated cache.
    """
    config = self.config
    H, G, K = config.n_heads, config.n_kv_heads, config.head_size
    B, T, D = x_BTD.shape
    project = Projection(
      (H + 2 * G) * K, config, D**-0.5, config.qkv_bias, name='qkv'
    )

    def heads(x_BTD, columns):
      # Flat rows: XLA's CPU products of [B T, D] are faster than of [B, T, D].
      x = project(x_BTD.reshape(-1, D), columns)
      return x.reshape(B, x_BTD.shape[1], -1, K)

    if read_BS is None:
      q, k, v = jnp.split(heads(x_BTD, slice(None)), [H, H + G], axis=2)
    else:
      q = heads(take_columns(x_BTD, read_BS), slice(None, H * K))
      k, v = jnp.split(heads(x_BTD, slice(H * K, None)), 2, axis=2)
      mask_BTS = take_columns(mask_BTS, read_BS)
    if config.qk_norm:
      q, k = head_norm(config, 'q_norm')(q), head_norm(config, 'k_norm')(k)
    q, k = _turned(q, k, turns_BT2K, read_BS)
    q, k, v = (x.transpose(0, 2, 1, 3) for x in (q, k, v))
    if cache is not None:
      put = jax.lax.dynamic_update_slice_in_dim
      k, v = put(cache[0], k, slot, 2), put(cache[1], v, slot, 2)
    every = cache is None and read_BS is None
    out = attend_rows(q, k, v, mask_BTS, length_B, every, config.matmul)
    out = out.transpose(0, 2, 1, 3).reshape(-1, H * K)
    scale = (2 * config.n_layers * H * K) ** -0.5
    out = Projection(D, config, scale, config.out_bias, name='out')(out)
    return out.reshape(B, -1, D), (k, v)
