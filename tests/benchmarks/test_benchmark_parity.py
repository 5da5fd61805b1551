"""The parity checks notice what is wrong, and pass what is right."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import common, parity
from benchmarks.shapes import SHAPES
from rlhf_jax.models import attention
from rlhf_jax.models.build import build

pytestmark = pytest.mark.slow  # compares with torch

by_length = functools.partial(attention.attend_by_length, implementation='xla')


def test_the_error_is_that_of_the_worst_number_over_the_largest():
  expected = {'a': np.array([1.0, -4.0]), 'b': np.array([2.0])}
  got = {'a': np.array([1.0, -4.2]), 'b': np.array([2.4])}
  assert parity.relative_error(got, expected) == pytest.approx(0.1)
  assert np.isnan(parity.relative_error({'a': np.array([np.nan])}, [[1.0]]))


@pytest.mark.parametrize('error', [2e-2, np.nan])
def test_too_large_an_error_and_nan_are_refused_by_name(error):
  parity.require('attention', 1e-2, 1e-2)
  with pytest.raises(parity.ParityError, match='attention: relative error'):
    parity.require('attention', error, 1e-2)


@pytest.mark.parametrize('low', [0, 120])
def test_attention_by_length_has_no_error_in_float32(low):
  error = parity.attention_error(by_length, 12, 4, 2, low, 'float32')
  assert error < 1e-4


def test_attention_that_looks_ahead_has_an_error():
  def ahead(q, k, v, length_B):
    mask_BTS = (np.arange(12) < length_B[:, None])[:, None]
    return attention.attend(q, k, v, np.repeat(mask_BTS, 12, axis=1))

  error = parity.attention_error(ahead, 12, 4, 2, 0, 'float32')
  assert error > parity.ATTENTION_TOLERANCE


def test_gradients_that_are_not_finite_have_no_error_but_nan():
  def broken(q, k, v, length_B):
    return by_length(q, k, v, length_B) + 0 * (q - q) ** 0.5

  error = parity.attention_error(broken, 12, 4, 2, 0, 'float32')
  assert np.isnan(error)


def test_decoding_at_a_wrong_position_has_an_error():
  shape = SHAPES['tiny']
  model = build(common.config_of(shape))
  wrong = model._replace(
    decode_fn=lambda params, token_B, position_B, cache: model.decode_fn(
      params, token_B, position_B + 1, cache
    )
  )
  params = model.init(jax.random.key(0))
  tokens_BT = jax.random.randint(jax.random.key(1), (4, 12), 0, 64)
  prompt_length_B = jnp.array([4, 3, 2, 1])
  error = parity.decode_error(wrong, params, tokens_BT, prompt_length_B, 8)
  assert error > parity.TOLERANCE['float32']
