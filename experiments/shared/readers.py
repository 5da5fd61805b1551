"""How a preference model reads its pairs: as tokens, or as cached features.

Both readers have the same two functions, so a stage need not know which it has:
`batches`, an endless stream to train on, and `scores` of many pairs. Features
are what the frozen blocks of a base made of the tokens, computed once and kept
in a folder that all preference models of a study share.
"""

import functools

import jax
import numpy as np

from experiments.shared import compute
from experiments.shared.devices import (
  jit_guarded,
  jit_named,
  jit_of_rows,
  share_of,
)
from experiments.shared.plans import Plan, steps_of
from experiments.shared.trained import first_trained_layer, member_order
from rlhf_jax.data import features
from rlhf_jax.data.pipeline import Batches
from rlhf_jax.data.shared import share_prefix
from rlhf_jax.data.subsets import subset_of
from rlhf_jax.evals import preference
from rlhf_jax.models import split
from rlhf_jax.train import hosts
from rlhf_jax.train.optimiser import make_optimiser
from rlhf_jax.train.progress import Progress
from rlhf_jax.train.steps import make_pm_step
from rlhf_jax.types import WeightedPairs


def shared_rows(pairs):
  """The rows of pairs as a preference model reads them."""
  return share_prefix(preference.pair_batch(pairs))


def score_function(config, base):
  """(params, rows) -> (chosen_B, rejected_B) of the model and the reader.

  Raises:
    ValueError: if features are to be read and every parameter is trained.
  """
  how, kind = config['read'], config['trained']
  if how == 'tokens':
    return base.functions.pair_score_fn
  if how != 'features' or kind == 'all':
    raise ValueError(
      "wanted read of 'tokens', or of 'features' with trained 'adapters' or "
      f"'head', got {how!r} with {kind!r}"
    )
  layer = first_trained_layer(config, base)
  return _split_scorer(base.functions.config, layer).pair_score_fn


@functools.cache
def _split_scorer(config, layer):
  return split.split_scorer(config, layer)


@functools.cache
def pm_programs(
  score_fn,
  way,
  label,
  b2,
  microbatches,
  average_eta,
  mesh,
  on_nonfinite='stop',
):
  """(step, score) of preference models, jitted.

  step(state, frozen, rows, rng, PMHyper), which donates its state, an
  AveragedState if there is an average; score((frozen, trained), rows) ->
  (chosen_B, rejected_B).

  Args:
    score_fn: of `score_function`.
    way: Way.
    label: size, for the names of the programs.
    b2: of Adam.
    microbatches: of `make_pm_step`.
    average_eta: of `with_average`; below 0: no average.
    mesh: of `devices.mesh_from`.
    on_nonfinite: of `with_guard`.
  """
  step = make_pm_step(
    score_fn,
    make_optimiser(b2=b2),
    microbatches=microbatches,
    shared=True,
    combine=way.attach,
  )

  def score(both, rows):
    return score_fn(way.attach(*both), rows)

  return (
    jit_guarded(step, average_eta, on_nonfinite, f'pm_step_{label}', mesh),
    jit_of_rows(score, f'pm_score_{label}', mesh),
  )


def plan_of(config, base, way, mesh, drawn) -> Plan:
  """The Plan of comparisons, each for itself.

  Args:
    config: of train_pm.
    base: Base.
    way: Way.
    mesh: of `devices.mesh_from`.
    drawn: of `comparisons.drawn_pairs`.
  """
  known, test, rows = drawn
  batch_size, total = config['batch_size'], steps_of(config, len(rows))
  reader = reader_of(config, base, known, 'train')
  held_out = reader_of(config, base, test, 'test')
  step, score = pm_programs(
    score_function(config, base),
    way,
    base.size,
    config['b2'],
    config['microbatches'],
    config['average_eta'],
    mesh,
    config['on_nonfinite'],
  )
  seen = total * batch_size
  return Plan(
    batches=reader.batches(
      rows, batch_size, member_order(config), share_of(mesh)
    ),
    rows=rows,
    total=total,
    pairs=batch_size,
    step=step,
    scores=lambda both, count: held_out.scores(
      score, both, count, config['eval_batch']
    ),
    note=lambda *_: None,
    spent=compute.of_pm(config, base.functions, known.take(rows), seen),
  )


