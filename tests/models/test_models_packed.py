"""Texts packed into rows: each is read as if it stood alone."""

import jax
import numpy as np
import pytest
from models_twin import random_params

from rlhf_jax.data.packing import pack
from rlhf_jax.models.build import build
from rlhf_jax.models.config import TransformerConfig
from rlhf_jax.models.masks import segment_positions

T, V = 12, 16
LENGTHS = [5, 7, 3, 1, 4, 2, 8]


@pytest.fixture(scope='module')
def texts():
  rng = np.random.default_rng(3)
  return [rng.integers(0, V, n).astype(np.int32) for n in LENGTHS]


@pytest.fixture(scope='module', params=['rotary', 'learned'])
def model(request):
  """(jitted logits_fn, parameters) with each kind of positions."""
  config = TransformerConfig(
    vocab_size=V,
    n_layers=2,
    d_model=8,
    n_heads=2,
    positions=request.param,
    max_length=T,
  )
  model = build(config)
  return jax.jit(model.logits_fn), random_params(model.init, seed=1)


def places(packed):
  """[(row, first, end)] of every text, as the segments tell it."""
  found = []
  for b, segment_T in enumerate(packed.segment_BT):
    for segment in range(1, segment_T.max() + 1):
      inside = np.flatnonzero(segment_T == segment)
      found.append((b, inside[0], inside[-1] + 1))
  return found


def test_packed_rows_have_the_logits_of_the_texts_alone(model, texts):
  logits_fn, params = model
  packed = pack(texts, T)
  assert len(packed.length_B) < len(texts)
  assert packed.segment_BT.max() > 2  # three texts in one row
  logits_BTV = np.asarray(
    logits_fn(params, packed.tokens_BT, packed.length_B, packed.segment_BT)
  )
  for b, first, end in places(packed):
    text_1T = np.zeros((1, T), np.int32)
    text_1T[0, : end - first] = packed.tokens_BT[b, first:end]
    alone_TV = logits_fn(params, text_1T, np.int32([end - first]))[0]
    np.testing.assert_allclose(
      logits_BTV[b, first:end], alone_TV[: end - first], atol=1e-5
    )


def test_a_text_does_not_leak_into_its_neighbours(model, texts):
  """Other tokens in one text of a row: the others do not move by a bit."""
  logits_fn, params = model
  packed = pack(texts, T)
  before_BTV = np.asarray(
    logits_fn(params, packed.tokens_BT, packed.length_B, packed.segment_BT)
  )
  other = packed.segment_BT == 1
  tokens_BT = np.where(other, (packed.tokens_BT + 1) % V, packed.tokens_BT)
  after_BTV = np.asarray(
    logits_fn(params, tokens_BT, packed.length_B, packed.segment_BT)
  )
  rest = packed.segment_BT > 1
  np.testing.assert_array_equal(after_BTV[rest], before_BTV[rest])
  assert np.abs(after_BTV[other] - before_BTV[other]).min(1).max() > 1e-4
  unaware_BTV = np.asarray(logits_fn(params, tokens_BT, packed.length_B))
  assert np.abs(unaware_BTV[rest] - before_BTV[rest]).max() > 1e-3


def test_positions_start_anew_in_every_segment():
  segment_BT = np.int32([[1, 1, 1, 2, 3, 3, 0, 0], [7, 7, 7, 7, 7, 7, 7, 7]])
  np.testing.assert_array_equal(
    segment_positions(segment_BT),
    [[0, 1, 2, 0, 0, 1, 0, 1], [0, 1, 2, 3, 4, 5, 6, 7]],
  )
