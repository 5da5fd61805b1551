"""Products with inputs rounded to bfloat16: their numbers, their kernels.

Rounding to 8 bits changes a number by U = 2^-8 of it at most, so that a product
of two is off by 2 U + U^2 of its terms' sizes; a float32 sum of K terms adds
K 2^-24 of the same.
"""

import re

import jax
import jax.extend.core
import jax.flatten_util
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from rlhf_jax.models import lora, matmul
from rlhf_jax.models.build import build
from rlhf_jax.models.config import TransformerConfig
from rlhf_jax.models.matmul import product

U = 2.0**-8
FIELDS = dict(vocab_size=16, n_layers=2, d_model=16, n_heads=4, n_kv_heads=2)
# Shapes of a, b and whether b is turned: a layer, the tied head, q k^T, w v.
CASES = {
  'layer': ((24, 16), (16, 32), False),
  'head': ((2, 12, 16), (32, 16), True),
  'keys': ((2, 3, 12, 8), (2, 3, 20, 8), True),
  'values': ((2, 3, 12, 20), (2, 3, 20, 8), False),
}


@pytest.fixture(scope='module')
def low():
  """The model of `tiny` in this mode."""
  return build(TransformerConfig(**FIELDS, matmul='bf16_f32'))


def rounded(x):
  return np.asarray(x).astype(ml_dtypes.bfloat16).astype(np.float64)


def arrays(case):
  """(a, b, dz) and whether b is turned."""
  a_shape, b_shape, turned = CASES[case]
  rng = np.random.default_rng(0)
  out = (*a_shape[:-1], b_shape[-2 if turned else -1])
  draw = lambda shape: rng.normal(0, 1, shape).astype(np.float32)
  return draw(a_shape), draw(b_shape), draw(out), turned


def products(a, b, dz, turned):
  """(z, da, db) in float64, with the sums of the terms' sizes, by NumPy."""
  flip = lambda x: x.swapaxes(-1, -2)
  flat = lambda x: x if b.ndim > 2 else x.reshape(-1, x.shape[-1])
  a, dz, right, shape = flat(a), flat(dz), flip(b) if turned else b, a.shape
  found = a @ right, (dz @ flip(right)).reshape(shape), flip(a) @ dz
  return found[0], found[1], flip(found[2]) if turned else found[2]


def ours(a, b, dz, turned):
  z, back = jax.vjp(lambda a, b: product(a, b, 'bf16_f32', turned), a, b)
  return z, *back(dz)


@pytest.mark.parametrize('case', CASES)
def test_a_product_and_its_gradients_are_those_of_rounded_inputs(case):
  """Against float64: exact products of rounded inputs, float32 sums."""
  a, b, dz, turned = arrays(case)
  expected = products(*map(rounded, (a, b, dz)), turned)
  size = products(*(np.abs(rounded(x)) for x in (a, b, dz)), turned)
  for x, y, bound in zip(ours(a, b, dz, turned), expected, size, strict=True):
    assert x.dtype == jnp.float32
    off = np.abs(x.reshape(y.shape) - y)
    assert (off <= 32 * 2.0**-24 * bound).all()  # no sum has over 32 terms


@pytest.mark.parametrize('case', CASES)
def test_a_product_is_as_near_to_float32_as_eight_bits_allow(case):
  a, b, dz, turned = arrays(case)
  exact = products(*(x.astype(np.float64) for x in (a, b, dz)), turned)
  size = products(*(np.abs(x).astype(np.float64) for x in (a, b, dz)), turned)
  for x, y, bound in zip(ours(a, b, dz, turned), exact, size, strict=True):
    off = np.abs(x.reshape(y.shape) - y)
    assert (off <= (2 * U + U**2 + 32 * 2.0**-24) * bound).all()
    assert off.max() > 1e-4  # and it was rounded


def kernels(case):
  """[(types of the inputs, in the library)] of the three compiled products."""
  *given, turned = arrays(case)
  text = jax.jit(ours, static_argnums=3).lower(*given, turned).compile()
  blocks = [x for x in text.as_text().split('\n\n') if ' dot(' in x]
  types = [re.findall(r'= (\w+)\[[^=]* parameter', block) for block in blocks]
  return types, text.as_text().count('"__ynn_fusion"')


@pytest.mark.parametrize('case', CASES)
def test_all_three_products_go_to_the_compiler_s_library_as_bfloat16(case):
  """What the library refuses is upcast to float32, and slow."""
  a, b, _, turned = arrays(case)
  plain = jax.jit(lambda a, b: product(a, b, 'float32', turned))
  if '"__ynn_fusion"' not in plain.lower(a, b).compile().as_text():
    pytest.skip('this compiler has no library for products')
  types, count = kernels(case)
  assert types == [['bf16', 'bf16']] * 3
  assert count == 3


