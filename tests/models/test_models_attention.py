"""Attention and rotation against loops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from models_twin import random_params, rotate

from rlhf_jax.models.attention import attend, rotary
from rlhf_jax.models.build import build
from rlhf_jax.models.config import TransformerConfig


def arrays(seed, *shapes):
  rng = np.random.default_rng(seed)
  return [rng.normal(size=shape).astype(np.float32) for shape in shapes]


@pytest.mark.parametrize('groups', [1, 2, 4])
def test_attention_equals_a_loop(groups):
  B, H, T, S, K = 2, 4, 3, 5, 4
  q, k, v = arrays(0, (B, H, T, K), (B, groups, S, K), (B, groups, S, K))
  mask_BTS = np.random.default_rng(1).random((B, T, S)) < 0.6
  mask_BTS[:, :, 0] = True
  expected = np.zeros((B, H, T, K))
  for b in range(B):
    for h in range(H):
      g = h * groups // H
      for t in range(T):
        slots = np.flatnonzero(mask_BTS[b, t])
        weight = np.exp(k[b, g, slots] @ q[b, h, t] / K**0.5)
        expected[b, h, t] = weight / weight.sum() @ v[b, g, slots]
  np.testing.assert_allclose(attend(q, k, v, mask_BTS), expected, atol=1e-5)


def test_a_token_that_sees_nothing_gives_no_nan():
  q, k, v = arrays(2, (1, 2, 3, 4), (1, 2, 3, 4), (1, 2, 3, 4))
  out = attend(q, k, v, np.zeros((1, 3, 3), bool))
  assert np.all(np.isfinite(out))


def test_grouped_heads_equal_repeated_heads():
  """H = 4 over G = 2 is H = G = 4 with each KV head written twice."""
  fields = dict(vocab_size=11, n_layers=2, d_model=8, n_heads=4)
  grouped = build(TransformerConfig(**fields, n_kv_heads=2))
  full = build(TransformerConfig(**fields))
  params = random_params(grouped.init)
  repeated = {'trunk': dict(params['trunk'])}
  for i in range(2):
    layer = params['trunk'][f'layer_{i}']
    kernel_DNK = layer['attention']['qkv']['kernel'].reshape(8, 8, 2)
    q, kv = kernel_DNK[:, :4], np.repeat(kernel_DNK[:, 4:], 2, axis=1)
    kernel = np.concatenate([q, kv], axis=1).reshape(8, 24)
    attention = layer['attention'] | {'qkv': {'kernel': kernel}}
    repeated['trunk'][f'layer_{i}'] = layer | {'attention': attention}
  tokens_BT = np.arange(12, dtype=np.int32).reshape(2, 6) % 11
  length_B = np.array([6, 4], np.int32)
  got = jax.jit(grouped.logits_fn)(params, tokens_BT, length_B)
  expected = jax.jit(full.logits_fn)(repeated, tokens_BT, length_B)
  real = np.arange(6) < length_B[:, None]
  np.testing.assert_allclose(got[real], expected[real], atol=1e-5)


def test_rotation_equals_complex_numbers():
  (x_BHTK,) = arrays(3, (2, 3, 5, 6))
  position_BT = np.tile(np.arange(5), (2, 1))
  got = rotary(x_BHTK, position_BT, 10000.0)
  for b in range(2):
    for h in range(3):
      np.testing.assert_allclose(got[b, h], rotate(x_BHTK[b, h]), atol=1e-5)


def test_rotation_keeps_type_and_sees_only_distances():
  q, k = arrays(4, (1, 1, 1, 8), (1, 1, 1, 8))
  at = lambda x, t: rotary(x, np.array([[t]]), 10000.0)
  near = jnp.vdot(at(q, 7), at(k, 4))
  far = jnp.vdot(at(q, 103), at(k, 100))
  np.testing.assert_allclose(near, far, rtol=1e-3)
  assert abs(float(near - jnp.vdot(at(q, 7), at(k, 7)))) > 1e-2
  assert at(jnp.asarray(q, jnp.bfloat16), 3).dtype == jnp.bfloat16
