"""Masks and positions of rows that hold more than one plain text."""

import jax
import jax.numpy as jnp


def segment_positions(segment_BT, prefix_B=None):
  """Place of each token in its own text: t minus the text's first t.

  Args:
    segment_BT: int32, which text of the row a token belongs to; the tokens of
      a text stand together.
    prefix_B: int32, tokens at the start of the row that all its texts begin
      with, a segment of their own; the places of the others go on from there.
  """
  place_T = jnp.arange(segment_BT.shape[1], dtype=jnp.int32)
  before_BT = jnp.pad(segment_BT[:, :-1], ((0, 0), (1, 0)), constant_values=-1)
  first_BT = jnp.where(segment_BT != before_BT, place_T, 0)
  own_BT = place_T - jax.lax.cummax(first_BT, axis=1)
  if prefix_B is None:
    return own_BT
  prefix_B1 = prefix_B[:, None]
  return own_BT + jnp.where(place_T >= prefix_B1, prefix_B1, 0)


def segment_mask(segment_BT, prefix_B=None):
  """Mask of the columns of a token's own text: bool [B, T, T]."""
  same_BTT = segment_BT[:, :, None] == segment_BT[:, None, :]
  if prefix_B is None:
    return same_BTT
  place_T = jnp.arange(segment_BT.shape[1])
  return same_BTT | (place_T < prefix_B[:, None])[:, None, :]


def mask_positions(mask_BT):
  """Place of each real token among the real ones, at least 0: int32 [B, T]."""
  count_BT = jnp.cumsum(mask_BT.astype(jnp.int32), axis=1)
  return jnp.maximum(count_BT - 1, 0)


def window_mask(query_BT, key_BS, window):
  """Mask of what lies less than `window` places back: bool [B, T, S].

    query[t] - key[s] < window

  Args:
    query_BT: int32 places of the queries in their text.
    key_BS: int32 places of the keys.
    window: tokens, the query's own included.
  """
  return query_BT[:, :, None] - key_BS[:, None, :] < window
