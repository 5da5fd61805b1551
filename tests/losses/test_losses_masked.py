"""Twins and hand values of rlhf_jax.losses.masked."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlhf_jax.losses import masked

PROMPT_B = np.array([1, 3, 2, 0])
LENGTH_B = np.array([4, 4, 6, 6])


def ragged(seed=0):
  """Returns values with NaN outside the replies, and the mask."""
  x_BT = np.random.default_rng(seed).normal(2.0, 3.0, (4, 6))
  mask_BT = np.asarray(masked.reply_mask(PROMPT_B, LENGTH_B, 6))
  return np.where(mask_BT > 0, x_BT, np.nan).astype(np.float32), mask_BT


def real(x_BT):
  """Returns the unpadded values, row by row."""
  rows = zip(x_BT, PROMPT_B, LENGTH_B, strict=True)
  return [row[start:stop].astype(np.float64) for row, start, stop in rows]


def test_masks_equal_a_loop_over_lengths():
  length = np.asarray(masked.length_mask(LENGTH_B, 7))
  reply = np.asarray(masked.reply_mask(PROMPT_B, LENGTH_B, 7))
  for b in range(4):
    for t in range(7):
      assert length[b, t] == float(t < LENGTH_B[b])
      assert reply[b, t] == float(PROMPT_B[b] <= t < LENGTH_B[b])
  assert reply.dtype == np.float32


def test_moments_equal_numpy_over_unpadded_rows():
  """Masked metrics are those of the real tokens (checklist 80)."""
  x_BT, mask_BT = ragged()
  flat = np.concatenate(real(x_BT))
  assert np.isclose(masked.masked_sum(x_BT, mask_BT), flat.sum())
  assert np.isclose(masked.masked_mean(x_BT, mask_BT), flat.mean())
  assert np.isclose(masked.masked_variance(x_BT, mask_BT), flat.var())


def test_an_empty_mask_gives_zero():
  x = np.full((3,), np.nan, np.float32)
  for function in (
    masked.masked_sum,
    masked.masked_mean,
    masked.masked_variance,
  ):
    assert function(x, np.zeros(3)) == 0.0
  assert np.all(np.asarray(masked.masked_whiten(x, np.zeros(3))) == 0.0)


def test_whitened_tokens_have_mean_zero_and_biased_variance_one():
  """Biased variance 1 over the mask, zero elsewhere (checklist 59)."""
  x_BT, mask_BT = ragged()
  flat = np.concatenate(real(x_BT))
  y_BT = np.asarray(masked.masked_whiten(x_BT, mask_BT))
  y = np.concatenate(real(y_BT))
  np.testing.assert_allclose(y, (flat - flat.mean()) / flat.std(), atol=1e-5)
  assert np.isclose(np.mean(y**2), 1.0, atol=1e-5)
  assert np.all(y_BT[mask_BT == 0] == 0.0)


def test_whitening_can_keep_the_mean():
  """shift_mean=False keeps the mean (checklist 59)."""
  x_BT, mask_BT = ragged()
  y_BT = np.asarray(masked.masked_whiten(x_BT, mask_BT, shift_mean=False))
  y, x = np.concatenate(real(y_BT)), np.concatenate(real(x_BT))
  assert np.isclose(y.mean(), x.mean(), atol=1e-5)
  assert np.isclose(y.var(), 1.0, atol=1e-5)
  assert np.all(y_BT[mask_BT == 0] == 0.0)


@pytest.mark.parametrize(
  'mask', [np.array([0, 1, 0, 0]), np.ones(4)], ids=['single', 'constant']
)
def test_whitening_what_does_not_vary_gives_zero(mask):
  """A single token and a constant give no NaN (checklist 59)."""
  x = np.full(4, 0.7, np.float32)
  y, pullback = jax.vjp(lambda x: masked.masked_whiten(x, mask), x)
  np.testing.assert_allclose(y, np.zeros(4), atol=1e-3)
  assert np.all(np.isfinite(pullback(jnp.arange(4.0))[0]))


def test_rewards_and_advantages_differ_in_what_is_whitened():
  """The scope of whitening is written down (checklist 60)."""
  text = ' '.join(masked.masked_whiten.__doc__.split())
  assert 'one minibatch of advantages' in text
  assert 'rewards are not whitened' in text
  x_BT, mask_BT = ragged()
  whole = np.asarray(masked.masked_whiten(x_BT, mask_BT))[:2]
  half = np.asarray(masked.masked_whiten(x_BT[:2], mask_BT[:2]))
  assert not np.allclose(whole, half)


def test_aggregates_have_their_hand_values():
  """Token mean and sequence mean on ragged rows (checklist 66)."""
  x_BT = np.array([[1, 9, 9], [2, 3, 4], [9, 9, 9]], np.float32)
  mask_BT = np.array([[1, 0, 0], [1, 1, 1], [0, 0, 0]])
  assert masked.aggregate(x_BT, mask_BT, 'token_mean') == 2.5  # 10 / 4
  assert masked.aggregate(x_BT, mask_BT, 'sequence_mean') == 2.0  # (1 + 3) / 2


def test_aggregates_equal_a_loop_over_unpadded_rows():
  """Both names equal numpy on unpadded rows (checklist 66, 80)."""
  x_BT, mask_BT = ragged(1)
  rows = real(x_BT)
  token_mean = np.concatenate(rows).mean()
  sequence_mean = np.mean([row.mean() for row in rows])
  assert np.isclose(masked.aggregate(x_BT, mask_BT, 'token_mean'), token_mean)
  assert np.isclose(
    masked.aggregate(x_BT, mask_BT, 'sequence_mean'), sequence_mean
  )


def test_an_unknown_aggregate_is_refused_by_name():
  with pytest.raises(ValueError, match="'sequence_mean', got 'mean'"):
    masked.aggregate(np.ones((1, 1)), np.ones((1, 1)), 'mean')


@pytest.mark.parametrize('how', ['token_mean', 'sequence_mean'])
def test_nan_in_masked_positions_reaches_no_gradient(how):
  """Masked NaN never reaches a value or a gradient (checklist 77)."""
  x_BT, mask_BT = ragged()

  def total(x_BT):
    kept_BT = masked.masked_whiten(x_BT, mask_BT, shift_mean=False)
    cube_BT = masked.masked_whiten(x_BT, mask_BT) ** 3
    moments = masked.masked_sum(x_BT, mask_BT) * masked.masked_variance(
      x_BT, mask_BT
    )
    return moments + masked.aggregate(cube_BT + kept_BT, mask_BT, how)

  value, gradient = jax.value_and_grad(total)(x_BT)
  clean_value, clean = jax.value_and_grad(total)(np.nan_to_num(x_BT))
  assert value == clean_value
  gradient, clean = np.asarray(gradient), np.asarray(clean)
  inside = mask_BT > 0
  np.testing.assert_array_equal(gradient[inside], clean[inside])
  assert np.all(gradient[inside] != 0.0)
  assert np.all(gradient[~inside] == 0.0)