def reader_of(config, base, pairs, split):
  """The reader of a config, of one side of the comparisons.

  Args:
    config: read, features, feature_folder, trained, adapters, train_subset.
    base: Base.
    pairs: PairArrays.
    split: 'train' or 'test', shown with the progress.
  """
  subset = subset_of(config['train_subset'])
  require_read(config)
  if config['read'] == 'tokens':
    weighs = split == 'train' and subset.weight != 1
    return Tokens(pairs, subset.weights(pairs.kind_N) if weighs else None)
  if subset.weight != 1:
    raise ValueError(
      f'train_subset {config["train_subset"]!r} weighs pairs: wanted read '
      f"'tokens', got {config['read']!r}"
    )
  return Features(config, base, pairs, f'features of {split}')


def require_read(config):
  """Raises ValueError if several processes are to share kept features."""
  if config['read'] != 'tokens' and hosts.count() > 1:
    raise ValueError(
      f"wanted read 'tokens' of {hosts.count()} processes, got "
      f'{config["read"]!r}: features are made and kept by one process, which '
      'may have several devices (--config.mesh)'
    )


class Tokens:
  """Pairs as tokens, the prompt of both sides once."""

  def __init__(self, pairs, weight_N=None):
    """Keeps the pairs, and the weight of each in the loss (None: alike)."""
    self._pairs, self._weight_N = pairs, weight_N

  def batches(self, index_N, batch_size, seed, share=None):
    """Endless SharedPairs of some rows, or WeightedPairs."""
    rows = shared_rows(self._pairs.take(index_N))
    if self._weight_N is not None:
      rows = WeightedPairs(*rows, self._weight_N[index_N])
    return Batches(rows, batch_size, seed, share=share)

  def scores(self, score, both, count, batch_size):
    """(chosen_N, rejected_N) of the first `count` rows (None: all)."""
    rows = shared_rows(self._pairs.take(slice(None, count)))
    return preference.score_all(score, both, rows, batch_size)


class Features:
  """Pairs as the frozen blocks have read them."""

  def __init__(self, config, base, pairs, label):
    """Finds the features in `feature_folder`, or computes and writes them.

    Those of other models, layers and rows may be there.
    """
    made, layer = config['features'], first_trained_layer(config, base)
    self._edges, self._rows = sorted(made['edges']), shared_rows(pairs)
    key = features.fingerprint(
      base.functions.config, layer, split.lower_params(base.params, layer)
    )
    read = _feature_program(base.functions.config, layer)
    self._cache = features.cached_features(
      config['feature_folder'],
      key,
      self._rows,
      lambda part: read(base.params, part),
      edges=self._edges,
      tokens=made['tokens'],
      progress=lambda n: Progress(0, n, label),
    )

  def batches(self, index_N, batch_size, seed, share=None):
    """Endless FeaturePairs of some rows."""
    rows = type(self._rows)(*(column[index_N] for column in self._rows))
    cache = features.SomeRows(self._cache, index_N)
    return features.FeatureBatches(
      cache, rows, self._edges, batch_size, seed, share
    )

  def scores(self, score, both, count, batch_size):
    """As those of `Tokens`; one length bucket after the other."""
    length_N = features.pair_lengths(self._rows)[:count]
    bucket_N = np.searchsorted(self._edges, length_N)
    score_N2 = np.zeros((len(bucket_N), 2), np.float32)
    for k in np.unique(bucket_N):
      inside = np.flatnonzero(bucket_N == k)
      for i in range(0, len(inside), batch_size):
        index_B = inside[i : i + batch_size]
        full_B = np.pad(index_B, (0, batch_size - len(index_B)), mode='edge')
        part = features.feature_pairs(
          self._cache, self._rows, full_B, self._edges[k]
        )
        sides = np.stack(jax.device_get(score(both, part)), 1)
        score_N2[index_B] = sides[: len(index_B)]
    return score_N2[:, 0], score_N2[:, 1]


@functools.cache
def _feature_program(config, layer):
  return jit_named(_split_scorer(config, layer).pair_features_fn, 'features')
