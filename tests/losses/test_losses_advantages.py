"""Twins and boundaries of rlhf_jax.losses.advantages."""

import functools

import jax
import numpy as np
import pytest

from rlhf_jax.losses import advantages, masked

PROMPT_B = np.array([0, 2, 3, 1, 4])
LENGTH_B = np.array([6, 5, 4, 6, 4])  # one token in row 2, none in row 4
B, T = 5, 6


def inputs(fill=np.nan):
  """Returns rewards and values with `fill` outside the replies, and mask."""
  rng = np.random.default_rng(0)
  mask_BT = np.asarray(masked.reply_mask(PROMPT_B, LENGTH_B, T))
  arrays = rng.normal(size=(2, B, T)).astype(np.float32)
  return *np.where(mask_BT > 0, arrays, np.float32(fill)), mask_BT


def naive_gae(reward_BT, value_BT, discount, gae_lambda):
  """A[t] = sum_l (discount * lambda)^l delta[t + l], on the unpadded reply."""
  advantage_BT = np.zeros((B, T))
  for b in range(B):
    start, stop = PROMPT_B[b], LENGTH_B[b]
    for t in range(start, stop):
      for s in range(t, stop):
        following = value_BT[b, s + 1] if s + 1 < stop else 0.0
        delta = reward_BT[b, s] + discount * following - value_BT[b, s]
        advantage_BT[b, t] += (discount * gae_lambda) ** (s - t) * delta
  return advantage_BT


@functools.cache
def jitted():
  return jax.jit(
    lambda r, v, m, discount, gae_lambda: advantages.gae_batch(
      r, v, m, discount=discount, gae_lambda=gae_lambda
    )
  )


@pytest.mark.parametrize(
  ('discount', 'gae_lambda'),
  [(0.9, 0.8), (1.0, 0.95), (1.0, 1.0), (0.99, 0.0), (0.0, 0.5)],
)
def test_reverse_scan_equals_the_quadratic_definition(discount, gae_lambda):
  """Scan = O(T^2) double loop on ragged replies (checklist 56)."""
  reward_BT, value_BT, mask_BT = inputs()
  expected_BT = naive_gae(reward_BT, value_BT, discount, gae_lambda)
  advantage_BT, return_BT = jitted()(
    reward_BT, value_BT, mask_BT, discount, gae_lambda
  )
  np.testing.assert_allclose(advantage_BT, expected_BT, atol=1e-5)
  expected_return_BT = np.where(mask_BT > 0, expected_BT + value_BT, 0.0)
  np.testing.assert_allclose(return_BT, expected_return_BT, atol=1e-5)


def test_lambda_one_gives_the_return_to_go():
  """discount = lambda = 1: A + v = sum of later rewards (checklist 57)."""
  reward_BT, value_BT, mask_BT = inputs()
  advantage_BT, return_BT = jitted()(reward_BT, value_BT, mask_BT, 1.0, 1.0)
  for b in range(B):
    for t in range(PROMPT_B[b], LENGTH_B[b]):
      to_go = reward_BT[b, t : LENGTH_B[b]].sum()
      assert np.isclose(return_BT[b, t], to_go, atol=1e-5)
      assert np.isclose(advantage_BT[b, t] + value_BT[b, t], to_go, atol=1e-5)


def test_lambda_zero_gives_the_temporal_difference():
  """lambda = 0: A = r + discount v' - v (checklist 57)."""
  reward_BT, value_BT, mask_BT = inputs()
  advantage_BT, _ = jitted()(reward_BT, value_BT, mask_BT, 0.9, 0.0)
  for b in range(B):
    for t in range(PROMPT_B[b], LENGTH_B[b]):
      following = value_BT[b, t + 1] if t + 1 < LENGTH_B[b] else 0.0
      delta = reward_BT[b, t] + 0.9 * following - value_BT[b, t]
      assert np.isclose(advantage_BT[b, t], delta, atol=1e-5)


