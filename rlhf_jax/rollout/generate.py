"""Sampling replies: prefill, then one token a step until every row is done."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rlhf_jax.mapping import over_data
from rlhf_jax.rollout.sampling import (
  adjust_logits,
  occurrences,
  row_uniforms,
  sample_token,
)
from rlhf_jax.types import Prompts, Rollout


class SamplingConfig(NamedTuple):
  """Static settings of a sampler; the defaults are the paper's.

  Attributes:
    max_reply: R, the cap on reply tokens, the end token included.
    stop_ids: tokens that end a reply.
    pad_id: fills what is not a token; may be any id.
    temperature, top_k, top_p: see `adjust_logits`.
    greedy: take the most probable token instead of sampling.
    early_stop: leave the loop when every row is done.
  """

  max_reply: int
  stop_ids: tuple[int, ...]
  pad_id: int
  temperature: float = 1.0
  top_k: int = 0
  top_p: float = 1.0
  greedy: bool = False
  early_stop: bool = True

  def scored(self):
    """Settings for scoring these replies: {'temperature', 'max_reply'}.

    Raises:
      ValueError: with top-k or top-p, whose distribution nobody scores.
    """
    if self.top_k or self.top_p < 1.0:
      raise ValueError(
        f'replies drawn with top_k {self.top_k}, top_p {self.top_p} cannot be '
        'scored: wanted top_k 0 and top_p 1'
      )
    return {'temperature': self.temperature, 'max_reply': self.max_reply}


class _Loop(NamedTuple):
  step: Any
  logits_BV: Any
  cache: Any
  done_B: Any
  tokens_BR: Any
  logp_BR: Any
  length_B: Any


def make_choose(config):
  """Builds `choose(logits_BV, uniform_B) -> (token_B, logp_B)` of a sampler.

  The one place where logits become tokens; `uniform_B` is not read if greedy.
  """

  def choose(logits_BV, uniform_B):
    logits_BV = adjust_logits(
      logits_BV,
      temperature=config.temperature,
      top_k=config.top_k,
      top_p=config.top_p,
    )
    if not config.greedy:
      return sample_token(logits_BV, uniform_B)
    token_B = jnp.argmax(logits_BV, -1).astype(jnp.int32)
    logp_BV = jax.nn.log_softmax(logits_BV, -1)
    return token_B, jnp.take_along_axis(logp_BV, token_B[:, None], 1)[:, 0]

  return choose


def make_generate(prefill_fn, decode_fn, config):
  """Builds `generate(params, prompts, rng) -> Rollout`, a pure function.

  Reply token t of a row is drawn with a number that depends on (rng, row, t)
  alone; a name that comes twice in a batch is told apart by its occurrence, so
  that one prompt gets several replies. Everything after the first stop token is
  pad, and contributes nothing.

  Args:
    prefill_fn: (params, tokens_BP, length_B, cache_slots) -> (logits_BV,
      cache).
    decode_fn: (params, token_B, position_B, cache) -> (logits_BV, cache).
    config: SamplingConfig.

  Returns:
    The function; not jitted.
  """
  choose = make_choose(config)
  stop_S = jnp.asarray(config.stop_ids, jnp.int32)
  R = config.max_reply

  def generate(rows, params, rng):
    prompts, occurrence_B = rows
    P = prompts.tokens_BP.shape[1]
    uniform_BR = row_uniforms(rng, prompts.row_B, R, occurrence_B)

    def body(loop):
      token_B, logp_B = choose(loop.logits_BV, uniform_BR[:, loop.step])
      live_B = ~loop.done_B
      token_B = jnp.where(live_B, token_B, config.pad_id)
      done_B = loop.done_B | (token_B[:, None] == stop_S).any(-1)
      position_B = prompts.length_B + loop.step
      logits_BV, cache = decode_fn(params, token_B, position_B, loop.cache)
      return _Loop(
        step=loop.step + 1,
        logits_BV=logits_BV.astype(jnp.float32),  # the loop keeps its types
        cache=cache,
        done_B=done_B,
        tokens_BR=loop.tokens_BR.at[:, loop.step].set(token_B),
        logp_BR=loop.logp_BR.at[:, loop.step].set(
          jnp.where(live_B, logp_B, 0.0)
        ),
        length_B=loop.length_B + live_B,
      )

    def more(loop):
      inside = loop.step < R
      return inside & ~loop.done_B.all() if config.early_stop else inside

    logits_BV, cache = prefill_fn(
      params, prompts.tokens_BP, prompts.length_B, P + R
    )
    start = _start(logits_BV, cache, R, config.pad_id)
    loop = jax.lax.while_loop(more, body, start)
    return compact(prompts, loop, config.pad_id)

  return lambda params, prompts, rng: over_data(
    generate, (prompts, occurrences(prompts.row_B)), params, rng
  )


def _start(logits_BV, cache, R, pad_id):
  """Loop state after the prompts, with room for R reply tokens a row."""
  B = logits_BV.shape[0]
  return _Loop(
    step=jnp.int32(0),
    logits_BV=logits_BV.astype(jnp.float32),
    cache=cache,
    done_B=jnp.zeros(B, bool),
    tokens_BR=jnp.full((B, R), pad_id, jnp.int32),
    logp_BR=jnp.zeros((B, R), jnp.float32),
    length_B=jnp.zeros(B, jnp.int32),
  )


def compact(prompts, loop, pad_id):
  """Joins prompts and replies without a gap: (prompt, reply, pads)."""
  P, R = prompts.tokens_BP.shape[1], loop.tokens_BR.shape[1]
  prompt_length_B = prompts.length_B
  place_BT = jnp.arange(P + R)[None] - prompt_length_B[:, None]
  in_prompt_BT = place_BT < 0
  in_reply_BT = (place_BT >= 0) & (place_BT < loop.length_B[:, None])
  reply_BT = jnp.clip(place_BT, 0, R - 1)
  take = lambda x_BR: jnp.take_along_axis(x_BR, reply_BT, 1)
  prompt_BT = jnp.pad(prompts.tokens_BP, ((0, 0), (0, R)))
  tokens_BT = jnp.where(in_prompt_BT, prompt_BT, take(loop.tokens_BR))
  return Rollout(
    tokens_BT=jnp.where(in_prompt_BT | in_reply_BT, tokens_BT, pad_id),
    prompt_length_B=prompt_length_B,
    length_B=prompt_length_B + loop.length_B,
    ended_B=loop.done_B,
    logp_BT=jnp.where(in_reply_BT, take(loop.logp_BR), 0.0),
  )


def recompute_decoder(logits_fn, cache_slots):
  """(prefill_fn, decode_fn) for a model without a cache: the prefix each time.

  Args:
    logits_fn: (params, tokens_BT, length_B) -> logits_BTV.
    cache_slots: T, the longest sequence that will be decoded.
  """

  def last(params, tokens_BT, length_B):
    logits_BTV = logits_fn(params, tokens_BT, length_B)
    return jnp.take_along_axis(logits_BTV, (length_B - 1)[:, None, None], 1)[
      :, 0
    ]

  def prefill_fn(params, tokens_BP, length_B, cache_slots=cache_slots):
    grow = cache_slots - tokens_BP.shape[1]
    tokens_BT = jnp.pad(tokens_BP, ((0, 0), (0, grow)))
    return last(params, tokens_BT, length_B), tokens_BT

  def decode_fn(params, token_B, position_B, tokens_BT):
    at_BT = jnp.arange(tokens_BT.shape[1])[None] == position_B[:, None]
    tokens_BT = jnp.where(at_BT, token_B[:, None], tokens_BT)
    return last(params, tokens_BT, position_B + 1), tokens_BT

  return prefill_fn, decode_fn


def make_collect(config, *, prefill_fn=None, decode_fn=None, logits_fn=None):
  """`collect(params, prompts, rng) -> Rollout` from whatever a model offers.

  Args:
    config: SamplingConfig.
    prefill_fn: with `decode_fn`, cached decoding.
    decode_fn: see `prefill_fn`.
    logits_fn: without those two, the prefix is recomputed for every token.

  Raises:
    ValueError: if neither a cache nor logits are given.
  """
  if prefill_fn is not None and decode_fn is not None:
    return make_generate(prefill_fn, decode_fn, config)
  if logits_fn is None:
    raise ValueError(
      'collect needs prefill_fn and decode_fn, or logits_fn; got none of them'
    )

  def collect(params, prompts: Prompts, rng):
    slots = prompts.tokens_BP.shape[1] + config.max_reply
    prefill, decode = recompute_decoder(logits_fn, slots)
    return make_generate(prefill, decode, config)(params, prompts, rng)

  return collect
