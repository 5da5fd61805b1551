"""rlhf_jax.losses.chunked against the dense functions that it stands for."""

import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlhf_jax.losses import chunked, kl, language, masked
from rlhf_jax.types import SplitModel

B, T, D, V, R = 3, 9, 5, 13, 4
TEMPERATURE = 0.7
CHUNKS = [1, 3, 4, 8, 100]  # 3 and 100 do not divide the 8 positions
FIRST_B, LENGTH_B = np.int32([5, 1, 3]), np.int32([9, 3, 7])
MASK_BT = np.asarray(masked.reply_mask(FIRST_B, LENGTH_B, T))


def inputs(seed=0):
  """(hidden states of two models, their heads, tokens)."""
  rng = np.random.default_rng(seed)
  hidden = tuple(np.float32(rng.normal(0, 1, (2, B, T, D))))
  heads = tuple(np.float32(rng.normal(0, 0.5, (2, D, V))))
  return hidden, heads, np.int32(rng.integers(0, V, (B, T)))


def of_tokens(logits, tokens_BT):
  """Log-probability, entropy and exact divergence of two models' logits."""
  logits_BTV, ref_BTV = logits
  return {
    'logp': language.token_logps(logits_BTV, tokens_BT, TEMPERATURE),
    'entropy': language.entropy(logits_BTV, TEMPERATURE),
    'kl': kl.kl_exact(logits_BTV, ref_BTV, TEMPERATURE),
  }


def read(hidden, max_reply):
  """The columns of hidden states before reply tokens, or all of them."""
  if max_reply is None:
    return hidden
  read_BS = chunked.reply_columns(FIRST_B, T, max_reply)
  return jax.tree.map(lambda x: masked.take_columns(x, read_BS), hidden)


def values(hidden, heads, tokens_BT, max_reply=None, **options):
  """`of_tokens` through `per_token`."""
  return chunked.per_token(
    of_tokens,
    lambda hidden: tuple(map(jnp.matmul, hidden, heads)),
    read(hidden, max_reply),
    tokens_BT,
    FIRST_B,
    LENGTH_B,
    max_reply=max_reply,
    **options,
  )


def values_and_gradients(mask_BT=None, **options):
  """Values, and gradients of a sum in which every number weighs otherwise."""
  hidden, heads, tokens_BT = inputs()
  weight_BT = np.random.default_rng(1).normal(0, 1, (3, B, T))
  if mask_BT is not None:
    weight_BT = weight_BT * mask_BT

  def total(hidden, heads):
    out = values(hidden, heads, tokens_BT, **options)
    parts = zip(weight_BT, sorted(out), strict=True)
    return sum((w_BT * out[name]).sum() for w_BT, name in parts), out

  grad_fn = jax.value_and_grad(total, argnums=(0, 1), has_aux=True)
  (_, out), grads = jax.jit(grad_fn)(hidden, heads)
  return out, grads


def assert_close(a, b, **tolerance):
  jax.tree.map(
    lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-5, **tolerance), a, b
  )


@pytest.mark.parametrize('chunk', CHUNKS)
def test_chunks_give_the_dense_values_and_gradients(chunk):
  """Log-probability, entropy and exact KL of all tokens (checklist 47)."""
  out, grads = values_and_gradients(chunk=chunk)
  dense, dense_grads = values_and_gradients()
  for name, x_BT in dense.items():
    np.testing.assert_array_equal(out[name][:, 0], 0.0)
    assert np.abs(x_BT[:, 1:]).min() > 1e-3, name  # a missing one would be seen
  assert_close(out, dense, atol=1e-6)
  assert_close(grads, dense_grads, atol=1e-5)


