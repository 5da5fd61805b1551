"""One decoder-only Transformer; every family we load is a config of it."""

import jax
import jax.numpy as jnp
from flax import linen as nn

from rlhf_jax.losses.masked import take_columns
from rlhf_jax.mapping import on_rows
from rlhf_jax.models.attention import Attention, Projection
from rlhf_jax.models.config import TransformerConfig
from rlhf_jax.models.masks import (
  mask_positions,
  segment_mask,
  segment_positions,
  window_mask,
)
from rlhf_jax.models.matmul import product
from rlhf_jax.models.rotary import rotary_turns
from rlhf_jax.types import KVCache


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
    dense = lambda features, name, scale: Projection(
      features, config, scale, config.mlp_bias, name=name
    )
    x = x_BTD.reshape(-1, config.d_model)  # flat rows are faster on a CPU
    hidden = dense((1 + gated) * width, 'in', config.d_model**-0.5)(x)
    if gated:
      gate, up = jnp.split(hidden, 2, axis=-1)
      hidden = jax.nn.silu(gate) * up
    else:
      exact = config.activation == 'gelu_exact'
      hidden = jax.nn.gelu(hidden, approximate=not exact)
    out_scale = (2 * config.n_layers * width) ** -0.5
    return dense(config.d_model, 'out', out_scale)(hidden).reshape(x_BTD.shape)


class Block(nn.Module):
  """Pre-norm attention and MLP, serial or parallel."""

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
    """Output of the block, as of `Attention`: (x_BTD or x_BSD, (k, v))."""
    config = self.config
    attention = Attention(config, name='attention')
    mlp = MLP(config, name='mlp')
    normed = _norm(config, 'attention_norm')(x_BTD).astype(config.dtype)
    attended, cache = attention(
      normed, turns_BT2K, mask_BTS, cache, slot, length_B, read_BS
    )
    x = x_BTD if read_BS is None else take_columns(x_BTD, read_BS)
    mlp_input = x if config.parallel_residual else x + attended
    normed = _norm(config, 'mlp_norm')(mlp_input).astype(config.dtype)
    return x + attended + mlp(normed), cache