@pytest.mark.parametrize('case', CASES)
def test_float32_is_the_plain_product_to_the_bit(case):
  a, b, _, turned = arrays(case)
  a, b = jnp.asarray(a), jnp.asarray(b)
  plain = {
    'layer': lambda: a @ b,
    'head': lambda: a @ b.T,
    'keys': lambda: jnp.einsum('bgqk,bgsk->bgqs', a, b),
    'values': lambda: jnp.einsum('bgqs,bgsk->bgqk', a, b),
  }[case]()
  np.testing.assert_array_equal(product(a, b, 'float32', turned), plain)


def test_a_model_without_the_choice_has_no_bfloat16_anywhere(tiny, low, batch):
  step = jax.value_and_grad(lambda p: tiny.model.logits_fn(p, *batch).sum())
  assert 'bf16' not in str(jax.make_jaxpr(step)(tiny.params))
  step = lambda p: low.logits_fn(p, *batch)
  assert 'bf16' in str(jax.make_jaxpr(step)(tiny.params))


def dots(jaxpr, found):
  """Input and result types of every product of a jaxpr, inner ones too."""
  for equation in jaxpr.eqns:
    if equation.primitive.name == 'dot_general':
      found.append(tuple(x.aval.dtype.name for x in equation.invars))
      assert equation.outvars[0].aval.dtype == jnp.float32
    for inner in jax.extend.core.jaxprs_in_params(equation.params):
      dots(inner, found)
  return found


def test_every_product_of_a_model_is_rounded_but_the_score_head_s(
  tiny, low, batch
):
  adapters = lora.init_adapters(
    jax.random.key(0), tiny.params, 3, ['qkv/kernel', 'mlp/in/kernel']
  )
  given = lora.attach(tiny.params, adapters, 6.0)
  wanted = {('bfloat16', 'bfloat16')}
  loss = lambda params: low.logits_fn(params, *batch).sum()
  found = dots(jax.make_jaxpr(jax.grad(loss))(given).jaxpr, [])
  # Per layer 4 kernels, 2 with adapters of 2 products, 2 of attention; a head.
  assert len(found) == 3 * (2 * (4 + 4 + 2) + 1) and set(found) == wanted
  score = lambda params: low.score_fn(params, *batch).sum()
  found = dots(jax.make_jaxpr(score)(given).jaxpr, [])
  assert found.count(('float32', 'float32')) == 1
  assert set(found) == wanted | {('float32', 'float32')}


def test_parameters_caches_gradients_and_results_stay_float32(tiny, low, batch):
  run = lambda params: (
    low.init(jax.random.key(0)),
    low.prefill_fn(params, *batch, 12),
    jax.value_and_grad(lambda p: low.logits_fn(p, *batch).sum())(params),
    low.score_fn(params, *batch),
  )
  leaves = jax.tree.leaves(jax.eval_shape(run, tiny.params))
  floats = {x.dtype.name for x in leaves if x.dtype.kind != 'i'} - {'bool'}
  assert floats == {'float32'}


@pytest.fixture(scope='module')
def read(tiny, low, batch):
  """(log-probabilities, loss, its gradient) of one batch, by mode."""

  def run(model, params):
    def loss(params):
      logp = jax.nn.log_softmax(model.logits_fn(params, *batch))
      return -logp[..., 3].mean(), logp

    (loss_, logp), grads = jax.value_and_grad(loss, has_aux=True)(params)
    return logp, loss_, jax.flatten_util.ravel_pytree(grads['trunk'])[0]

  run = jax.jit(run, static_argnums=0)
  both = {'float32': tiny.model, 'bf16_f32': low}
  return {how: run(model, tiny.params) for how, model in both.items()}


def test_loss_log_probabilities_and_gradients_are_near_those_of_float32(read):
  """Within the root of the number of roundings on the way, times U.

  A result passes 2 layers of 6 roundings an element, and the head's 2: errors
  of either sign, so that they add up as a root: sqrt(14) U = 1.5 % of it.
  """
  error = lambda x, y: np.linalg.norm(x - y) / np.linalg.norm(y)
  found = list(map(error, read['bf16_f32'], read['float32']))
  bound = 14**0.5 * U
  assert 0 < found[0] < bound and 0 < found[1] < bound
  assert 0 < found[2] < 2**0.5 * bound  # backward as many again


