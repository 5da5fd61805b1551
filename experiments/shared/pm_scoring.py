"""Scores of a preference model for texts that come from files."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from experiments.shared import imported
from experiments.shared.devices import jit_named
from experiments.shared.kept import kept_scores
from experiments.shared.trained import score_function
from rlhf_jax.data.public.ranked import as_dialogue
from rlhf_jax.text.dialogue import split_reply
from rlhf_jax.text.encode import (
  append_end_of_context,
  encode_example,
  pad_batch,
)
from rlhf_jax.train.progress import Progress

SMALLEST = 32  # columns of the smallest bucket; the others are 2, 4, ... times


def plain_text(prompt, reply):
  """(prompt, reply) of HH, of words: a dialogue of one exchange."""
  return split_reply(as_dialogue(prompt, reply))


class TextScorer(NamedTuple):
  """Scores of texts, (prompt, reply) of HH.

  Attributes:
    kept: [text] -> score_N; what was scored before is read from its file.
    alone: text -> score, made anew and by itself: what one reply costs.
  """

  kept: Callable
  alone: Callable


def of_run(open_scorer, name, path, workdir, size) -> TextScorer:
  """The TextScorer of a run of train_pm, which is opened when it is needed.

  Args:
    open_scorer: of `models`.
    name: of the preference model.
    path: of the run.
    workdir: where `scores_NAME.jsonl` is kept.
    size: most tokens of a prompt, of a reply.

  Raises:
    ValueError: if the file is of another run, or of what the run held before it
      was trained again.
  """
  key = {'run': str(path), 'revision': imported.revision(str(path))}
  key |= {'max_prompt': size[0], 'max_reply': size[1]}
  opened = functools.cache(lambda: open_scorer(path))
  many = lambda texts: scores(opened(), texts, *size)
  file = Path(workdir) / f'scores_{name}.jsonl'
  return TextScorer(
    kept_scores(file, key, many),
    lambda text: float(scores(opened(), [text], *size, tokens=1)[0]),
  )


@functools.cache
def _program(functions, way, size):
  return jit_named(score_function(functions, way), f'texts_score_{size}')


def encoded(tokenizer, texts, max_prompt, max_reply):
  """(tokens_NT, prompt_length_N, length_N) as a preference model reads them."""
  width = max_prompt + max_reply
  rows, first = [], []
  for prompt, reply in texts:
    ids, start, _ = encode_example(tokenizer, prompt, reply, width, max_reply)
    rows.append(ids)
    first.append(start)
  tokens_NT, length_N = append_end_of_context(
    *pad_batch(rows, width, tokenizer.pad_id),
    tokenizer.end_of_context_id,
    tokenizer.pad_id,
  )
  return tokens_NT, np.array(first, np.int32), length_N


def scores(pm, texts, max_prompt, max_reply, tokens=2048, progress=Progress):
  """score_N of texts, in log-odds.

  Args:
    pm: Network.
    texts: [(prompt, reply)], prompts in the format of HH; cut where they are
      longer than the next two.
    max_prompt: most tokens of a prompt.
    max_reply: most tokens of a reply, its end token included.
    tokens: of a batch, about.
    progress: (start, total, label) -> iterator over the batches.
  """
  rows = encoded(pm.tokenizer, texts, max_prompt, max_reply)
  tokens_NT, first_N, length_N = rows
  score = _program(pm.functions, pm.way, pm.size)
  edges = [SMALLEST]
  while edges[-1] < tokens_NT.shape[1]:
    edges.append(2 * edges[-1])
  edges[-1] = tokens_NT.shape[1]
  bucket_N, batches = np.searchsorted(edges, length_N), []
  for k in np.unique(bucket_N):
    inside, size = np.flatnonzero(bucket_N == k), max(1, tokens // edges[k])
    for i in range(0, len(inside), size):
      batches.append((inside[i : i + size], edges[k], size))
  found_N = np.zeros(len(texts))
  for i in progress(0, len(batches), f'scores of {pm.size}'):
    index_B, columns, size = batches[i]
    full_B = np.pad(index_B, (0, size - len(index_B)), mode='edge')
    score_B = score(
      (pm.frozen, pm.trained),
      tokens_NT[full_B, :columns],
      first_N[full_B],
      length_N[full_B],
    )
    found_N[index_B] = np.asarray(jax.device_get(score_B))[: len(index_B)]
  return found_N