def _seen(mask_BT, segment_BT, prefix_B):
  """(mask_BTT, position_BT) of `Transformer.hidden`'s arguments."""
  mask_BT = mask_BT.astype(bool)
  T = mask_BT.shape[1]
  causal_TT = jnp.tril(jnp.ones((T, T), bool))
  mask_BTS = causal_TT[None] & mask_BT[:, None, :]
  if segment_BT is None:
    return mask_BTS, mask_positions(mask_BT)
  mask_BTS &= segment_mask(segment_BT, prefix_B)
  return mask_BTS, segment_positions(segment_BT, prefix_B)


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

  def _embed(self, tokens_BT, position_BT, limit):
    """(activations of the tokens, `rotary_turns` or None).

    Activations in place of tokens, [B, T, D], have been embedded before.
    """
    config = self.config
    x, turns, embedded = tokens_BT, None, tokens_BT.ndim == 3
    if not embedded:
      x = self.embed[tokens_BT].astype(jnp.float32) * config.embed_factor
    if config.positions == 'learned':
      if not embedded:
        x = x + self.position_embed[position_BT] * config.embed_factor
    else:
      turns = rotary_turns(
        position_BT,
        config.rotary_size,
        config.rope_theta,
        limit,
        config.rope_scaling,
      )
    return on_rows(x.astype(config.dtype)), turns

  def _masks(self, mask_BTS, query_BT, key_BS):
    """One mask a layer: `mask_BTS` itself, or less beyond the window."""
    config = self.config
    if not config.sliding_window:
      return [mask_BTS] * config.n_layers
    near_BTS = window_mask(query_BT, key_BS, config.sliding_window)
    below = min(config.window_from, config.n_layers)
    above = config.n_layers - below
    return [mask_BTS] * below + [mask_BTS & near_BTS] * above

  def hidden(
    self,
    tokens_BT,
    mask_BT,
    *,
    length_B=None,
    segment_BT=None,
    prefix_B=None,
    read_BS=None,
    with_cache=False,
    first=0,
    stop=None,
  ):
    """Final-norm activations of whole sequences, padded on either side.

    Positions are the exclusive cumulative sum of the mask, so that left pads
    shift nothing; pads get an in-range position and are looked at by nobody.
    With segments, positions start anew in each, and a token looks at its own
    segment alone, and at the prefix that all segments share.

    The last block's queries and MLP, and the final norm, run on the columns
    that are read and no others: of L layers, reading few saves nearly 1 / L.

    Args:
      tokens_BT: int32; or x_BTD, the activations that enter block `first`.
      mask_BT: bool or 0/1, True at real tokens.
      length_B: int32, given where `mask_BT` is t < length and nothing else: a
        kernel that knows lengths may then do the work.
      segment_BT: int32, the text that a token belongs to; None: one text a row.
      prefix_B: int32, columns that all texts of a row begin with; None: none.
      read_BS: int32, the columns whose activations are wanted; None: all.
      with_cache: also return each layer's (k_BGTK, v_BGTK).
      first: the first block that runs.
      stop: the block before which to stop; None: run all, and the final norm.

    Returns:
      hidden_BTD float32 (hidden_BSD of `read_BS`), or (hidden, layers); with
      `stop`, x_BTD, the activations that enter that block.

    Raises:
      ValueError: if positions are learned and T is more than there are.
    """
    self._check_length(tokens_BT.shape[1])
    mask_BTS, position_BT = _seen(mask_BT, segment_BT, prefix_B)
    length_B = length_B if segment_BT is None else None
    x, turns = self._embed(tokens_BT, position_BT, tokens_BT.shape[1])
    masks = self._masks(mask_BTS, position_BT, position_BT)
    layers, last = [], len(self.blocks) - 1
    for i in range(first, last + 1 if stop is None else stop):
      block, mask = self.blocks[i], masks[i]
      read = read_BS if i == last else None
      lengths = length_B if mask is mask_BTS else None
      x, cache = block(x, turns, mask, None, None, lengths, read)
      layers.append(cache)
    if stop is not None:
      return x
    if first > last and read_BS is not None:
      x = take_columns(x, read_BS)
    x = self.final_norm(x)
    return (x, tuple(layers)) if with_cache else x

  def unembed(self, hidden):
    """Next-token logits, float32: hidden @ W^T."""
    weights = self.embed if self.config.tied else self.lm_head
    return product(
      hidden.astype(jnp.float32), weights, self.config.matmul, turned=True
    )

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
    x_B1D, layers = self.hidden(
      tokens_BP,
      mask_BP,
      length_B=length_B,
      read_BS=(length_B - 1)[:, None],
      with_cache=True,
    )
    grow = lambda kv: jnp.pad(
      kv, ((0, 0), (0, 0), (0, cache_slots - P), (0, 0))
    )
    cache = KVCache(
      layers=tuple((grow(k), grow(v)) for k, v in layers),
      valid_BS=jnp.pad(mask_BP, ((0, 0), (0, cache_slots - P))),
      slot=jnp.asarray(P, jnp.int32),
    )
    return self.unembed(x_B1D[:, 0]), cache

  def decode(self, token_B, position_B, cache):
    """Reads one token a row; returns the next-token logits and the cache."""
    slot = cache.slot
    valid_BS = cache.valid_BS | (jnp.arange(cache.valid_BS.shape[1]) == slot)
    slots = valid_BS.shape[1]
    position_B1 = position_B[:, None]
    x, turns = self._embed(token_B[:, None], position_B1, slots)
    key_BS = mask_positions(valid_BS)  # slots of short prompts hold pads
    masks = self._masks(valid_BS[:, None], position_B1, key_BS)
    layers = []
    for block, mask, layer in zip(
      self.blocks, masks, cache.layers, strict=True
    ):
      x, layer = block(x, turns, mask, layer, slot)
      layers.append(layer)
    logits_BV = self.unembed(self.final_norm(x)[:, 0])
    return logits_BV, KVCache(tuple(layers), valid_BS, slot + 1)
