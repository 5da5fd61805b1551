"""Kernels stored the other way round give what plain ones give."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from models_twin import random_params

from rlhf_jax.models.build import build
from rlhf_jax.models.config import TransformerConfig
from rlhf_jax.models.turned import turn_kernels

B, T, V = 2, 6, 32
GATED = TransformerConfig(
  vocab_size=V,
  n_layers=2,
  d_model=16,
  n_heads=4,
  n_kv_heads=2,
  d_mlp=24,
  activation='swiglu',
  tied=False,
)
BIASED = TransformerConfig(
  vocab_size=V, n_layers=2, d_model=16, n_heads=4, norm='layer', use_bias=True
)
# A sum of a few dozen terms in another order is off by some 2^-24 of their
# sizes, here 10 at most, in each of ten products.
ROUNDING = 10 * 10 * 2.0**-24


@pytest.fixture(scope='module', params=[GATED, BIASED], ids=['gated', 'biased'])
def model(request):
  functions = build(request.param)
  return functions, {'trunk': random_params(functions.init, seed=2)['trunk']}


def tokens():
  rng = np.random.default_rng(4)
  return jnp.int32(rng.integers(0, V, (B, T))), jnp.int32([T, T - 2])


def names(params):
  leaves = jax.tree_util.tree_leaves_with_path(params)
  return {path[-1].key for path, _ in leaves}


def decoded(functions, params):
  """Logits after a prompt and after one more token."""
  tokens_BT, length_B = tokens()
  start_BV, cache = functions.prefill_fn(params, tokens_BT, length_B, T + 1)
  next_BV, _ = functions.decode_fn(params, tokens_BT[:, 0], length_B, cache)
  return jnp.stack([start_BV, next_BV])


@pytest.mark.parametrize('call', ['logits', 'decoding'])
def test_turned_kernels_give_the_same_logits(model, call):
  functions, params = model
  read = lambda functions, params: functions.logits_fn(params, *tokens())
  run = jax.jit({'logits': read, 'decoding': decoded}[call], static_argnums=0)
  turned = turn_kernels(params)
  np.testing.assert_allclose(
    run(functions, turned), run(functions, params), atol=ROUNDING
  )


def test_every_kernel_is_turned_and_nothing_else_changes(model):
  _, params = model
  turned = turn_kernels(params)
  assert 'kernel' in names(params) and 'kernel' not in names(turned)
  assert names(turned) - names(params) == {'kernel_turned'}
  plain = params['trunk']['layer_1']['mlp']['in']['kernel']
  found = turned['trunk']['layer_1']['mlp']['in']['kernel_turned']
  np.testing.assert_array_equal(found, plain.T)
  assert turned['trunk']['embed'] is params['trunk']['embed']


def test_weights_in_bfloat16_are_those_that_were_rounded_before(model):
  """Norms, biases and all between the products stay in float32."""
  functions, params = model
  rounded = turn_kernels(params, 'bfloat16')
  kinds = {x.dtype.name for x in jax.tree.leaves(rounded)}
  assert kinds == {'bfloat16', 'float32'}
  back = jax.tree.map(lambda x: x.astype(jnp.float32), rounded)
  run = jax.jit(decoded, static_argnums=0)
  np.testing.assert_allclose(
    run(functions, rounded), run(functions, back), atol=ROUNDING
  )
  far = jnp.abs(run(functions, rounded) - run(functions, params)).max()
  assert far > 10 * ROUNDING  # eight bits are fewer than 24
