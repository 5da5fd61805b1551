"""The smallest language model: logits of the next token by the last one."""

import jax.numpy as jnp
import numpy as np

from rlhf_jax.types import Prompts


def prefill_fn(table_VV, tokens_BP, length_B, cache_slots):
  del cache_slots
  last_B = jnp.take_along_axis(tokens_BP, (length_B - 1)[:, None], 1)[:, 0]
  return table_VV[last_B], ()


def decode_fn(table_VV, token_B, position_B, cache):
  del position_B
  return table_VV[token_B], cache


def logits_fn(table_VV, tokens_BT, length_B):
  del length_B
  return table_VV[tokens_BT]


def random_table(V, seed=0):
  return np.random.default_rng(seed).normal(0, 1, (V, V)).astype(np.float32)


def chain(V, steps):
  """A table that sends a to b for each (a, b); any other token to itself."""
  table_VV = np.full((V, V), -1e9, np.float32)
  table_VV[np.arange(V), np.arange(V)] = 0.0
  for a, b in steps.items():
    table_VV[a, a], table_VV[a, b] = -1e9, 0.0
  return table_VV


def prompts_of(rows, P, first_row=0):
  """Right-padded prompts with 1s for pads."""
  tokens_BP = np.ones((len(rows), P), np.int32)
  for tokens_P, ids in zip(tokens_BP, rows, strict=True):
    tokens_P[: len(ids)] = ids
  length_B = np.array([len(ids) for ids in rows], np.int32)
  row_B = np.arange(first_row, first_row + len(rows), dtype=np.int32)
  return Prompts(tokens_BP, length_B, row_B)
