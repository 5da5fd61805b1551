"""A model, a tokenizer and data of a few lines, in order and with defects."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from rlhf_jax.losses.language import token_logps
from rlhf_jax.rollout.generate import SamplingConfig, make_collect
from rlhf_jax.types import PairBatch, Prompts

V, D, PAD, END, CONTEXT, ASK = 16, 4, 0, 1, 15, 2
_RNG = np.random.default_rng(0)
EMBED = jnp.float32(_RNG.normal(size=(V, D)))
OUT = jnp.float32(_RNG.normal(size=(D, V)))


class Words:
  """A tokenizer whose tokens are letters."""

  eos_id, pad_id, end_of_context_id, stop_ids = END, PAD, CONTEXT, (END,)

  def encode(self, text):
    return [3 + ord(letter) % 12 for letter in text]

  def decode(self, ids):
    return ' '.join(map(str, ids))


def hidden(tokens_BT, length_B):
  """The sum of the embeddings so far; pads, behind, are never summed."""
  del length_B
  return jnp.tanh(jnp.cumsum(EMBED[tokens_BT], 1))


def logits_fn(tokens_BT, length_B):
  return hidden(tokens_BT, length_B) @ OUT


def score_fn(tokens_BT, length_B):
  value_BT = hidden(tokens_BT, length_B) @ OUT[:, 0]
  return jnp.take_along_axis(value_BT, length_B[:, None] - 1, 1)[:, 0]


def prefill_fn(tokens_BP, length_B, cache_slots):
  del cache_slots
  real_BP = jnp.arange(tokens_BP.shape[1])[None] < length_B[:, None]
  sum_BD = (EMBED[tokens_BP] * real_BP[..., None]).sum(1)
  return jnp.tanh(sum_BD) @ OUT, sum_BD


def decode_fn(token_B, position_B, sum_BD):
  del position_B
  sum_BD = sum_BD + EMBED[token_B]
  return jnp.tanh(sum_BD) @ OUT, sum_BD


def logps_fn(tokens_BT, prompt_length_B, length_B, temperature):
  del prompt_length_B
  return token_logps(logits_fn(tokens_BT, length_B), tokens_BT, temperature)


@functools.cache
def sampler(**changes):
  """(Prompts, rng) -> Rollout, jitted."""
  config = SamplingConfig(max_reply=8, stop_ids=(END,), pad_id=PAD)
  collect = make_collect(
    config._replace(**changes), logits_fn=lambda _, *rows: logits_fn(*rows)
  )
  return jax.jit(lambda prompts, rng: collect((), prompts, rng))


def rows_of(lists):
  """(tokens, length) of lists of ids."""
  width = max(map(len, lists))
  tokens = np.array([ids + [PAD] * (width - len(ids)) for ids in lists])
  return tokens.astype(np.int32), np.array([len(x) for x in lists], np.int32)


def pairs(prompts, chosen, rejected):
  """PairBatch of lists of ids; both sides get what ends a reply."""
  close = [END, CONTEXT]
  sides = [
    rows_of([p + r + close for p, r in zip(prompts, own, strict=True)])
    for own in (chosen, rejected)
  ]
  return PairBatch(*sides[0], *sides[1])


def ids(rng, count, most=9):
  """Lists of ids that are no special ones."""
  return [
    rng.integers(3, 15, rng.integers(3, most + 1)).tolist()
    for _ in range(count)
  ]


def data():
  """{'train', 'test', 'prompts', 'evaluation'}, in order."""
  rng = np.random.default_rng(1)
  found = {}
  for name, first in (('train', 3), ('test', 4)):
    asked = [[first, *x, ASK] for x in ids(rng, 12)]
    # Replies differ from their first token, so a prompt is what they share.
    chosen = [[5, *x] for x in ids(rng, 12)]
    rejected = [[6, *x] for x in ids(rng, 12)]
    found[name] = pairs(asked, chosen, rejected)
  tokens, length = rows_of([[3, *x, ASK] for x in ids(rng, 12)])
  found['prompts'] = Prompts(tokens, length, np.arange(12))
  found['evaluation'] = dict(
    zip(('tokens', 'length'), rows_of(ids(rng, 12, 14)), strict=True)
  )
  return found


def arguments(**changes):
  """The arguments of `check.run`, in order but for the changes."""
  given = {
    'logits_fn': jax.jit(logits_fn),
    'score_fn': jax.jit(score_fn),
    'tokenizer': Words(),
    'batches': data(),
    'config': {'temperature': 1.0, 'max_reply': 8, 'passes': 2},
    'prefill_fn': prefill_fn,
    'decode_fn': decode_fn,
  }
  return given | changes
