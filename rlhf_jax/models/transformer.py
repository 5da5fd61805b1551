"""One decoder-only Transformer; every family we load is a config of it."""

import jax
import jax.numpy as jnp
from flax import linen as nn

from rlhf_jax.models.attention import Attention
from rlhf_jax.models.config import TransformerConfig
from rlhf_jax.types import KVCache


def segment_positions(segment_BT):
  """Place of each token in its own text: t minus the text's first t.

  Args:
    segment_BT: int32, which text of the row a token belongs to; the tokens of
      a text stand together.
  """
  place_T = jnp.arange(segment_BT.shape[1], dtype=jnp.int32)
  before_BT = jnp.pad(segment_BT[:, :-1], ((0, 0), (1, 0)), constant_values=-1)
  first_BT = jnp.where(segment_BT != before_BT, place_T, 0)
  return place_T - jax.lax.cummax(first_BT, axis=1)


def _norm(config, name):
  """RMSNorm or LayerNorm, in float32 whatever the computation type."""
  if config.norm == 'rms':
    return nn.RMSNorm(epsilon=config.norm_eps, dtype='float32', name=name)
  return nn.LayerNorm(epsilon=config.norm_eps, dtype='float32', name=name)


class MLP(nn.Module):
  """gelu(x W_in) W_out, or (silu(x W_gate) * x W_up) W_out, fused."""

  config: TransformerConfig

  @nn.compact
  def __call__(self, x_BTD):
    """[B, T, D] to [B, T, D]."""
    config = self.config
    width = config.d_mlp
    gated = config.activation == 'swiglu'
    dense = lambda features, name, scale: nn.Dense(
      features,
      use_bias=config.use_bias,
      dtype=config.dtype,
      kernel_init=nn.initializers.normal(scale),
      name=name,
    )
    x = x_BTD.reshape(-1, config.d_model)  # flat rows are faster on a CPU
    hidden = dense((1 + gated) * width, 'in', config.d_model**-0.5)(x)
    if gated:
      gate, up = jnp.split(hidden, 2, axis=-1)
      hidden = jax.nn.silu(gate) * up
    else:
      hidden = jax.nn.gelu(hidden)
    out_scale = (2 * config.n_layers * width) ** -0.5
    return dense(config.d_model, 'out', out_scale)(hidden).reshape(x_BTD.shape)


class Block(nn.Module):
  """Pre-norm attention and MLP, serial or parallel."""

  config: TransformerConfig

  @nn.compact
  def __call__(self, x_BTD, position_BT, mask_BTS, cache=None, slot=None):
    """As `Attention`: (output_BTD, keys and values)."""
    config = self.config
    attention = Attention(config, name='attention')
    mlp = MLP(config, name='mlp')
    normed = _norm(config, 'attention_norm')(x_BTD).astype(config.dtype)
    attended, cache = attention(normed, position_BT, mask_BTS, cache, slot)
    if config.parallel_residual:
      normed = _norm(config, 'mlp_norm')(x_BTD).astype(config.dtype)
      return x_BTD + attended + mlp(normed), cache
    x_BTD = x_BTD + attended
    normed = _norm(config, 'mlp_norm')(x_BTD).astype(config.dtype)
    return x_BTD + mlp(normed), cache


