"""Pairs and prompts as pooled features of a frozen base, kept in a cache."""

import functools

import numpy as np

from experiments.shared.devices import jit_named
from experiments.shared.trained import pooled_layers
from rlhf_jax.data.carriers import carriers_of, gathered
from rlhf_jax.data.features import fingerprint
from rlhf_jax.data.pooled import cached_pooled, cached_prompts
from rlhf_jax.data.shared import share_prefix
from rlhf_jax.evals import preference
from rlhf_jax.models import pooled
from rlhf_jax.train.progress import Progress


@functools.cache
def _pair_program(config, layers):
  return jit_named(pooled.pooled_reader(config, layers).pair_fn, 'pooled')


def pooled_pairs(config, base, pairs) -> np.ndarray:
  """pooled_N3PLD of pairs, in their order.

  Args:
    config: head, features, feature_folder.
    base: Base.
    pairs: PairArrays. However they are split or ordered, the same pairs find
      their features.
  """
  model = base.functions.config
  layers = pooled_layers(config['head']['layers'], base.functions)
  program = _pair_program(model, layers)
  return cached_pooled(
    config['feature_folder'],
    fingerprint(model, layers, base.params['trunk']),
    share_prefix(preference.pair_batch(pairs)),
    pairs.prompt_length_N,
    lambda *rows: program(base.params, *rows),
    edges=config['features']['edges'],
    tokens=config['features']['tokens'],
    progress=lambda n: Progress(0, n, 'pooled features'),
  )


def pooled_replies(config, base, rankings):
  """(prompt_NPLD, reply_NCPLD) of rankings, in their order.

  Args:
    config: as of `pooled_pairs`.
    base: Base.
    rankings: RankingArrays.
  """
  found = carriers_of(rankings)
  pooled_M3PLD = pooled_pairs(config, base, found.pairs)
  return gathered(pooled_M3PLD, found.place_M3, rankings.rank_NC.shape[1])


@functools.cache
def _prompt_program(config, layers):
  return jit_named(pooled.pooled_reader(config, layers).prompt_fn, 'prompts')


def pooled_prompts(config, base, prompts) -> np.ndarray:
  """pooled_NPLD of prompts at every layer, in their order.

  Args:
    config: features, feature_folder.
    base: Base.
    prompts: PromptArrays.
  """
  model = base.functions.config
  layers = tuple(range(1, model.n_layers + 1))
  return cached_prompts(
    config['feature_folder'],
    fingerprint(model, layers, base.params['trunk']),
    prompts.tokens_NP,
    prompts.length_N,
    lambda *rows: _prompt_program(model, layers)(base.params, *rows),
    edges=config['features']['edges'],
    tokens=config['features']['tokens'],
    progress=lambda n: Progress(0, n, 'features of prompts'),
  )


def pooled_alone(config, base, prompts) -> np.ndarray:
  """The same of one prompt after the other, nothing kept: what one costs.

  Args:
    config: features.
    base: Base.
    prompts: PromptArrays.
  """
  model, edges = base.functions.config, sorted(config['features']['edges'])
  layers, found = tuple(range(1, model.n_layers + 1)), []
  for tokens_P, length in zip(prompts.tokens_NP, prompts.length_N, strict=True):
    columns = edges[int(np.searchsorted(edges, length))]
    tokens_T = np.zeros(columns, np.int32)
    tokens_T[:length] = tokens_P[:length]
    rows = tokens_T[None], np.array([length], np.int32)
    found.append(np.asarray(_prompt_program(model, layers)(base.params, *rows)))
  return np.concatenate(found)
