"""Adapters: where they go, what they change, and `peft` beside them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from models_twin import random_params

from rlhf_jax.models import lora
from rlhf_jax.models.build import build
from rlhf_jax.models.config import TransformerConfig

CONFIG = TransformerConfig(
  vocab_size=32,
  n_layers=2,
  d_model=16,
  n_heads=4,
  n_kv_heads=2,
  d_mlp=24,
  activation='swiglu',
  tied=False,
)
ALPHA = 6.0
QV = ['attention/qkv/kernel/[qv]']
EVERY = ['attention/qkv/kernel/[qkv]', 'mlp/in/kernel/(gate|up)', 'out/kernel']


@pytest.fixture(scope='module')
def model():
  model = build(CONFIG)
  return model, random_params(model.init, seed=1)


def filled(adapters, seed=5):
  """The same tree with B that is not zero."""
  rng = np.random.default_rng(seed)
  return jax.tree.map(
    lambda x: jnp.float32(rng.normal(0, 0.3, x.shape)), adapters
  )


def adapters_of(params, targets, rank=3):
  return filled(lora.init_adapters(jax.random.key(0), params, rank, targets))


def tokens(seed=0, T=7):
  rng = np.random.default_rng(seed)
  return rng.integers(0, 32, (3, T)).astype(np.int32), np.int32([7, 2, 5])


def names_of(tree):
  leaves = jax.tree_util.tree_leaves_with_path(tree)
  return {
    jax.tree_util.keystr(path, simple=True, separator='/'): leaf.shape
    for path, leaf in leaves
  }


def test_targets_are_kernels_or_blocks_of_their_columns(model):
  _, params = model
  targets = ['layer_1/attention/qkv/kernel/[qv]', 'layer_0/mlp/in/kernel']
  found = names_of(adapters_of(params, targets))
  q, v = (f'trunk/layer_1/attention/qkv/kernel/{x}' for x in 'qv')
  whole = 'trunk/layer_0/mlp/in/kernel/all'
  assert found == {
    f'{q}/a': (16, 3),
    f'{q}/b': (3, 16),
    f'{v}/a': (16, 3),
    f'{v}/b': (3, 8),
    f'{whole}/a': (16, 3),
    f'{whole}/b': (3, 48),
  }


def test_blocks_are_those_of_the_kernel_that_is_fused(model):
  _, params = model
  blocks = lora.kernel_blocks(params)
  spans = blocks['trunk/layer_0/attention/qkv/kernel']
  assert spans == {'all': (0, 32), 'q': (0, 16), 'k': (16, 24), 'v': (24, 32)}
  spans = blocks['trunk/layer_0/mlp/in/kernel']
  assert spans == {'all': (0, 48), 'gate': (0, 24), 'up': (24, 48)}
  assert set(blocks['trunk/layer_0/mlp/out/kernel']) == {'all'}
  plain = build(TransformerConfig(8, 1, 8, 2))
  blocks = lora.kernel_blocks(jax.eval_shape(plain.init, jax.random.key(0)))
  assert set(blocks['trunk/layer_0/mlp/in/kernel']) == {'all'}


def test_layer_targets_name_kernels_of_some_layers_alone(model):
  _, params = model
  found = adapters_of(params, lora.layer_targets([1], EVERY))
  assert set(found['trunk']) == {'layer_1'}
  assert set(found['trunk']['layer_1']) == {'attention', 'mlp'}


@pytest.mark.parametrize(
  ('rank', 'targets', 'message'),
  [
    (0, QV, 'rank 1 or more, got rank 0'),
    (2, [*QV, 'q_proj'], "the target 'q_proj' matches no kernel: wanted the"),
    (2, ['attention_norm/scale'], 'matches no kernel'),
    (2, ['kernel/q', 'qkv/kernel'], 'name the kernel or its blocks'),
  ],
)
def test_targets_that_fit_no_kernel_are_an_error(model, rank, targets, message):
  with pytest.raises(ValueError, match=message) as error:
    adapters_of(model[1], targets, rank)
  assert '\n' not in str(error.value)


def test_adapters_of_another_model_are_an_error(model):
  params = model[1]
  adapters = adapters_of(params, QV)
  layer = params['trunk']['layer_0']
  shallow = {'trunk': {'layer_0': layer}}
  for how in (lora.merge, lora.attach):
    with pytest.raises(ValueError, match='adapters for trunk/layer_1, which'):
      how(shallow, adapters, ALPHA)
  wide = build(TransformerConfig(32, 2, 24, 4))
  with pytest.raises(ValueError, match='kernel/q does not fit this model'):
    lora.merge(random_params(wide.init), adapters, ALPHA)


def test_new_adapters_change_nothing_to_the_last_bit(model):
  """A as in peft: uniform within 1 / sqrt(D); B = 0."""
  model, params = model
  adapters = lora.init_adapters(jax.random.key(0), params, 3, EVERY)
  for name, leaf in jax.tree_util.tree_leaves_with_path(adapters):
    if name[-1].key == 'b':
      assert not leaf.any()
    else:
      bound = leaf.shape[0] ** -0.5
      assert 0.5 * bound < np.abs(leaf).max() <= bound
  logits = jax.jit(model.logits_fn)
  expected = logits(params, *tokens())
  for how in (lora.merge, lora.attach):
    np.testing.assert_array_equal(
      logits(how(params, adapters, ALPHA), *tokens()), expected
    )


def test_an_adapter_of_its_own_path_has_the_same_start_beside_others(model):
  alone = lora.init_adapters(jax.random.key(0), model[1], 3, QV)
  beside = lora.init_adapters(jax.random.key(0), model[1], 3, EVERY)
  place = lambda tree: tree['trunk']['layer_1']['attention']['qkv']['kernel']
  np.testing.assert_array_equal(place(alone)['v']['a'], place(beside)['v']['a'])


def test_merging_adds_the_scaled_product_to_the_columns_of_its_block(model):
  """By hand, for the values; alpha may be traced."""
  _, params = model
  adapters = adapters_of(params, ['layer_1/attention/qkv/kernel/v'], rank=3)
  merged = jax.jit(lora.merge)(params, adapters, ALPHA)
  pair = adapters['trunk']['layer_1']['attention']['qkv']['kernel']['v']
  kernel = lambda p: p['trunk']['layer_1']['attention']['qkv']['kernel']
  expected = np.array(kernel(params))
  expected[:, 24:] += ALPHA / 3 * (np.asarray(pair['a']) @ pair['b'])
  np.testing.assert_allclose(kernel(merged), expected, atol=1e-6)
  same = lambda a, b: np.testing.assert_array_equal(a, b)
  jax.tree.map(same, merged['trunk']['layer_0'], params['trunk']['layer_0'])


@pytest.mark.parametrize(
  'targets',
  [
    EVERY,
    pytest.param(QV, marks=pytest.mark.slow),  # some of them
    pytest.param(['qkv/kernel', 'mlp/in/kernel'], marks=pytest.mark.slow),
  ],
)
def test_attached_adapters_are_the_merged_ones(model, targets):
  """Logits, columns that are read, and gradients of A and B."""
  model, params = model
  adapters = adapters_of(params, targets)
  read_BS = np.int32([[6], [1], [4]])
  weight = np.random.default_rng(2).normal(size=(3, 7, 32))

  def loss(adapters, how):
    whole = how(params, adapters, ALPHA)
    logits_BTV = model.logits_fn(whole, *tokens())
    last_BSD = model.hidden_fn(whole, *tokens(), read_BS=read_BS)
    return (logits_BTV * weight).sum() + last_BSD.sum(), logits_BTV

  grad_fn = jax.jit(jax.grad(loss, has_aux=True), static_argnums=1)
  attached = grad_fn(adapters, lora.attach)
  merged = grad_fn(adapters, lora.merge)
  plain = jax.jit(model.logits_fn)(params, *tokens())
  assert np.abs(merged[1] - plain).max() > 0.1
  assert min(np.abs(x).max() for x in jax.tree.leaves(merged[0])) > 1e-2
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-4),
    attached,
    merged,
  )


@pytest.mark.slow  # compiles a decoder
def test_cached_decoding_takes_attached_adapters_too(model):
  model, params = model
  adapters = adapters_of(params, EVERY)
  attached = lora.attach(params, adapters, ALPHA)
  tokens_BT, length_B = tokens()[0], np.int32([6, 6, 6])
  logits = jax.jit(model.logits_fn)(attached, tokens_BT, length_B + 1)
  first, cache = model.prefill_fn(attached, tokens_BT[:, :6], length_B, 7)
  second, _ = model.decode_fn(attached, tokens_BT[:, 6], length_B, cache)
  for got, t in ((first, 5), (second, 6)):
    np.testing.assert_allclose(got, logits[:, t], atol=2e-4, rtol=1e-4)
