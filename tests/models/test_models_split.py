"""A trunk split before any block is the whole trunk."""

import jax
import numpy as np
import pytest
from models_twin import random_params

from rlhf_jax.data.shared import share_prefix
from rlhf_jax.models import lora
from rlhf_jax.models.build import build
from rlhf_jax.models.config import TransformerConfig
from rlhf_jax.models.split import lower_params, split_scorer
from rlhf_jax.types import FeaturePairs, PairBatch

GROUPED = TransformerConfig(16, 2, 16, 4, n_kv_heads=2, activation='swiglu')
LEARNED = TransformerConfig(16, 2, 8, 2, positions='learned', norm='layer')
PLACES = [0, 1, 2]


@pytest.fixture(scope='module', params=[GROUPED, LEARNED])
def model(request):
  model = build(request.param)
  params = random_params(model.init, seed=1)
  return model, params | {'head': random_params(model.init_head, seed=2)}


@pytest.fixture(scope='module')
def sides():
  """Ragged pairs that share nothing, some, or most of their tokens."""
  rng = np.random.default_rng(0)
  chosen, rejected = rng.integers(4, 16, (2, 4, 9)).astype(np.int32)
  share_B = np.array([0, 3, 5, 6])
  rejected = np.where(np.arange(9) < share_B[:, None], chosen, rejected)
  lengths = np.array([[9, 4, 7, 8], [5, 6, 7, 9]], np.int32)
  return PairBatch(chosen, lengths[0], rejected, lengths[1])


def assert_close(a, b):
  np.testing.assert_allclose(a, b, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize('layer', PLACES)
def test_both_parts_give_the_score_of_the_whole(model, sides, layer):
  model, params = model
  split = split_scorer(model.config, layer)
  rows = (sides.chosen_tokens_BT, sides.chosen_length_B)
  features_BTD = jax.jit(split.features_fn)(params, *rows)
  assert features_BTD.shape == (4, 9, model.config.d_model)
  got = jax.jit(split.score_fn)(params, features_BTD, rows[1])
  assert_close(got, jax.jit(model.score_fn)(params, *rows))


@pytest.mark.parametrize('layer', PLACES)
def test_both_parts_give_the_scores_of_pairs_that_share_a_prefix(
  model, sides, layer
):
  model, params = model
  split, pairs = split_scorer(model.config, layer), share_prefix(sides)
  features_BTD = jax.jit(split.pair_features_fn)(params, pairs)
  got = jax.jit(split.pair_score_fn)(
    params, FeaturePairs(features_BTD, *pairs[1:])
  )
  expected = jax.jit(model.pair_score_fn)(params, pairs)
  assert np.abs(np.subtract(*expected)).min() > 1e-3
  assert_close(got, expected)


def test_features_depend_on_the_parameters_below_the_split_alone(model, sides):
  """Those that `lower_params` names, and on each of them."""
  model, params = model
  split, pairs = split_scorer(model.config, 1), share_prefix(sides)
  below = lower_params(params, 1)
  learned = {'position_embed'} & set(params['trunk'])
  assert set(below) == {'embed', 'layer_0'} | learned

  def total(params):
    return (split.pair_features_fn(params, pairs) ** 2).sum()

  grads = jax.jit(jax.grad(total))(params)
  for path, grad in jax.tree_util.tree_leaves_with_path(grads):
    inside = path[0].key == 'trunk' and path[1].key in below
    assert bool(np.any(grad)) == inside, path


def test_a_split_that_no_block_begins_is_an_error():
  for layer in (-1, 3):
    with pytest.raises(ValueError, match=f'block 0 to 2, got {layer}'):
      split_scorer(GROUPED, layer)


def test_adapters_below_the_split_are_an_error():
  """There they would change features that were computed without them."""
  model, split = build(GROUPED), split_scorer(GROUPED, 1)
  params = random_params(model.init)
  params['head'] = random_params(model.init_head)
  features_BTD, length_B = np.zeros((1, 4, 16), np.float32), np.int32([4])
  for layer in (1, 0):
    targets = lora.layer_targets([layer], ['qkv/kernel'])
    adapters = lora.init_adapters(jax.random.key(0), params, 2, targets)
    attached = lora.attach(params, adapters, 1.0)
    if layer == 1:
      split.score_fn(attached, features_BTD, length_B)
    else:
      with pytest.raises(ValueError, match='adapters on layer_0, below block'):
        split.score_fn(attached, features_BTD, length_B)
