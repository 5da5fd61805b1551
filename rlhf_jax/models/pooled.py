"""Activations of a frozen model, pooled over a prompt and over its replies.

Layer k is what enters block k; layer L, what a head reads: after the final
norm. Each text is pooled in two ways: its last token, and the mean over its
tokens. A reply ends in the end-of-context token, which is its last one and has
no part in its mean.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp

from rlhf_jax.linear.head import Head, score
from rlhf_jax.losses.masked import length_mask, take_columns
from rlhf_jax.models.transformer import Transformer

POOLS = ('last', 'mean')


class PooledReader(NamedTuple):
  """Functions that read and pool.

  Attributes:
    layers: in rising order.
    pair_fn: (params, SharedPairs, prompt_length_B) -> pooled_B3PLD of prompt,
      chosen and rejected reply; P counts POOLS, L the layers.
    reply_fn: (params, tokens_BT, prompt_length_B, length_B) -> pooled_B2PLD of
      prompt and reply.
    prompt_fn: (params, tokens_BT, length_B) -> pooled_BPLD of prompts alone.
  """

  layers: tuple[int, ...]
  pair_fn: Any
  reply_fn: Any
  prompt_fn: Any


def quarters(n_layers: int) -> tuple[int, ...]:
  """The layers at a quarter, a half, three quarters and all of the depth."""
  return tuple(sorted({n_layers * k // 4 for k in range(1, 5)} - {0}))


def pooled_reader(config, layers) -> PooledReader:
  """The functions of `build(config)`'s trunk that pool these layers.

  Sides that share a prefix have the features that they have alone, up to
  rounding.

  Args:
    config: TransformerConfig.
    layers: 1 to L, in rising order.

  Raises:
    ValueError: if there are no such layers.
  """
  layers, top = tuple(layers), config.n_layers
  if not layers or list(layers) != sorted(set(layers) & {*range(1, top + 1)}):
    raise ValueError(
      f'wanted layers from 1 to {top} in rising order, got {layers}'
    )
  trunk = Transformer(config)

  def pooled(params, x, mask_BT, last_BC, inside_BCT, **options):
    found, first = [], 0
    for layer in layers:
      stop = None if layer == top else layer
      x = trunk.apply(
        {'params': params['trunk']},
        x,
        mask_BT,
        method='hidden',
        first=first,
        stop=stop,
        **options,
      )
      first = layer
      found.append(pool(x, last_BC, inside_BCT))
    return jnp.stack(found, 3)

  def pair_fn(params, pairs, prompt_length_B):
    last_BC, inside_BCT = _pair_columns(pairs, prompt_length_B)
    options = {'segment_BT': pairs.segment_BT, 'prefix_B': pairs.prefix_B}
    where = pairs.segment_BT > 0, last_BC, inside_BCT
    return pooled(params, pairs.tokens_BT, *where, **options)

  def reply_fn(params, tokens_BT, prompt_length_B, length_B):
    place_T = jnp.arange(tokens_BT.shape[1])
    prompt_BT = place_T < prompt_length_B[:, None]
    reply_BT = ~prompt_BT & (place_T < length_B[:, None] - 1)
    last_BC = jnp.stack([prompt_length_B, length_B], 1) - 1
    inside_BCT = jnp.stack([prompt_BT, reply_BT], 1)
    mask_BT = length_mask(length_B, tokens_BT.shape[1])
    options = {'length_B': length_B}
    return pooled(params, tokens_BT, mask_BT, last_BC, inside_BCT, **options)

  def prompt_fn(params, tokens_BT, length_B):
    mask_BT = length_mask(length_B, tokens_BT.shape[1])
    last_B1, inside_B1T = (length_B - 1)[:, None], (mask_BT > 0)[:, None]
    where = mask_BT, last_B1, inside_B1T
    return pooled(params, tokens_BT, *where, length_B=length_B)[:, 0]

  return PooledReader(layers, pair_fn, reply_fn, prompt_fn)


def pooled_score_fn(config, layers):
  """score(params, tokens_BT, prompt_length_B, length_B) -> score_B, log-odds.

  Of a linear head on the pooled features, at any length of prompt and reply.

  Args:
    config: TransformerConfig.
    layers: of `pooled_reader`; params['head'] are the fields of a `Head` on
      these.
  """
  reader = pooled_reader(config, layers)

  def score_fn(params, tokens_BT, prompt_length_B, length_B):
    pooled_B2PLD = reader.reply_fn(params, tokens_BT, prompt_length_B, length_B)
    head = Head(**params['head'])
    return score(head, pooled_B2PLD[:, 0], pooled_B2PLD[:, 1])

  return score_fn


def pool(x_BTD, last_BC, inside_BCT):
  """Two vectors of each text's activations, float32 [B, C, P, D].

    last = x[t_last],    mean = sum of x[t] over the text / its tokens

  Args:
    x_BTD: activations.
    last_BC: int32, the last column of each text.
    inside_BCT: bool, the columns of its mean; none: the mean is 0.
  """
  x_BTD = x_BTD.astype(jnp.float32)
  weight_BCT = inside_BCT.astype(jnp.float32)
  count_BC1 = jnp.maximum(weight_BCT.sum(-1, keepdims=True), 1.0)
  mean_BCD = jnp.einsum('bct,btd->bcd', weight_BCT / count_BC1, x_BTD)
  return jnp.stack([take_columns(x_BTD, last_BC), mean_BCD], 2)


def _pair_columns(pairs, prompt_length_B):
  """(last_B3, inside_B3T) of prompt, chosen and rejected reply."""
  place_T = jnp.arange(pairs.tokens_BT.shape[1])
  prompt_BT = place_T < prompt_length_B[:, None]
  shared_BT = ~prompt_BT & (place_T < pairs.prefix_B[:, None])
  inside = [prompt_BT]
  for side, segment in enumerate((2, 3)):
    own_BT = pairs.segment_BT == segment
    own_BT &= place_T != pairs.last_B2[:, side, None]
    inside.append(shared_BT | own_BT)
  last_B1 = (prompt_length_B - 1)[:, None]
  last_B3 = jnp.concatenate([last_B1, pairs.last_B2], 1)
  return last_B3, jnp.stack(inside, 1)
