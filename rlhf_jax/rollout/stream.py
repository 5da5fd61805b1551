"""Sampling replies token by token, each handed out as soon as it is known."""

import jax
import jax.numpy as jnp
import numpy as np

from rlhf_jax.rollout.generate import make_choose
from rlhf_jax.rollout.sampling import row_uniforms
from rlhf_jax.types import Prompts

SMALLEST = 64  # slots of a cache and columns of a prompt, and their multiple


def bucket(size):
  """The least 64 * 2^n that holds `size`: few lengths, so few programs."""
  width = SMALLEST
  while width < size:
    width *= 2
  return width


def make_rows_stream(prefill_fn, decode_fn, config):
  """Builds `stream(params, prompts, rng)`, an iterator over token_B [B].

  The tokens are those of `make_generate` for the same prompts and rng, a column
  at a time; after a row's first stop token its tokens are pads, and the last
  column is the one in which all rows have ended. Two programs are compiled,
  for the prompts and for one token a row; their shapes are those of the prompts
  and of `bucket`.

  Args:
    prefill_fn: as of `make_generate`.
    decode_fn: as of `make_generate`.
    config: SamplingConfig; `early_stop` is not used.

  Returns:
    The function; it jits what it needs.
  """
  choose = make_choose(config)
  R = config.max_reply

  def first(params, tokens_BP, length_B, uniform_B):
    slots = bucket(tokens_BP.shape[1] + R)
    logits_BV, cache = prefill_fn(params, tokens_BP, length_B, slots)
    return choose(logits_BV, uniform_B)[0], cache

  def following(params, token_B, position_B, uniform_B, cache):
    logits_BV, cache = decode_fn(params, token_B, position_B, cache)
    return choose(logits_BV, uniform_B)[0], cache

  first = jax.jit(first)
  following = jax.jit(following, donate_argnums=4)

  def stream(params, prompts, rng):
    tokens_BP, length_B = map(np.asarray, prompts[:2])
    row_B = jnp.asarray(prompts.row_B)
    uniform_BR = np.asarray(row_uniforms(rng, row_B, R))
    done_B = np.zeros(len(length_B), bool)
    token_B, cache = first(params, tokens_BP, length_B, uniform_BR[:, 0])
    for t in range(R):
      token_B = np.where(done_B, config.pad_id, token_B).astype(np.int32)
      yield token_B
      done_B = done_B | np.isin(token_B, config.stop_ids)
      if done_B.all() or t + 1 == R:
        return
      token_B, cache = following(
        params, token_B, length_B + t, uniform_BR[:, t + 1], cache
      )

  return stream


def make_stream(prefill_fn, decode_fn, config):
  """Builds `stream(params, ids, rng)`, an iterator over one reply's tokens.

  That of `make_rows_stream` for row 0 alone; the first stop token is the last
  one handed out.

  Args:
    prefill_fn: as of `make_generate`.
    decode_fn: as of `make_generate`.
    config: SamplingConfig; `pad_id` and `early_stop` are not used.

  Returns:
    The function; it jits what it needs.
  """
  rows = make_rows_stream(prefill_fn, decode_fn, config)

  def stream(params, ids, rng):
    tokens_1P = np.zeros((1, bucket(len(ids))), np.int32)
    tokens_1P[0, : len(ids)] = ids
    length_1 = np.array([len(ids)], np.int32)
    asked = Prompts(tokens_1P, length_1, np.zeros(1, np.int32))
    for token_1 in rows(params, asked, rng):
      yield int(token_1[0])

  return stream
