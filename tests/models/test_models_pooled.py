"""Pooled activations: a twin in loops, shared prefixes, a model's own head."""

import jax
import numpy as np
import pytest

from rlhf_jax.data.shared import share_prefix
from rlhf_jax.models import pooled, split
from rlhf_jax.models.build import build
from rlhf_jax.models.config import TransformerConfig
from rlhf_jax.types import PairBatch

CONFIG = TransformerConfig(vocab_size=32, n_layers=2, d_model=16, n_heads=2)
PROMPT = np.array([4, 3, 5], np.int32)


@pytest.fixture(scope='module')
def model():
  functions = build(CONFIG)
  params = functions.init(jax.random.key(0))
  return functions, params | {'head': functions.init_head(jax.random.key(1))}


@pytest.fixture(scope='module')
def pairs():
  """Three pairs; of the second, both replies begin alike."""
  rng = np.random.default_rng(0)
  sides = rng.integers(1, 32, (2, 3, 10)).astype(np.int32)
  for row, length in enumerate(PROMPT + [0, 2, 0]):
    sides[1, row, :length] = sides[0, row, :length]
  lengths = np.array([[8, 10, 7], [9, 8, 10]], np.int32)
  return PairBatch(sides[0], lengths[0], sides[1], lengths[1])


def read(name, params, *rows, layers=(1, 2)):
  return jax.jit(getattr(pooled.pooled_reader(CONFIG, layers), name))(
    params, *rows
  )


def test_pools_are_the_last_column_and_the_mean_over_those_inside():
  """One text after the other; the mean of no token is 0."""
  x = np.random.default_rng(0).normal(size=(2, 5, 3)).astype(np.float32)
  last = np.array([[1, 4], [0, 2]])
  inside = np.zeros((2, 2, 5), bool)
  inside[0, 0, :2] = inside[0, 1, 2:4] = inside[1, 0, 0] = True
  found = pooled.pool(x, last, inside)
  for b in range(2):
    for c in range(2):
      np.testing.assert_array_equal(found[b, c, 0], x[b, last[b, c]])
      rows = [x[b, t] for t in range(5) if inside[b, c, t]]
      wanted = np.mean(rows, 0) if rows else np.zeros(3)
      np.testing.assert_allclose(found[b, c, 1], wanted, rtol=1e-6)


def test_a_reply_is_pooled_without_prompt_end_and_pads(model, pairs):
  """Layer 1 is what enters block 1, layer 2 what the head reads."""
  functions, params = model
  tokens, length = pairs.chosen_tokens_BT, pairs.chosen_length_B
  found = read('reply_fn', params, tokens, PROMPT, length)
  whole = np.stack(
    [
      split.split_scorer(CONFIG, 1).features_fn(params, tokens, length),
      functions.hidden_fn(params, tokens, length),
    ]
  )
  for b, (start, n) in enumerate(zip(PROMPT, length, strict=True)):
    for text, (first, end, last) in enumerate(
      ((0, start, start - 1), (start, n - 1, n - 1))
    ):
      wanted = whole[:, b, last], whole[:, b, first:end].mean(1)
      np.testing.assert_allclose(found[b, text], wanted, rtol=1e-4, atol=1e-5)


def test_sides_of_a_pair_have_the_features_that_they_have_alone(model, pairs):
  """The second pair shares two tokens of the reply as well."""
  _, params = model
  rows = share_prefix(pairs)
  assert rows.prefix_B[1] == PROMPT[1] + 2
  found = read('pair_fn', params, rows, PROMPT)
  for side, (tokens, length) in enumerate((pairs[:2], pairs[2:])):
    alone = read('reply_fn', params, tokens, PROMPT, length)
    # Sums in another order, of activations of size 1.
    close = {'rtol': 1e-4, 'atol': 1e-5}
    np.testing.assert_allclose(found[:, 0], alone[:, 0], **close)
    np.testing.assert_allclose(found[:, 1 + side], alone[:, 1], **close)


def test_the_last_token_of_the_top_layer_is_what_a_scalar_head_reads(
  model, pairs
):
  functions, params = model
  tokens, length = pairs[:2]
  found = read('reply_fn', params, tokens, PROMPT, length, layers=(2,))
  score = found[:, 1, 0, 0] @ params['head']['kernel']
  wanted = functions.score_fn(params, tokens, length)
  np.testing.assert_allclose(score, wanted, rtol=1e-4, atol=1e-5)


def test_a_prompt_alone_has_the_features_that_it_has_before_a_reply(
  model, pairs
):
  """Causal attention: whatever follows, and however wide the row is."""
  _, params = model
  tokens, length = pairs[:2]
  found = read('prompt_fn', params, tokens[:, :6], PROMPT)
  before = read('reply_fn', params, tokens, PROMPT, length)[:, 0]
  np.testing.assert_allclose(found, before, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('layers', [(), (0,), (3,), (2, 1), (1, 1)])
def test_layers_that_are_not_there_are_an_error(layers):
  with pytest.raises(ValueError, match='wanted layers from 1 to 2 in rising'):
    pooled.pooled_reader(CONFIG, layers)


def test_quarters_of_the_depth_are_layers_once_each():
  assert pooled.quarters(30) == (7, 15, 22, 30)
  assert pooled.quarters(2) == (1, 2)
  assert pooled.quarters(1) == (1,)
