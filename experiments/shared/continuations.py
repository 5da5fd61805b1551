"""Several continuations of each prompt by any language model that can write."""

import functools

import jax
import numpy as np

from experiments.shared.devices import jit_named
from rlhf_jax.rollout.generate import SamplingConfig, make_collect
from rlhf_jax.rollout.repeat import grouped
from rlhf_jax.text.answer_rows import ids_before
from rlhf_jax.text.encode import pad_batch
from rlhf_jax.train.progress import Progress
from rlhf_jax.types import Prompts

NARROWEST = 32  # columns of the first length bucket; each has twice the last
MOST = 512  # tokens of a row, where the model does not state its context


@functools.cache
def _program(functions, sampling, replies):
  collect = make_collect(
    sampling, prefill_fn=functions.prefill_fn, decode_fn=functions.decode_fn
  )
  name = f'continue_{sampling.max_reply}'
  return jit_named(grouped(collect, replies), name)


def _width(length):
  columns = NARROWEST
  while columns < length:
    columns *= 2
  return columns


def _parts(width_N, rows, replies):
  """[(numbers of prompts of one width, most of them in a batch)].

  About `rows` replies are in a batch, and fewer of prompts wider than MOST.
  """
  found = []
  for width in np.unique(width_N):
    inside = np.flatnonzero(width_N == width)
    batch = max(1, rows * min(width, MOST) // width // replies)
    found += [
      (inside[i : i + batch], batch) for i in range(0, len(inside), batch)
    ]
  return found


def continuations(
  opened, asked, label, *, replies, draw, seed, first=0, rows=100
):
  """[[text]]: of each AskedFor `replies` continuations of prompt and lead.

  Reply k of prompt n is drawn with numbers that depend on (seed, n, k) alone,
  so that two models asked the same draw with the same ones. A prompt that the
  model's context has no room for loses its beginning, and is counted.

  Args:
    opened: Opened, a language model.
    asked: list of AskedFor.
    label: of the progress.
    replies: to each.
    draw: {'max_reply', 'temperature', 'top_p'}.
    seed: of the sampling.
    first: number of the first prompt, where others come before it.
    rows: about how many are sampled at once.
  """
  words = opened.tokenizer
  sampling = SamplingConfig(
    stop_ids=tuple(words.stop_ids), pad_id=words.pad_id, **draw
  )
  collect = _program(opened.functions, sampling, replies)
  most = (opened.context or MOST) - sampling.max_reply
  read = [ids_before(words, one, most) for one in asked]
  ids, lost = [x for x, _ in read], sum(cut > 0 for _, cut in read)
  if lost:
    print(
      f'{label}: {lost} of {len(ids)} prompts have lost their beginning, the '
      f'model reads {most} tokens and writes {sampling.max_reply}',
      flush=True,
    )
  width_N = np.array([min(_width(len(x)), most) for x in ids])
  parts = _parts(width_N, rows, replies)
  texts = [None] * len(ids)
  for i in Progress(0, len(parts), label):
    inside, batch = parts[i]
    full = np.pad(inside, (0, batch - len(inside)), mode='edge')
    tokens_BP, length_B = pad_batch(
      [ids[n] for n in full], width_N[full[0]], words.pad_id
    )
    prompts = Prompts(tokens_BP, length_B, np.int32(full + first))
    out = collect(opened.params, prompts, jax.random.key(seed))
    said = _decoded(words, *jax.device_get(out[:3]))
    for j, n in enumerate(inside):
      texts[n] = said[j * replies : (j + 1) * replies]
  return texts


def _decoded(words, tokens_BT, prompt_length_B, length_B):
  """Texts without the spaces around them."""
  rows = zip(tokens_BT, prompt_length_B, length_B, strict=True)
  return [words.decode_reply(x[p:n].tolist()).strip() for x, p, n in rows]
