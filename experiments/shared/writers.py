"""Replies of several policies to many prompts, and the best of several."""

from typing import Any, NamedTuple

import jax
import numpy as np

from experiments.shared import policies
from experiments.shared.models import arithmetic, open_base, open_scorer
from rlhf_jax.data.prompts import encode_prompts
from rlhf_jax.train.progress import Progress
from rlhf_jax.types import Prompts


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


def open_writers(config):
  """[Base] of `writer_dirs`: runs of train_lm, train_ppo, or its snapshots."""
  plain = {'size': '', 'pad_token': '', **arithmetic(config)}
  return [open_base(plain | {'base': path}) for path in config['writer_dirs']]


def open_ranker(config, base):
  """The Ranker of `ranker_dir` and `best_of`, or None where one is sampled.

  Raises:
    ValueError: if there are several to choose from and no ranker, or its
      vocabulary is another than the writer's.
  """
  if config['best_of'] == 1:
    return None
  if not config['ranker_dir']:
    raise ValueError(
      f'best_of={config["best_of"]} wants a ranker_dir, a run of train_pm that '
      'chooses'
    )
  pm = open_scorer(config['ranker_dir'], computes=arithmetic(config))
  found = policies.scorers_of({}, base, [pm, pm], None)
  score = jax.jit(found.functions[0])
  return Ranker(score, found.weights[0], config['best_of'])


def replies_of(base, texts, config, key, ranker=None, label='replies'):
  """One reply of a policy to each prompt, as text.

  With a ranker it is the one that scores highest of `ranker.of` samples; of
  equals the first.

  Args:
    base: Base of the policy.
    texts: prompts.
    config: max_prompt, max_reply, sample_batch (a multiple of `ranker.of`).
    key: jax key; equal keys give equal replies.
    ranker: Ranker or None.
    label: shown with the progress.
  """
  words, each = base.tokenizer, ranker.of if ranker else 1
  sampling = policies.sampling_of(words, config['max_reply'])
  sample = policies.sampler(base.functions, base.size, sampling)
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
    rollout = sample(base.params, rows, key)[:3]
    score_B = np.zeros(batch)
    if ranker:
      score_B = np.asarray(ranker.score(ranker.weights, *rollout))
    best = score_B.reshape(-1, each).argmax(1) + each * np.arange(batch // each)
    best = best[row_B[best] < total]
    kept = [np.asarray(x)[best] for x in rollout]
    found += policies.decoded(words, *kept)
  return found
