"""Pairs as pooled features of a frozen base, from the cache or into it."""

import functools

import numpy as np

from experiments.shared.devices import jit_named
from experiments.shared.trained import pooled_layers
from rlhf_jax.data.features import fingerprint
from rlhf_jax.data.pooled import cached_pooled
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
