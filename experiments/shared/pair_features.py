"""Preference models on features: what the frozen blocks made, read once."""

import functools

import jax.numpy as jnp
import numpy as np

from experiments import train_pm
from experiments.shared import programs
from rlhf_jax.data import features
from rlhf_jax.models import lora, split
from rlhf_jax.train.adapters import make_adapted_step
from rlhf_jax.train.progress import Progress
from rlhf_jax.train.steps import make_pm_step


@functools.cache
def pair_programs(base, layer, alpha, b2, microbatches):
  """(step, score) of preference models on features of a Base, jitted.

  step(state, base, FeaturePairs, rng, PMHyper), which donates its state;
  score(trained, base, FeaturePairs) -> (chosen_B, rejected_B).
  """
  scorer = split.split_scorer(base.functions.config, layer)
  combine = lora.combiner(lora.attach, alpha)
  step = make_adapted_step(
    make_pm_step,
    scorer.pair_score_fn,
    combine,
    programs.optimiser(b2),
    microbatches=microbatches,
    shared=True,
  )

  def score(trained, base, pairs):
    return scorer.pair_score_fn(combine(base, trained), pairs)

  return (
    programs.jit_named(step, 'tuned_pm_step', donate_argnums=0),
    programs.jit_named(score, 'tuned_pm_score'),
  )


@functools.cache
def _reader(base, layer):
  scorer = split.split_scorer(base.functions.config, layer)
  return programs.jit_named(scorer.pair_features_fn, 'features')


class Features:
  """Rows of comparisons as the frozen blocks have read them.

  Attributes:
    rows: SharedPairs of all rows.
    cache: FeatureCache of them.
    edges: columns of the length buckets.
  """

  def __init__(self, base, layer, pairs, edges, tokens, folder, label):
    """Finds the features in `folder`, or computes and writes them.

    Args:
      base: Base.
      layer: the block that they enter.
      pairs: PairArrays.
      edges: columns of the length buckets, a program each.
      tokens: of a batch.
      folder: of the files; those of other models, layers and rows may be there.
      label: shown with the progress.
    """
    self.edges, self.rows = sorted(edges), train_pm.shared(pairs)
    key = features.fingerprint(
      base.functions.config, layer, split.lower_params(base.params, layer)
    )
    read = _reader(base, layer)
    self.cache = features.cached_features(
      folder,
      key,
      self.rows,
      lambda part: read(base.params, part),
      edges=self.edges,
      tokens=tokens,
      progress=lambda n: Progress(0, n, label),
    )

  def batches(self, index_N, batch_size, seed):
    """Endless FeaturePairs of some rows."""
    rows = type(self.rows)(*(column[index_N] for column in self.rows))
    cache = features.SomeRows(self.cache, index_N)
    return features.FeatureBatches(cache, rows, self.edges, batch_size, seed)

  def scores(self, score, trained, base, batch_size):
    """(chosen_N, rejected_N) of all rows, one bucket after the other."""
    bucket_N = np.searchsorted(self.edges, features.pair_lengths(self.rows))
    score_N2 = np.zeros((len(bucket_N), 2), np.float32)
    for k in np.unique(bucket_N):
      inside = np.flatnonzero(bucket_N == k)
      for i in range(0, len(inside), batch_size):
        index_B = inside[i : i + batch_size]
        full_B = np.pad(index_B, (0, batch_size - len(index_B)), mode='edge')
        part = features.feature_pairs(
          self.cache, self.rows, full_B, self.edges[k]
        )
        sides = jnp.stack(score(trained, base, part), 1)
        score_N2[index_B] = np.asarray(sides)[: len(index_B)]
    return score_N2[:, 0], score_N2[:, 1]
