"""A bigram policy and fixed rollouts, to evaluate by hand."""

import jax.numpy as jnp
import numpy as np

from rlhf_jax.types import Rollout

V = 6


def logits_fn(table_VV, tokens_BT, length_B):
  """Next-token logits by the last token."""
  del length_B
  return jnp.asarray(table_VV)[tokens_BT]


def prefill_fn(table_VV, tokens_BP, length_B, cache_slots):
  del cache_slots
  last_B = jnp.take_along_axis(tokens_BP, (length_B - 1)[:, None], 1)[:, 0]
  return jnp.asarray(table_VV)[last_B], ()


def decode_fn(table_VV, token_B, position_B, cache):
  del position_B
  return jnp.asarray(table_VV)[token_B], cache


def reward(weight_V, tokens_BT, prompt_length_B, length_B):
  """Sum of the weights of the reply's tokens."""
  place = jnp.arange(tokens_BT.shape[1])
  mask_BT = (place >= prompt_length_B[:, None]) & (place < length_B[:, None])
  return jnp.where(mask_BT, jnp.asarray(weight_V)[tokens_BT], 0.0).sum(1)


def random_table(seed):
  return np.random.default_rng(seed).normal(0, 1, (V, V)).astype(np.float32)


def fixed_rollout():
  """Four replies of 1, 2, 3 and 4 tokens; the longest was cut."""
  rng = np.random.default_rng(3)
  prompt_length_B = np.array([3, 1, 2, 3], np.int32)
  length_B = prompt_length_B + np.array([1, 2, 3, 4], np.int32)
  return Rollout(
    tokens_BT=rng.integers(0, V, (4, 7)).astype(np.int32),
    prompt_length_B=prompt_length_B,
    length_B=length_B,
    ended_B=np.array([True, True, True, False]),
    logp_BT=np.zeros((4, 7), np.float32),
  )
