"""Sampling one reply token by token, each handed out as soon as it is known."""

import jax
import jax.numpy as jnp
import numpy as np

from rlhf_jax.rollout.generate import make_choose
from rlhf_jax.rollout.sampling import row_uniforms

SMALLEST = 64  # slots of a cache and columns of a prompt, and their multiple


def bucket(size):
  """The least 64 * 2^n that holds `size`: few lengths, so few programs."""
  width = SMALLEST
  while width < size:
    width *= 2
  return width


def make_stream(prefill_fn, decode_fn, config):
  """Builds `stream(params, ids, rng)`, an iterator over a reply's tokens.

  The tokens are those of `make_generate` for row 0 and the same rng, up to the
  first stop token, which is the last one handed out. Two programs are compiled,
  for the prompt and for one token; their shapes are those of `bucket`.

  Args:
    prefill_fn: as of `make_generate`.
    decode_fn: as of `make_generate`.
    config: SamplingConfig; `pad_id` and `early_stop` are not used.

  Returns:
    The function; it jits what it needs.
  """
  choose = make_choose(config)
  R = config.max_reply

  def first(params, tokens_1P, length_1, uniform_1):
    slots = bucket(tokens_1P.shape[1] + R)
    logits_1V, cache = prefill_fn(params, tokens_1P, length_1, slots)
    return choose(logits_1V, uniform_1)[0], cache

  def following(params, token_1, position_1, uniform_1, cache):
    logits_1V, cache = decode_fn(params, token_1, position_1, cache)
    return choose(logits_1V, uniform_1)[0], cache

  first = jax.jit(first)
  following = jax.jit(following, donate_argnums=4)

  def stream(params, ids, rng):
    length = len(ids)
    tokens_1P = np.zeros((1, bucket(length)), np.int32)
    tokens_1P[0, :length] = ids
    uniform_R = np.asarray(row_uniforms(rng, jnp.zeros(1, jnp.int32), R))[0]
    length_1 = np.array([length], np.int32)
    token_1, cache = first(params, tokens_1P, length_1, uniform_R[:1])
    for t in range(R):
      token = int(token_1[0])
      yield token
      if token in config.stop_ids or t + 1 == R:
        return
      token_1, cache = following(
        params, token_1, length_1 + t, uniform_R[t + 1 : t + 2], cache
      )

  return stream