@pytest.mark.parametrize('chunk', [None, 3])
@pytest.mark.parametrize('max_reply', [R, 6, 8, 50])
def test_reply_logits_give_the_dense_values_and_gradients(chunk, max_reply):
  """At the tokens of replies, wherever these begin (checklist 47)."""
  out, grads = values_and_gradients(MASK_BT, chunk=chunk, max_reply=max_reply)
  dense, dense_grads = values_and_gradients(MASK_BT)
  for name, x_BT in dense.items():
    replies = lambda y_BT: np.asarray(y_BT)[MASK_BT > 0]
    assert_close(replies(out[name]), replies(x_BT), atol=1e-6)
    assert np.all(np.isfinite(out[name]))
  assert_close(grads, dense_grads, atol=1e-5)


def test_the_columns_that_are_read_come_before_reply_tokens():
  """first - 1, ..., first + R - 2, moved to the left at the end of a row."""
  got = chunked.reply_columns(np.int32([5, 1, 9]), T, R)
  np.testing.assert_array_equal(got, [[4, 5, 6, 7], [0, 1, 2, 3], [4, 5, 6, 7]])
  assert chunked.reply_columns(FIRST_B, T, 50).shape == (B, T - 1)


@pytest.mark.parametrize('max_reply', [None, R])
def test_what_is_read_at_a_token_lands_in_the_next_column(max_reply):
  x_BT = np.random.default_rng(5).normal(0, 1, (B, T))
  got_BT = chunked.align_replies(
    read(x_BT, max_reply), FIRST_B, LENGTH_B, T, max_reply
  )
  for b in range(B):
    for t in range(FIRST_B[b], LENGTH_B[b]):
      assert float(got_BT[b, t]) == pytest.approx(x_BT[b, t - 1])


def test_a_function_is_asked_for_columns_only_where_replies_are_bounded():
  asked = []
  fn = lambda *args, **read: asked.append((len(args), set(read)))
  rows = (np.zeros((B, T), int), FIRST_B, LENGTH_B)
  chunked.on_replies(fn, None, *rows, None)
  chunked.on_replies(fn, None, *rows, R)
  assert asked == [(3, set()), (3, {'read_BS'})]


def test_a_reply_that_is_longer_than_promised_is_nan_and_not_wrong():
  """Replies of 4, 2 and 4 tokens, with logits for 3."""
  hidden, heads, tokens_BT = inputs()
  out = values(hidden, heads, tokens_BT, max_reply=R - 1)
  for x_BT in out.values():
    replies_BT = np.where(MASK_BT > 0, x_BT, 0.0)
    np.testing.assert_array_equal(
      np.argwhere(np.isnan(replies_BT)), [[0, 8], [2, 6]]
    )


@pytest.mark.parametrize('chunk', [None, 3])
def test_log_probabilities_of_a_model_are_read_in_its_own_chunks(chunk):
  (hidden_BTD, _), (head_DV, _), tokens_BT = inputs()
  widths = set()

  def head_fn(head_DV, hidden):
    widths.add(hidden.shape[1])
    return hidden @ head_DV

  model = SplitModel(None, head_fn, chunk)
  asked = hidden_BTD, tokens_BT, FIRST_B, LENGTH_B
  found_BT = chunked.token_logps(
    model, head_DV, *asked, temperature=TEMPERATURE
  )
  dense_BTV = hidden_BTD @ head_DV
  want_BT = language.token_logps(dense_BTV, tokens_BT, TEMPERATURE)
  inside = MASK_BT > 0
  np.testing.assert_allclose(found_BT[inside], want_BT[inside], rtol=1e-5)
  assert widths == {chunk or T}


def loss_and_gradients(chunk, mask_BT):
  (hidden_BTD, _), (head_DV, _), tokens_BT = inputs()
  model = SplitModel(None, lambda head_DV, x: x @ head_DV, chunk)
  loss = lambda hidden_BTD, head_DV: chunked.next_token_loss(
    model, head_DV, hidden_BTD, tokens_BT, mask_BT
  )
  return jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))(hidden_BTD, head_DV)


