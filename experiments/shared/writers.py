"""Replies of several policies to many prompts, and the best of several."""

from typing import Any, NamedTuple

import numpy as np

from rlhf_jax.data.prompts import encode_prompts
from rlhf_jax.train.progress import Progress
from rlhf_jax.types import Prompts


class Writer(NamedTuple):
  """A policy that writes.

  Attributes:
    sample: jitted (params, prompts, rng) -> Rollout.
    params: of the policy.
    tokenizer: of its texts.
    decode: (tokenizer, tokens_BT, prompt_length_B, length_B) -> replies.
  """

  sample: Any
  params: Any
  tokenizer: Any
  decode: Any


class Ranker(NamedTuple):
  """A preference model that chooses among replies.

  Attributes:
    score: jitted (weights, tokens_BT, prompt_length_B, length_B) -> score_B.
    weights: of the model.
    of: how many replies there are to choose from.
  """

  score: Any
  weights: Any
  of: int


def replies_of(writer, texts, config, key, ranker=None, label='replies'):
  """One reply of a policy to each prompt, as text.

  With a ranker it is the one that scores highest of `ranker.of` samples; of
  equals the first.

  Args:
    writer: Writer.
    texts: prompts.
    config: max_prompt, sample_batch (a multiple of `ranker.of`).
    key: jax key; equal keys give equal replies.
    ranker: Ranker or None.
    label: shown with the progress.
  """
  words, each = writer.tokenizer, ranker.of if ranker else 1
  batch = config['sample_batch']
  if batch % each:
    raise ValueError(
      f'sample_batch={batch} cannot be cut by best_of={each}: choose a multiple'
    )
  arrays = encode_prompts(texts, words, config['max_prompt'])
  total, found = len(texts) * each, []
  for i in Progress(0, -(-total // batch), label):
    row_B = np.arange(i * batch, (i + 1) * batch)
    which_B = np.minimum(row_B, total - 1) // each
    rows = Prompts(arrays.tokens_NP[which_B], arrays.length_N[which_B], row_B)
    rollout = writer.sample(writer.params, rows, key)[:3]
    score_B = np.zeros(batch)
    if ranker:
      score_B = np.asarray(ranker.score(ranker.weights, *rollout))
    best = score_B.reshape(-1, each).argmax(1) + each * np.arange(batch // each)
    best = best[row_B[best] < total]
    kept = [np.asarray(x)[best] for x in rollout]
    found += writer.decode(words, *kept)
  return found
