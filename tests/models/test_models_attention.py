"""Attention and rotation against loops, and against JAX's own."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from models_twin import random_params, rotate

from rlhf_jax.models import attention
from rlhf_jax.models.attention import (
  Attention,
  attend,
  attend_by_length,
  cudnn_takes,
)
from rlhf_jax.models.build import build
from rlhf_jax.models.config import TransformerConfig
from rlhf_jax.models.rotary import rotary, rotary_turns


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
  turns_BT2K = rotary_turns(position_BT, 6, 10000.0, 5)
  got = rotary(x_BHTK.swapaxes(1, 2), turns_BT2K).swapaxes(1, 2)
  for b in range(2):
    for h in range(3):
      np.testing.assert_allclose(got[b, h], rotate(x_BHTK[b, h]), atol=1e-5)


def test_rotation_keeps_type_and_sees_only_distances():
  q, k = arrays(4, (1, 1, 1, 8), (1, 1, 1, 8))
  turns = lambda t: rotary_turns(np.array([[t]]), 8, 10000.0, 104)
  at = lambda x, t: rotary(x, turns(t))
  near = jnp.vdot(at(q, 7), at(k, 4))
  far = jnp.vdot(at(q, 103), at(k, 100))
  np.testing.assert_allclose(near, far, rtol=1e-3)
  assert abs(float(near - jnp.vdot(at(q, 7), at(k, 7)))) > 1e-2
  assert at(jnp.asarray(q, jnp.bfloat16), 3).dtype == jnp.bfloat16


def masks(kind, rng):
  """(mask_BTS, T, S) of a kind; every row has something to look at."""
  B, T = 3, 6
  causal_TT = np.tril(np.ones((T, T), bool))
  length_B = np.array([6, 4, 1])
  if kind == 'right padding':
    return causal_TT & (np.arange(T) < length_B[:, None])[:, None], T, T
  if kind == 'left padding':
    real_BT = np.arange(T) >= (T - length_B)[:, None]
    return causal_TT & real_BT[:, None], T, T
  if kind == 'segments':
    segment_BT = np.sort(rng.integers(0, 3, (B, T)), 1)
    return causal_TT & (segment_BT[:, :, None] == segment_BT[:, None]), T, T
  slots = 9  # a token more, against a cache with a gap behind short prompts
  valid_BS = np.arange(slots) < length_B[:, None]
  valid_BS[:, 6:8] = True
  return valid_BS[:, None], 1, slots


@pytest.mark.parametrize('groups', [1, 2, 4])
@pytest.mark.parametrize(
  'kind', ['right padding', 'left padding', 'segments', 'decoding']
)
def test_plain_attention_equals_that_of_jax_in_value_and_gradient(kind, groups):
  rng = np.random.default_rng(5)
  mask_BTS, T, S = masks(kind, rng)
  q, k, v, weight = arrays(
    6, (3, 4, T, 8), *[(3, groups, S, 8)] * 2, (3, 4, T, 8)
  )
  seen_BT = mask_BTS.any(-1)[:, None, :, None]  # left pads look at nothing

  def ours(q, k, v):
    return jnp.where(seen_BT, attend(q, k, v, mask_BTS), 0)

  def theirs(q, k, v):
    swap = lambda x: x.transpose(0, 2, 1, 3)
    out_BTHK = jax.nn.dot_product_attention(
      swap(q), swap(k), swap(v), mask=mask_BTS[:, None], implementation='xla'
    )
    return jnp.where(seen_BT, swap(out_BTHK), 0)

  assert_same_values_and_gradients(ours, theirs, (q, k, v), weight)


LENGTH_B = np.array([6, 4, 1], np.int32)
REAL_BT = np.arange(6) < LENGTH_B[:, None]


@pytest.mark.parametrize('groups', [1, 2, 4])
def test_attention_by_length_equals_attention_by_mask(groups):
  mask_BTS, T, _ = masks('right padding', None)
  q, k, v, weight = arrays(
    7, (3, 4, T, 8), *[(3, groups, T, 8)] * 2, (3, 4, T, 8)
  )
  real = REAL_BT[:, None, :, None]

  def plain(q, k, v):
    return jnp.where(real, attend(q, k, v, mask_BTS), 0)

  def by_length(q, k, v):
    return attend_by_length(q, k, v, LENGTH_B, implementation='xla')

  assert_same_values_and_gradients(by_length, plain, (q, k, v), weight * real)


def test_members_that_share_their_lengths_give_what_each_gives_alone():
  q, k, v = arrays(8, *[(2, 3, 4, 6, 8)] * 3)

  def one(q, k, v):
    return attend_by_length(q, k, v, LENGTH_B, implementation='xla')

  together = jax.vmap(one)(q, k, v)
  for m in range(2):
    alone = one(q[m], k[m], v[m])
    np.testing.assert_allclose(together[m], alone, atol=1e-6)


@pytest.mark.parametrize('T', [1, 64, 65, 130, 192, 300])
def test_blocks_of_queries_hold_every_query_once_and_its_keys(T):
  blocks = attention.query_blocks(T)
  assert [t for first, end in blocks for t in range(first, end)] == [*range(T)]
  assert len(blocks) <= 4
  assert len(blocks) == 1 or T > 64


@pytest.mark.parametrize('T', [70, 131])
def test_causal_blocks_are_plain_attention(T):
  """Values and gradients, ragged, with grouped queries."""
  q, k, v = arrays(11, (2, 4, T, 8), (2, 2, T, 8), (2, 2, T, 8))
  length_B = np.array([T, T - 40])
  causal_TT = np.tril(np.ones((T, T), bool))
  mask_BTS = causal_TT & (np.arange(T) < length_B[:, None])[:, None]
  (weight,) = arrays(12, (2, 4, T, 8))
  by_blocks = lambda *qkv: attention.attend_causal(*qkv, mask_BTS)
  plain = lambda *qkv: attend(*qkv, mask_BTS)
  assert_same_values_and_gradients(by_blocks, plain, (q, k, v), weight)


def test_a_row_of_no_tokens_counts_as_one_token():
  q, k, v = arrays(9, *[(1, 2, 3, 8)] * 3)
  by_length = lambda n: attend_by_length(
    q, k, v, np.array([n], np.int32), implementation='xla'
  )
  np.testing.assert_array_equal(by_length(0), by_length(1))
  assert np.all(np.isfinite(by_length(0)))


@pytest.mark.parametrize(
  ('changed', 'takes'),
  [
    ({}, True),
    ({'dtype': 'float16'}, True),
    ({'head_size': 128}, True),
    ({'capability': (8, 0)}, True),
    ({'T': 129}, True),
    ({'capability': None}, False),  # a CPU, or a GPU of another maker
    ({'capability': (7, 5)}, False),
    ({'dtype': 'float32'}, False),
    ({'head_size': 12}, False),
    ({'head_size': 136}, False),
    ({'T': 1}, False),
  ],
)
def test_the_kernel_is_asked_only_for_what_it_takes(changed, takes):
  fits = dict(capability=(9, 0), dtype='bfloat16', T=512, head_size=64)
  assert cudnn_takes(**(fits | changed)) is takes


def test_a_cpu_has_no_cuda_capability():
  assert attention.cuda_capability() is None


@pytest.mark.parametrize(
  ('text', 'capability'), [('9.0', (9, 0)), ('12.1', (12, 1)), ('gfx90a', None)]
)
def test_the_capability_is_read_from_the_device(monkeypatch, text, capability):
  device = SimpleNamespace(compute_capability=text)
  monkeypatch.setattr(jax, 'default_backend', lambda: 'gpu')
  monkeypatch.setattr(jax, 'devices', lambda: [device])
  assert attention.cuda_capability() == capability


@pytest.mark.parametrize('lengths', [True, False])
def test_a_layer_goes_by_length_where_it_may_and_by_mask_elsewhere(
  monkeypatch, lengths
):
  """On a GPU, when it is told lengths; the numbers at real tokens stay."""
  config = TransformerConfig(
    vocab_size=4, n_layers=1, d_model=16, n_heads=2, dtype='bfloat16'
  )
  layer, seen = Attention(config), []
  (x_BTD,) = arrays(10, (3, 6, 16))
  mask_BTS, _, _ = masks('right padding', None)
  turns_BT2K = rotary_turns(np.tile(np.arange(6), (3, 1)), 8, 10000.0, 6)
  args = (x_BTD, turns_BT2K, mask_BTS)
  params = layer.init(jax.random.key(0), *args)
  expected, _ = layer.apply(params, *args)

  def spy(q, k, v, length_B):
    seen.append(q.dtype)
    return attend_by_length(q, k, v, length_B, implementation='xla')

  monkeypatch.setattr(attention, 'cuda_capability', lambda: (9, 0))
  monkeypatch.setattr(attention, 'attend_by_length', spy)
  given = LENGTH_B if lengths else None
  got, _ = layer.apply(params, *args, length_B=given)
  assert seen == [jnp.bfloat16] * lengths
  np.testing.assert_allclose(
    got[REAL_BT].astype(float), expected[REAL_BT].astype(float), atol=2e-2
  )


def assert_same_values_and_gradients(ours, theirs, args, weight):
  def both(attention_fn):
    def loss(*args):
      out = attention_fn(*args)
      return (out * weight).sum(), out

    return jax.jit(jax.grad(loss, (0, 1, 2), has_aux=True))(*args)

  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5),
    both(ours),
    both(theirs),
  )