class Transformer(nn.Module):
  """Embedding, blocks, final norm and the next-token head."""

  config: TransformerConfig

  def setup(self):
    """Declares parameters and blocks, by the names of checkpoints."""
    config = self.config
    init = nn.initializers.normal(config.d_model**-0.5)
    self.embed = self.param('embed', init, (config.vocab_size, config.d_model))
    if config.positions == 'learned':
      self.position_embed = self.param(
        'position_embed', init, (config.max_length, config.d_model)
      )
    block = nn.remat(Block) if config.remat else Block
    self.blocks = [
      block(config, name=f'layer_{i}') for i in range(config.n_layers)
    ]
    self.final_norm = _norm(config, 'final_norm')
    if not config.tied:
      self.lm_head = self.param(
        'lm_head', init, (config.vocab_size, config.d_model)
      )

  def _check_length(self, length):
    limit = self.config.max_length
    if self.config.positions == 'learned' and length > limit:
      raise ValueError(
        f'{length} tokens need as many learned positions, got {limit}: raise '
        'max_length'
      )

  def _embed(self, tokens_BT, position_BT):
    x = self.embed[tokens_BT] * self.config.d_model**0.5
    if self.config.positions == 'learned':
      x = x + self.position_embed[position_BT] * self.config.d_model**0.5
    return x.astype(self.config.dtype)

  def hidden(self, tokens_BT, mask_BT, with_cache=False, segment_BT=None):
    """Final-norm activations of whole sequences, padded on either side.

    Positions are the exclusive cumulative sum of the mask, so that left pads
    shift nothing; pads get an in-range position and are looked at by nobody.
    With segments, positions start anew in each, and a token looks at its own
    segment alone.

    Args:
      tokens_BT: int32.
      mask_BT: bool or 0/1, True at real tokens.
      with_cache: also return each layer's (k_BGTK, v_BGTK).
      segment_BT: int32, which text a token belongs to, of rows that hold
        several; None: one text a row.

    Returns:
      hidden_BTD float32, or (hidden_BTD, layers).

    Raises:
      ValueError: if positions are learned and T is more than there are.
    """
    self._check_length(tokens_BT.shape[1])
    mask_BT = mask_BT.astype(bool)
    T = tokens_BT.shape[1]
    causal_TT = jnp.tril(jnp.ones((T, T), bool))
    mask_BTS = causal_TT[None] & mask_BT[:, None, :]
    if segment_BT is None:
      count = jnp.cumsum(mask_BT.astype(jnp.int32), axis=1)
      position_BT = jnp.maximum(count - 1, 0)
    else:
      position_BT = segment_positions(segment_BT)
      mask_BTS &= segment_BT[:, :, None] == segment_BT[:, None, :]
    x, layers = self._embed(tokens_BT, position_BT), []
    for block in self.blocks:
      x, cache = block(x, position_BT, mask_BTS)
      layers.append(cache)
    x = self.final_norm(x)
    return (x, tuple(layers)) if with_cache else x

  def unembed(self, hidden):
    """Next-token logits, float32: hidden @ W^T."""
    weights = self.embed if self.config.tied else self.lm_head
    return hidden.astype(jnp.float32) @ weights.T

  def __call__(self, tokens_BT, mask_BT):
    """Next-token logits of whole sequences."""
    return self.unembed(self.hidden(tokens_BT, mask_BT))

  def prefill(self, tokens_BP, length_B, cache_slots):
    """Reads right-padded prompts; returns the next-token logits and a cache.

    Args:
      tokens_BP: int32 prompts.
      length_B: int32 real tokens.
      cache_slots: S, at least P plus the tokens that will be decoded.

    Returns:
      (logits_BV after the last prompt token, KVCache with slot = P).

    Raises:
      ValueError: if positions are learned and S is more than there are.
    """
    self._check_length(cache_slots)
    B, P = tokens_BP.shape
    mask_BP = jnp.arange(P)[None] < length_B[:, None]
    x_BPD, layers = self.hidden(tokens_BP, mask_BP, with_cache=True)
    last_BD = jnp.take_along_axis(x_BPD, (length_B - 1)[:, None, None], 1)[:, 0]
    grow = lambda kv: jnp.pad(
      kv, ((0, 0), (0, 0), (0, cache_slots - P), (0, 0))
    )
    cache = KVCache(
      layers=tuple((grow(k), grow(v)) for k, v in layers),
      valid_BS=jnp.pad(mask_BP, ((0, 0), (0, cache_slots - P))),
      slot=jnp.asarray(P, jnp.int32),
    )
    return self.unembed(last_BD), cache

  def decode(self, token_B, position_B, cache):
    """Reads one token a row; returns the next-token logits and the cache."""
    slot = cache.slot
    valid_BS = cache.valid_BS | (jnp.arange(cache.valid_BS.shape[1]) == slot)
    position_B1 = position_B[:, None]
    x, layers = self._embed(token_B[:, None], position_B1), []
    for block, layer in zip(self.blocks, cache.layers, strict=True):
      x, layer = block(x, position_B1, valid_BS[:, None], layer, slot)
      layers.append(layer)
    logits_BV = self.unembed(self.final_norm(x)[:, 0])
    return logits_BV, KVCache(tuple(layers), valid_BS, slot + 1)