@pytest.mark.parametrize('junk', [np.nan, np.inf, 1e30])
def test_what_lies_outside_the_reply_changes_nothing(junk):
  """The last token bootstraps 0, not V(pad) (checklist 58, 77)."""
  clean = jitted()(*inputs(0.0), 0.9, 0.8)
  dirty = jitted()(*inputs(junk), 0.9, 0.8)
  for clean_BT, dirty_BT in zip(clean, dirty, strict=True):
    np.testing.assert_array_equal(clean_BT, dirty_BT)
    assert np.all(np.asarray(dirty_BT)[inputs()[2] == 0] == 0.0)
  reward_BT, value_BT, _ = inputs()
  only = reward_BT[2, 3] - value_BT[2, 3]
  assert np.isclose(dirty[0][2, 3], only, atol=1e-6)


def test_nan_outside_the_reply_reaches_no_gradient():
  """Gradient of the returns is finite, 0 off the reply (checklist 77)."""
  reward_BT, value_BT, mask_BT = inputs()

  def total(reward_T, value_T):
    advantage_T, return_T = advantages.gae(
      reward_T, value_T, mask_BT[1], discount=0.9, gae_lambda=0.8
    )
    return (advantage_T**2).sum() + return_T.sum()

  gradients = jax.grad(total, (0, 1))(reward_BT[1], value_BT[1])
  for gradient_T in gradients:
    assert np.all(np.isfinite(gradient_T))
    assert np.all(np.asarray(gradient_T)[mask_BT[1] == 0] == 0.0)
    assert np.all(np.asarray(gradient_T)[mask_BT[1] > 0] != 0.0)


def test_rows_are_independent_trajectories():
  reward_BT, value_BT, mask_BT = inputs()
  batch = jitted()(reward_BT, value_BT, mask_BT, 0.9, 0.8)
  row = advantages.gae(
    reward_BT[3], value_BT[3], mask_BT[3], discount=0.9, gae_lambda=0.8
  )
  np.testing.assert_allclose(batch[0][3], row[0], atol=1e-6)
  np.testing.assert_allclose(batch[1][3], row[1], atol=1e-6)


def test_unequal_lengths_are_refused():
  with pytest.raises(AssertionError):
    advantages.gae(
      np.ones(3), np.ones(4), np.ones(3), discount=1.0, gae_lambda=1.0
    )


@pytest.mark.parametrize('group', [2, 3, 6])
def test_a_baseline_is_the_mean_of_the_other_replies(group):
  return_B = np.random.default_rng(1).normal(size=6)
  expected = []
  for i in range(6):
    first = i // group * group
    others = [return_B[j] for j in range(first, first + group) if j != i]
    expected.append(return_B[i] - np.mean(others))
  found = advantages.leave_one_out(np.float32(return_B), group)
  np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('group', [2, 3, 6])
def test_a_group_s_advantages_are_scores_in_its_own_deviations(group):
  reward_B = np.random.default_rng(2).normal(3.0, 2.0, size=6)
  expected = []
  for i in range(6):
    first = i // group * group
    own = reward_B[first : first + group]
    away = reward_B[i] - sum(own) / group
    square = sum((r - sum(own) / group) ** 2 for r in own)
    expected.append(away / ((square / (group - 1)) ** 0.5 + 1e-4))
  found = advantages.group_normalised(np.float32(reward_B), group)
  np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_two_replies_are_half_a_root_of_two_apart_from_their_mean():
  """Whatever their scores are, so far as they differ: +-1 / sqrt(2)."""
  found = advantages.group_normalised(np.float32([5, 1, -30, 70]), 2)
  half = 0.5**0.5
  np.testing.assert_allclose(found, [half, -half, -half, half], rtol=1e-4)


def test_replies_that_all_earn_the_same_have_no_advantage():
  found = advantages.group_normalised(np.float32([0.1] * 3 + [7.3] * 3), 3)
  np.testing.assert_allclose(found, 0.0, atol=0.02)  # rounding over 1e-4
