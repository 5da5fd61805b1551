"""Columns that are read, and pairs that share what they begin with."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from models_twin import random_params

from rlhf_jax.data.shared import share_candidates, share_prefix
from rlhf_jax.models import cost
from rlhf_jax.models.build import build
from rlhf_jax.models.config import TransformerConfig
from rlhf_jax.train.objectives import score_pairs
from rlhf_jax.train.optimiser import make_optimiser
from rlhf_jax.train.steps import init_state, make_pm_step
from rlhf_jax.types import CandidateBatch, PairBatch, PMHyper

B, T, V = 5, 9, 16
GROUPED = TransformerConfig(V, 2, 16, 4, n_kv_heads=2, activation='swiglu')
LEARNED = TransformerConfig(
  V,
  2,
  8,
  2,
  positions='learned',
  norm='layer',
  use_bias=True,
  parallel_residual=True,
  remat=True,
)


@pytest.fixture(scope='module', params=[GROUPED, LEARNED])
def model(request):
  """(Model, random parameters with a head) of two families."""
  model = build(request.param)
  params = random_params(model.init, seed=1)
  return model, params | {'head': random_params(model.init_head, seed=2)}


@pytest.fixture(scope='module')
def pairs():
  """Ragged pairs that share nothing, much, or all but the last token."""
  rng = np.random.default_rng(0)
  chosen, rejected = rng.integers(4, V, (2, B, T)).astype(np.int32)
  share_B = np.array([0, 3, 5, 1, 6])
  rejected = np.where(np.arange(T) < share_B[:, None], chosen, rejected)
  chosen_length = np.array([9, 4, 7, 3, 8], np.int32)
  rejected_length = np.array([5, 6, 7, 9, 7], np.int32)
  return PairBatch(chosen, chosen_length, rejected, rejected_length)


def assert_close(a, b):
  jax.tree.map(
    lambda x, y: np.testing.assert_allclose(x, y, atol=2e-5, rtol=1e-4), a, b
  )


def test_columns_that_are_read_are_those_of_the_whole(model):
  """Values and gradients, several columns a row, one of them twice."""
  model, params = model
  tokens_BT = np.random.default_rng(3).integers(0, V, (B, T))
  length_B = np.array([9, 4, 1, 6, 2])
  read_BS = np.array([[8, 0, 3], [3, 3, 1], [0, 0, 0], [5, 4, 2], [0, 1, 1]])
  weight_BSD = np.random.default_rng(4).normal(
    0, 1, (B, 3, model.config.d_model)
  )

  def total(params, read):
    if read:
      hidden = model.hidden_fn(params, tokens_BT, length_B, read_BS=read_BS)
    else:
      hidden = model.hidden_fn(params, tokens_BT, length_B)
      hidden = jnp.take_along_axis(hidden, read_BS[:, :, None], 1)
    return (hidden * weight_BSD).sum(), hidden

  grad_fn = jax.jit(jax.grad(total, has_aux=True), static_argnums=1)
  assert_close(grad_fn(params, True), grad_fn(params, False))


def test_pairs_that_share_a_prefix_have_the_scores_of_both_sides_alone(
  model, pairs
):
  model, params = model
  shared = share_prefix(pairs)
  assert shared.tokens_BT.shape[1] < 2 * T
  got = jax.jit(model.pair_score_fn)(params, shared)
  expected = jax.jit(lambda p, b: score_pairs(model.score_fn, p, b))(
    params, pairs
  )
  assert np.abs(np.subtract(*expected)).min() > 1e-3
  assert_close(got, expected)


def test_a_side_does_not_see_the_other(model, pairs):
  """Another rejected side: the chosen score does not move by a bit."""
  model, params = model
  shared = share_prefix(pairs)
  other = np.where(shared.segment_BT == 3, 4, shared.tokens_BT)
  score = jax.jit(model.pair_score_fn)
  chosen_B, rejected_B = score(params, shared)
  same_B, moved_B = score(params, shared._replace(tokens_BT=other))
  np.testing.assert_array_equal(chosen_B, same_B)
  assert np.abs(rejected_B - moved_B).max() > 1e-3


@pytest.mark.slow  # compiles two steps a case
@pytest.mark.parametrize('microbatches', [1, 5])
def test_a_step_on_shared_pairs_is_the_step_on_both_sides(
  model, pairs, microbatches
):
  model, params = model
  tx = make_optimiser()
  step = lambda fn, shared: jax.jit(
    make_pm_step(fn, tx, microbatches=microbatches, shared=shared)
  )
  args = (jax.random.key(0), PMHyper(1e-3))
  state = init_state(params, tx)
  _, expected = step(model.score_fn, False)(state, pairs, *args)
  _, got = step(model.pair_score_fn, True)(state, share_prefix(pairs), *args)
  assert_close(got, expected)
  assert float(got['grad_norm']) > 1e-3


@pytest.mark.parametrize('read', [1, 3])
def test_flops_of_columns_that_are_read_are_those_that_the_compiler_counts(
  read,
):
  config = dataclasses.replace(GROUPED, d_model=64, d_mlp=256, n_heads=4)
  config = dataclasses.replace(config, head_size=16)
  model = build(config)
  read_BS = jnp.arange(read)[None]

  def hidden(params, tokens_BT, length_B):
    return model.hidden_fn(params, tokens_BT, length_B, read_BS=read_BS)

  params = jax.eval_shape(model.init, jax.random.key(0))
  rows = (jnp.zeros((1, 32), jnp.int32), jnp.full(1, 32))
  compiled = jax.jit(hidden).lower(params, *rows).compile()
  counted = compiled.cost_analysis()['flops']
  expected = cost.forward_flops(config, 32, logits=False, read=read)
  whole = cost.forward_flops(config, 32, logits=False)
  assert abs(counted / expected - 1) < 0.1
  assert expected < 0.75 * whole


def test_candidates_that_share_a_prefix_have_the_scores_they_have_alone(tiny):
  """In one pass; three candidates, of the second prompt two."""
  rng = np.random.default_rng(5)
  tokens_BCT = np.int32(rng.integers(0, 16, (2, 3, 9)))
  tokens_BCT[:, :, :4] = tokens_BCT[:, :1, :4]
  length_BC = np.int32([[9, 6, 7], [5, 0, 8]])
  rank_BC = np.int32([[1, 0, 2], [0, -1, 1]])
  batch = CandidateBatch(tokens_BCT, length_BC, rank_BC)
  rows = share_candidates(batch)
  np.testing.assert_array_equal(rows.prefix_B >= 4, True)
  score_BC = jax.jit(tiny.model.candidate_score_fn)(tiny.params, rows)
  alone_N = tiny.score(
    tiny.params, tokens_BCT.reshape(6, 9), np.maximum(length_BC, 1).reshape(6)
  )
  there = rank_BC >= 0
  np.testing.assert_allclose(
    score_BC[there], alone_N.reshape(2, 3)[there], rtol=1e-4, atol=1e-5
  )
  assert np.ptp(alone_N) > 0.1
