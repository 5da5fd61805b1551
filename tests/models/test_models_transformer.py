"""Every config option against the NumPy twin, and cached against uncached."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from models_twin import logits as twin_logits
from models_twin import random_params

from rlhf_jax.models.build import build
from rlhf_jax.models.config import TransformerConfig

OPTIONS = {
  'norm': ('rms', 'layer'),
  'positions': ('rotary', 'learned'),
  'activation': ('gelu', 'swiglu'),
  'tied': (True, False),
  'parallel_residual': (False, True),
  'use_bias': (False, True),
}
FIELDS = dict(
  vocab_size=11, n_layers=2, d_model=8, n_heads=4, n_kv_heads=2, max_length=6
)
TOKENS_BT = np.random.default_rng(5).integers(0, 11, (2, 6)).astype(np.int32)
LENGTH_B = np.array([6, 5], np.int32)
PROMPT_B = np.array([3, 2], np.int32)


def decoded(model, params):
  """Logits [B, 4, V] after the prompt and after each of three more tokens."""
  P, rows = 3, np.arange(2)
  logits_BV, cache = model.prefill_fn(params, TOKENS_BT[:, :P], PROMPT_B, 6)
  steps = [logits_BV]
  for step in range(3):
    position_B = PROMPT_B + step
    logits_BV, cache = model.decode_fn(
      params, TOKENS_BT[rows, position_B], position_B, cache
    )
    steps.append(logits_BV)
  return np.stack(steps, axis=1)


def _quick(bits):
  """Whether a choice is of the 16 in which any three options meet all ways.

  A fraction of the 2^6 design of resolution four: its fifth and sixth option
  are sums, modulo two, of three of the first four.
  """
  a, b, c, d, e, f = bits
  return e == (a + b + c) % 2 and f == (b + c + d) % 2


def choices():
  """Every combination; three of four are slow, each a program of its own."""
  for bits in itertools.product((0, 1), repeat=len(OPTIONS)):
    choice = [
      ways[bit] for ways, bit in zip(OPTIONS.values(), bits, strict=True)
    ]
    marks = () if _quick(bits) else pytest.mark.slow
    yield pytest.param(choice, marks=marks)


def test_the_quick_choices_hold_any_three_options_in_all_ways():
  quick = [b for b in itertools.product((0, 1), repeat=6) if _quick(b)]
  for three in itertools.combinations(range(6), 3):
    assert len({tuple(bits[i] for i in three) for bits in quick}) == 8


@pytest.mark.parametrize('choice', list(choices()))
def test_each_combination_equals_its_twin_cached_or_not(choice):
  config = TransformerConfig(
    **FIELDS, **dict(zip(OPTIONS, choice, strict=True))
  )
  model = build(config)
  params = random_params(model.init)
  logits_BTV = np.asarray(model.logits_fn(params, TOKENS_BT, LENGTH_B))
  for b, length in enumerate(LENGTH_B):
    expected_TV = twin_logits(params, config, TOKENS_BT[b, :length])
    np.testing.assert_allclose(logits_BTV[b, :length], expected_TV, atol=1e-4)
  at = PROMPT_B[:, None] - 1 + np.arange(4)
  uncached = np.take_along_axis(logits_BTV, at[..., None], axis=1)
  np.testing.assert_allclose(decoded(model, params), uncached, atol=1e-5)


def test_cache_is_heads_major():
  """k, v are [B, G, S, K] a layer, G the key/value heads."""
  model = build(TransformerConfig(**FIELDS))
  params = random_params(model.init)
  logits_BV, cache = jax.eval_shape(
    lambda params: model.prefill_fn(params, TOKENS_BT[:, :3], PROMPT_B, 6),
    params,
  )
  assert logits_BV.shape == (2, 11)
  assert len(cache.layers) == 2
  for k, v in cache.layers:
    assert k.shape == v.shape == (2, 2, 6, 2)
  assert cache.valid_BS.shape == (2, 6)
  assert cache.slot.shape == ()
  _, later = jax.eval_shape(model.decode_fn, params, PROMPT_B, PROMPT_B, cache)
  assert jax.tree.map(jnp.shape, later) == jax.tree.map(jnp.shape, cache)


def test_bfloat16_keeps_float32_outputs(tiny, batch):
  """bfloat16 in the body; logits, scores and parameters in float32."""
  fields = dict(vocab_size=16, n_layers=2, d_model=16, n_heads=4, n_kv_heads=2)
  model = build(TransformerConfig(**fields, dtype='bfloat16'))
  shapes = jax.eval_shape(model.init, jax.random.key(0))
  assert {x.dtype for x in jax.tree.leaves(shapes)} == {jnp.dtype('float32')}
  run = jax.jit(
    lambda params, tokens_BT, length_B: (
      model.logits_fn(params, tokens_BT, length_B),
      model.score_fn(params, tokens_BT, length_B),
      model.value_fn(params, tokens_BT, length_B),
      model.prefill_fn(params, tokens_BT, length_B, 12),
    )
  )
  logits, score, value, (first, cache) = run(tiny.params, *batch)
  for x in (logits, score, value, first):
    assert x.dtype == jnp.float32
  assert cache.layers[0][0].dtype == jnp.bfloat16
  exact = tiny.score(tiny.params, *batch)
  np.testing.assert_allclose(score, exact, atol=0.1)
  assert not np.array_equal(score, exact)  # the body did run in bfloat16


def test_too_few_learned_positions_are_an_error():
  model = build(TransformerConfig(**FIELDS, positions='learned'))
  params = random_params(model.init)
  with pytest.raises(ValueError, match='max_length'):
    model.logits_fn(params, np.zeros((1, 7), np.int32), np.array([3]))
  with pytest.raises(ValueError, match='max_length'):
    model.prefill_fn(params, TOKENS_BT, LENGTH_B, 7)


@pytest.mark.parametrize(
  'change, message',
  [
    ({'d_model': 10}, 'head_size'),
    ({'n_kv_heads': 3}, 'n_kv_heads'),
    ({'head_size': 3}, 'even'),
    ({'norm': 'batch'}, 'rms, layer'),
    ({'positions': 'alibi'}, 'rotary, learned'),
    ({'activation': 'relu'}, 'gelu, gelu_exact, swiglu'),
    ({'dtype': 'float16'}, 'float32, bfloat16'),
    ({'head_size': 8, 'rotary_size': 3}, 'even.*3'),
    ({'head_size': 8, 'rotary_size': 10}, 'rotary_size 10 is more than.*8'),
    ({'sliding_window': -1}, 'negative'),
    ({'rope_scaling': {'kind': 'yarn', 'factor': 2.0}}, 'linear.*llama3.*yarn'),
    ({'rope_scaling': {'kind': 'linear', 'factor': 0.0}}, 'positive'),
  ],
)
def test_an_impossible_config_says_what_is_wanted(change, message):
  with pytest.raises(ValueError, match=message):
    TransformerConfig(**(FIELDS | change))


def test_defaults_are_filled_in():
  config = TransformerConfig(8, 1, 12, 3, head_size=6)
  assert (config.n_kv_heads, config.head_size, config.d_mlp) == (3, 6, 48)
