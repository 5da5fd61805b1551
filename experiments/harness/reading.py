"""A model as the harness asks it: log-probabilities of rows, and replies."""

import functools

import jax
import numpy as np

from experiments.harness import layout
from experiments.shared.devices import jit_named
from rlhf_jax.evals.continuations import make_continuation_logps
from rlhf_jax.rollout.generate import SamplingConfig, make_generate
from rlhf_jax.text.encode import pad_batch
from rlhf_jax.train.progress import Progress
from rlhf_jax.types import Prompts

TOKENS = 2048  # of a batch: more are no faster on a CPU
PROMPT_ROWS = 16  # of a batch of prompts, at most


def longest_of(opened):
  """Tokens that a model holds: its stated context, else its config's."""
  return opened.context or opened.functions.config.max_length


def widest_of(functions):
  """Columns that a model takes at most; None where positions are rotary."""
  config = functions.config
  return config.max_length if config.positions == 'learned' else None


@functools.cache
def _program(functions):
  logps = make_continuation_logps(functions.hidden_fn, functions.head_fn)
  return jit_named(logps, 'continuation_logps')


def make_score(opened, tokens=TOKENS):
  """Builds score(requests, label) -> [(log-probability in nats, greedy)].

  Args:
    opened: `models.Opened`, a language model.
    tokens: of a batch, about.

  Returns:
    The function, of requests as in `layout.rows_of`. One program is compiled
    for each bucket of `layout.buckets_of`.
  """
  program, longest = _program(opened.functions), longest_of(opened)
  widest = widest_of(opened.functions)

  def score(requests, label='log-probabilities'):
    room = min(layout.ROOM, longest)
    rows = layout.rows_of(requests, longest, room)
    batches = layout.batches_of(rows, tokens, widest)
    outputs = []
    for i in Progress(0, len(batches), label):
      outputs.append(jax.device_get(program(opened.params, *batches[i].arrays)))
    return layout.gather(batches, outputs, len(requests))

  return score


@functools.cache
def _writer(functions, sampling):
  generate = make_generate(functions.prefill_fn, functions.decode_fn, sampling)
  return jit_named(generate, 'harness_replies')


def make_write(opened, seed=0):
  """Builds write(prompts, max_reply, options, label) -> ids of each reply.

  Args:
    opened: `models.Opened`, a language model.
    seed: of the sampling.

  Returns:
    The function. `options` are temperature (0: greedy), top_k and top_p; a
    prompt that leaves no room for the reply loses its left. Replies end before
    the first stop token.
  """
  words, longest = opened.tokenizer, longest_of(opened)

  def write(prompts, max_reply, options, label='replies'):
    if max_reply >= longest:
      raise ValueError(
        f'wanted replies of less than the {longest} tokens that the model '
        f'holds, got {max_reply}: lower max_gen_toks of the task'
      )
    greedy = options.get('temperature', 0) == 0
    sampling = SamplingConfig(
      max_reply=max_reply,
      stop_ids=tuple(words.stop_ids),
      pad_id=words.pad_id,
      greedy=greedy,
      **({} if greedy else options),
    )
    generate = _writer(opened.functions, sampling)
    prompts = [list(ids)[-(longest - max_reply) :] for ids in prompts]
    parts = prompt_batches(prompts, longest - max_reply)
    replies = [None] * len(prompts)
    for i in Progress(0, len(parts), label):
      inside, columns = parts[i]
      full = np.array(inside + [inside[-1]] * (PROMPT_ROWS - len(inside)))
      rows = pad_batch([prompts[k] for k in full], columns, words.pad_id)
      named = Prompts(*rows, full.astype(np.int32))
      done = jax.device_get(generate(opened.params, named, _key(seed)))
      for b, k in enumerate(inside):
        first, stop = done.prompt_length_B[b], done.length_B[b]
        ids = done.tokens_BT[b, first:stop].tolist()
        replies[k] = ids[:-1] if done.ended_B[b] else ids
    return replies

  return write


def _key(seed):
  return jax.random.key(seed)


def prompt_batches(prompts, widest):
  """[(numbers of prompts, columns)] of like length, PROMPT_ROWS at most."""
  sizes = {}
  for number, ids in enumerate(prompts):
    columns = min(layout.columns_of(len(ids)), widest)
    sizes.setdefault(columns, []).append(number)
  return [
    (inside[i : i + PROMPT_ROWS], columns)
    for columns, inside in sorted(sizes.items(), reverse=True)
    for i in range(0, len(inside), PROMPT_ROWS)
  ]