@pytest.mark.parametrize('chunk', CHUNKS)
def test_the_loss_in_chunks_is_the_mean_over_all_tokens(chunk):
  """Ragged: chunks count by their tokens; column 0 never (checklist 47)."""
  rng = np.random.default_rng(2)
  mask_BT = MASK_BT * (rng.random((B, T)) < 0.7)
  mask_BT[:, 0] = 1.0
  loss, grads = loss_and_gradients(chunk, mask_BT)
  dense, dense_grads = loss_and_gradients(None, mask_BT)
  assert float(loss) == pytest.approx(float(dense), rel=1e-6)
  assert_close(grads, dense_grads, atol=1e-6)


def test_a_loss_over_no_token_is_zero():
  loss, grads = loss_and_gradients(3, np.zeros((B, T)))
  assert float(loss) == 0.0
  for x in grads:
    np.testing.assert_array_equal(x, 0.0)


def largest_array(fn, *args):
  """Elements of the largest array in the program of fn, loops included."""
  shapes = re.findall(r'\w+\[([\d,]+)\]', str(jax.make_jaxpr(fn)(*args)))
  return max(math.prod(map(int, shape.split(','))) for shape in shapes)


def test_no_array_of_the_program_is_as_large_as_all_logits():
  """Value and gradient in chunks, of a vocabulary that outweighs the rest."""
  B, T, D, V, chunk = 2, 16, 3, 500, 4
  hidden_BTD, tokens_BT = jnp.ones((B, T, D)), jnp.ones((B, T), int)
  mask_BT, head_DV = jnp.ones((B, T)), jnp.ones((D, V))

  def gradient(chunk):
    model = SplitModel(None, lambda head_DV, x: x @ head_DV, chunk)
    return jax.grad(
      lambda head_DV: chunked.next_token_loss(
        model, head_DV, hidden_BTD, tokens_BT, mask_BT
      )
    )

  assert largest_array(gradient(None), head_DV) == B * T * V
  assert largest_array(gradient(chunk), head_DV) <= B * (chunk + 1) * V


def test_the_map_hands_out_every_position_once():
  """Seven positions by three: the last chunk ends in zeros."""
  x_BS = jnp.arange(1.0, 15.0).reshape(2, 7)
  out_NBC = chunked.chunked_map(lambda x_BC: 2 * x_BC, 3, x_BS)
  assert out_NBC.shape == (3, 2, 3)
  joined = np.concatenate(np.asarray(out_NBC), axis=1)
  np.testing.assert_array_equal(joined, 2 * np.pad(x_BS, ((0, 0), (0, 2))))


@pytest.mark.parametrize('chunk', [None, 7, 8])
def test_one_chunk_is_a_plain_call(chunk):
  x_BS = jnp.ones((2, 7))
  called = []
  out_NBC = chunked.chunked_map(called.append, chunk, x_BS)
  assert out_NBC is None and called[0] is x_BS


def test_a_chunk_of_nothing_is_an_error():
  with pytest.raises(ValueError, match='at least 1 position, got 0'):
    values(*inputs(), chunk=0)


def test_a_plain_function_of_logits_is_a_model_with_an_idle_head():
  logits_fn = lambda params, tokens_BT, length_B: params[tokens_BT]
  model = chunked.split_model(logits_fn)
  table_VV, tokens_BT = jnp.arange(12.0).reshape(4, 3), jnp.array([[2, 0, 3]])
  whole = model.hidden_fn(table_VV, tokens_BT, jnp.array([3]))
  np.testing.assert_array_equal(whole, table_VV[tokens_BT])
  last = model.hidden_fn(
    table_VV, tokens_BT, jnp.array([3]), read_BS=jnp.array([[2]])
  )
  np.testing.assert_array_equal(last, table_VV[tokens_BT[:, 2:]])
  assert model.chunk is None
  x = jnp.ones(3)
  assert model.head_fn(None, x) is x
  assert chunked.split_model(model) is model
