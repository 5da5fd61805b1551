"""What imported families add to the config, against the NumPy twin."""

import dataclasses
import json

import jax
import numpy as np
import pytest
from models_twin import logits as twin_logits
from models_twin import random_params

from rlhf_jax.models.build import build
from rlhf_jax.models.config import TransformerConfig
from rlhf_jax.models.rotary import RopeScaling, rotary_frequencies

T, PROMPT_B = 9, np.array([4, 2], np.int32)
TOKENS_BT = np.random.default_rng(7).integers(0, 11, (2, T)).astype(np.int32)
LENGTH_B = np.array([T, 7], np.int32)
FIELDS = dict(
  vocab_size=11, n_layers=2, d_model=16, n_heads=4, n_kv_heads=2, head_size=8
)
# Wavelengths of 8 features are 6, 63, 628, 6283 tokens: fast, between, slow.
LLAMA3 = RopeScaling('llama3', 8.0, 1.0, 4.0, original_length=100)
CHANGES = {
  'llama3': dict(
    activation='swiglu', embed_scale=1.0, rope_scaling=LLAMA3, tied=False
  ),
  'linear': dict(rope_scaling=RopeScaling('linear', 4.0), rope_theta=500.0),
  'window': dict(sliding_window=3, activation='swiglu'),
  'window_above': dict(sliding_window=2, window_from=1),
  'qkv_bias': dict(qkv_bias=True),
  'out_bias_and_mlp_bias': dict(out_bias=True, mlp_bias=True),
  'qk_norm': dict(qk_norm=True, embed_scale=1.0, norm_eps=1e-3),
  'neox': dict(
    norm='layer',
    use_bias=True,
    activation='gelu_exact',
    rotary_size=2,
    parallel_residual=True,
    embed_scale=1.0,
    tied=False,
  ),
}


def made(name):
  config = TransformerConfig(**(FIELDS | CHANGES[name]))
  model = build(config)
  return config, model, random_params(model.init, seed=3)


def decoded(model, params):
  """Logits [B, 4, V] after ragged prompts and each of three more tokens."""
  P, rows = 4, np.arange(2)

  def run(params):
    logits_BV, cache = model.prefill_fn(params, TOKENS_BT[:, :P], PROMPT_B, 8)
    steps = [logits_BV]
    for step in range(3):
      position_B = PROMPT_B + step
      logits_BV, cache = model.decode_fn(
        params, TOKENS_BT[rows, position_B], position_B, cache
      )
      steps.append(logits_BV)
    return steps

  return np.stack(jax.jit(run)(params), axis=1)


@pytest.mark.parametrize('name', CHANGES)
def test_each_addition_equals_its_twin_cached_or_not(name):
  config, model, params = made(name)
  run = jax.jit(model.logits_fn)
  logits_BTV = np.asarray(run(params, TOKENS_BT, LENGTH_B))
  for b, length in enumerate(LENGTH_B):
    expected_TV = twin_logits(params, config, TOKENS_BT[b, :length])
    np.testing.assert_allclose(logits_BTV[b, :length], expected_TV, atol=1e-4)
  at = PROMPT_B[:, None] - 1 + np.arange(4)
  uncached = np.take_along_axis(logits_BTV, at[..., None], axis=1)
  np.testing.assert_allclose(decoded(model, params), uncached, atol=1e-5)


@pytest.mark.parametrize(
  ('name', 'plain'),
  [
    ('llama3', {'rope_scaling': None}),
    ('llama3', {'embed_scale': None}),
    ('linear', {'rope_scaling': None}),
    ('window', {'sliding_window': 0}),
    ('window_above', {'window_from': 0}),
    ('neox', {'rotary_size': 0}),
    ('neox', {'activation': 'gelu'}),
  ],
)
def test_each_addition_changes_the_logits(name, plain):
  """So that none of the comparisons above is of two plain models."""
  config, _, params = made(name)
  other = dataclasses.replace(config, **plain)
  logits_TV, other_TV = (
    twin_logits(params, c, TOKENS_BT[0]) for c in (config, other)
  )
  assert np.abs(logits_TV - other_TV).max() > 1e-4


def test_texts_that_share_a_row_have_windows_of_their_own():
  _, model, params = made('window')
  packed_BT = np.concatenate([TOKENS_BT[0], TOKENS_BT[1]])[None]
  segment_BT = np.repeat([[1, 2]], T, axis=1)
  run = jax.jit(model.logits_fn)
  got = run(params, packed_BT, np.array([2 * T]), segment_BT)
  alone = run(params, TOKENS_BT, np.array([T, T], np.int32))
  got = np.asarray(got).reshape(2, T, -1)
  np.testing.assert_allclose(got, alone, atol=1e-5)


def test_a_window_of_one_sees_nothing_but_the_token_itself():
  fields = FIELDS | dict(sliding_window=1)
  model = build(TransformerConfig(**fields))
  params = random_params(model.init)
  run = jax.jit(model.logits_fn)
  changed_BT = TOKENS_BT.copy()
  changed_BT[:, 3] = (changed_BT[:, 3] + 1) % 11
  same = np.arange(T) != 3
  np.testing.assert_array_equal(
    run(params, TOKENS_BT, LENGTH_B)[:, same],
    run(params, changed_BT, LENGTH_B)[:, same],
  )


def test_a_window_longer_than_the_blocks_of_queries_changes_nothing_else():
  """150 tokens go by blocks of queries; the twin knows no blocks."""
  fields = FIELDS | dict(sliding_window=70, n_layers=1)
  config = TransformerConfig(**fields)
  model = build(config)
  params = random_params(model.init)
  tokens_BT = np.random.default_rng(1).integers(0, 11, (1, 150))
  got = jax.jit(model.logits_fn)(params, tokens_BT, np.array([150]))[0]
  expected = twin_logits(params, config, tokens_BT[0])
  np.testing.assert_allclose(got, expected, atol=1e-4)


def test_llama3_leaves_fast_angles_and_divides_slow_ones():
  plain = rotary_frequencies(8, 10000.0)
  scaled = rotary_frequencies(8, 10000.0, LLAMA3)
  np.testing.assert_array_equal(scaled[0], plain[0])
  np.testing.assert_allclose(scaled[2:], plain[2:] / 8.0)
  assert plain[1] / 8.0 < scaled[1] < plain[1]


def test_a_config_goes_through_json_and_back():
  for name in CHANGES:
    config = made(name)[0]
    text = json.dumps(dataclasses.asdict(config))
    assert TransformerConfig(**json.loads(text)) == config


def test_biases_of_projections_default_to_the_one_switch():
  biases = lambda **fields: [
    getattr(TransformerConfig(**FIELDS, **fields), f'{name}_bias')
    for name in ('qkv', 'out', 'mlp')
  ]
  assert biases() == [False] * 3
  assert biases(use_bias=True) == [True] * 3
  assert biases(use_bias=True, mlp_bias=False) == [True, True, False]
  assert biases(qkv_bias=True) == [True, False, False]