def test_decoding_is_the_whole_sequence_read(tiny, low, batch, read):
  """A sum in another order turns few roundings by one: U of an element."""
  tokens_BT, length_B = batch
  prompt_B, rows = np.int32([5, 2, 1, 3]), np.arange(len(tokens_BT))

  @jax.jit
  def decoded(params):
    steps = []
    logits_BV, cache = low.prefill_fn(params, tokens_BT[:, :5], prompt_B, 7)
    for i in range(2):
      steps.append(logits_BV)
      logits_BV, cache = low.decode_fn(
        params, tokens_BT[rows, prompt_B + i], prompt_B + i, cache
      )
    return jax.nn.log_softmax(jnp.stack([*steps, logits_BV], 1))

  found_BSV = np.asarray(decoded(tiny.params))
  whole_BTV = np.asarray(read['bf16_f32'][0])
  size, compared = np.abs(whole_BTV).max(), 0
  for b, i in np.ndindex(found_BSV.shape[:2]):
    t = prompt_B[b] + i - 1
    if t < length_B[b]:
      np.testing.assert_allclose(
        found_BSV[b, i], whole_BTV[b, t], atol=U * size
      )
      compared += 1
  assert compared == 10  # all but two beyond the third row's only token


def test_vmap_scan_and_remat_give_the_same_numbers():
  a, b, dz, _ = arrays('layer')
  both = lambda x: np.stack([x, 2 * x, -x])
  one = jax.jit(lambda a, b, dz: ours(a, b, dz, False))
  rows = [one(*x) for x in zip(both(a), both(b), both(dz), strict=True)]
  expected = [np.stack(x) for x in zip(*rows, strict=True)]
  mapped = jax.jit(jax.vmap(one))(both(a), both(b), both(dz))
  turns = lambda _, x: (None, one(*x))
  _, scanned = jax.lax.scan(turns, None, (both(a), both(b), both(dz)))
  again = jax.checkpoint(lambda a, b: product(a, b, 'bf16_f32'))
  z, back = jax.vjp(again, a, b)
  # Sums of 32 terms, in any order.
  for x, y, first, r in zip(
    mapped, scanned, expected, (z, *back(dz)), strict=True
  ):
    size = 32 * 2.0**-24 * np.abs(first).max() * 32
    np.testing.assert_allclose(x, first, atol=size)
    np.testing.assert_allclose(y, first, atol=size)
    np.testing.assert_allclose(r, first[0], atol=size)
  with pytest.raises(TypeError, match='forward-mode|jvp'):
    jax.jvp(lambda a: product(a, b, 'bf16_f32'), (a,), (a,))


FLAGS = 'model name : X\nflags\t\t: fpu avx2 {}\n'


def test_matrix_units_are_told_by_the_processor_s_flags():
  assert matmul.has_matrix_units(FLAGS.format('amx_bf16 amx_tile'))
  assert matmul.has_matrix_units(FLAGS.format('avx512f avx512_bf16'))
  assert not matmul.has_matrix_units(FLAGS.format('avx512f amx_int8'))
  assert not matmul.has_matrix_units('')


def test_without_matrix_units_one_line_says_that_products_run_in_float32(
  monkeypatch, capsys
):
  monkeypatch.delenv(matmul.FORCE, raising=False)
  for found, forced, chosen in (
    (False, None, 'float32'),
    (True, None, 'bf16_f32'),
    (False, 'yes', 'bf16_f32'),
    (True, 'no', 'float32'),
  ):
    monkeypatch.setattr(matmul, 'has_matrix_units', lambda found=found: found)
    if forced:
      monkeypatch.setenv(matmul.FORCE, forced)
    matmul.usable.cache_clear()
    assert matmul.usable('bf16_f32') == matmul.usable('bf16_f32') == chosen
    said = capsys.readouterr().out.splitlines()
    assert len(said) == (chosen == 'float32')
    assert all('no matrix units' in line for line in said)
    assert matmul.usable('float32') == 'float32'
  matmul.usable.cache_clear()
  assert not capsys.readouterr().out
  with pytest.raises(ValueError, match='float32, bf16_f32.*float16'):
    matmul.usable('float16')


def test_a_model_has_one_of_the_two_ways_of_bfloat16():
  with pytest.raises(ValueError, match='matmul bf16_f32 is for dtype float32'):
    TransformerConfig(**FIELDS, matmul='bf16_f32', dtype='bfloat16')
  with pytest.raises(ValueError, match='matmul must be one of'):
    TransformerConfig(**FIELDS, matmul='bf16')
