"""A preference model in two parts: frozen lower layers, trained upper ones.

The lower part reads each dialogue once, and what enters block k is kept
(`data/features.py`); training runs the last L - k blocks, the final norm and
the head on that.
"""

from typing import Any, NamedTuple

import jax

from rlhf_jax.losses.masked import length_mask
from rlhf_jax.models.heads import ScalarHead
from rlhf_jax.models.transformer import Transformer
from rlhf_jax.types import FeaturePairs


class SplitScorer(NamedTuple):
  """Functions of a preference model split before block `layer`.

  Attributes:
    layer: k.
    features_fn: (params, tokens_BT, length_B) -> features_BTD.
    pair_features_fn: (params, SharedPairs) -> features_BTD.
    score_fn: (params, features_BTD, length_B) -> score_B.
    pair_score_fn: (params, FeaturePairs) -> (chosen_B, rejected_B).
  """

  layer: int
  features_fn: Any
  pair_features_fn: Any
  score_fn: Any
  pair_score_fn: Any


def split_scorer(config, layer):
  """The functions of `build(config)` that score, split before block `layer`.

    score_fn(params, features_fn(params, tokens, length), length)

  is the whole model's score to float32 rounding, whatever `layer` is, and so it
  is for pairs that share a prefix. Features are in the computation type.

  Args:
    config: TransformerConfig.
    layer: k, 0 (the embedding alone is below) to L (the final norm and the head
      alone are above).

  Raises:
    ValueError: if there is no such block; and, when called, if adapters are
      attached below it, where they would change nothing.
  """
  if not 0 <= layer <= config.n_layers:
    raise ValueError(
      f'wanted a split before block 0 to {config.n_layers}, got {layer}'
    )
  trunk, head = Transformer(config), ScalarHead(config.d_model)

  def run(params, *args, **options):
    return trunk.apply(
      {'params': params['trunk']}, *args, method='hidden', **options
    )

  def upper(params, *args, **options):
    _refuse_adapters(params, layer)
    hidden = run(params, *args, first=layer, **options)
    return head.apply({'params': params['head']}, hidden)

  def features_fn(params, tokens_BT, length_B):
    mask_BT = length_mask(length_B, tokens_BT.shape[1])
    return run(params, tokens_BT, mask_BT, length_B=length_B, stop=layer)

  def pair_features_fn(params, pairs):
    return run(params, pairs.tokens_BT, stop=layer, **_segments(pairs))

  def score_fn(params, features_BTD, length_B):
    mask_BT = length_mask(length_B, features_BTD.shape[1])
    last_B1 = (length_B - 1)[:, None]
    return upper(
      params, features_BTD, mask_BT, length_B=length_B, read_BS=last_B1
    )[:, 0]

  def pair_score_fn(params, pairs: FeaturePairs):
    score_B2 = upper(
      params, pairs.features_BTD, read_BS=pairs.last_B2, **_segments(pairs)
    )
    return score_B2[:, 0], score_B2[:, 1]

  return SplitScorer(
    layer, features_fn, pair_features_fn, score_fn, pair_score_fn
  )


def _segments(pairs):
  """Options by which rows of two sides that share a prefix are read."""
  return {
    'mask_BT': pairs.segment_BT > 0,
    'segment_BT': pairs.segment_BT,
    'prefix_B': pairs.prefix_B,
  }


def _refuse_adapters(params, layer):
  """Raises ValueError where a block below `layer` has adapters attached."""
  for i in range(layer):
    paths = jax.tree_util.tree_leaves_with_path(params['trunk'][f'layer_{i}'])
    if any('lora_a' in jax.tree_util.keystr(path) for path, _ in paths):
      raise ValueError(
        f'adapters on layer_{i}, below block {layer}, whose input is frozen: '
        'target the blocks from there on, or split lower'
      )


def lower_params(params, layer):
  """Parameters below block `layer`: embeddings and the blocks before it."""
  trunk = params['trunk']
  below = [f'layer_{i}' for i in range(layer)]
  names = [name for name in ('embed', 'position_embed') if name in trunk]
  return {name: trunk[name] for name in names + below}
