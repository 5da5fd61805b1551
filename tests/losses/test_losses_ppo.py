"""Twins and hand values of rlhf_jax.losses.ppo."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlhf_jax.losses import kl, masked, ppo

PROMPT_B = np.array([1, 2, 3, 1])
LENGTH_B = np.array([5, 3, 6, 2])
B, T = 4, 6
MASK_BT = np.asarray(masked.reply_mask(PROMPT_B, LENGTH_B, T))
REPLY = [[(b, t) for t in range(PROMPT_B[b], LENGTH_B[b])] for b in range(B)]
TOKENS = [place for row in REPLY for place in row]
HOWS = ['token_mean', 'sequence_mean']


def arrays(count, seed=0, fill=np.nan):
  """Returns [B, T] arrays with `fill` outside the replies."""
  rng = np.random.default_rng(seed)
  x = rng.normal(size=(count, B, T)).astype(np.float32)
  return np.where(MASK_BT > 0, x, np.float32(fill))


def naive_aggregate(term, how):
  rows = [[term(b, t) for b, t in row] for row in REPLY]
  if how == 'token_mean':
    return np.mean(np.concatenate(rows))
  return np.mean([np.mean(row) for row in rows])


def one_token(*values):
  return [np.float32([[value]]) for value in values]


def test_scores_are_scaled_and_a_gain_of_one_keeps_every_bit():
  """1 score + 0 is the score itself, at any size (checklist 25)."""
  score_B = np.float32([0.7, -1.9, 3e-20, 4e7])
  same_B = ppo.scaled_scores(score_B, 1.0, 0.0)
  assert np.asarray(same_B).tobytes() == score_B.tobytes()
  by_hand = [2 * float(x) - 0.5 for x in score_B]
  np.testing.assert_allclose(ppo.scaled_scores(score_B, 2.0, -0.5), by_hand)


def test_rewards_equal_a_loop():
  """-kl_coef k1 everywhere, the score at the last token (checklist 50)."""
  logp_BT, ref_BT = arrays(2)
  score_B = np.float32([0.7, -1.9, 3.0, 0.25])
  reward_BT = ppo.kl_penalised_rewards(score_B, logp_BT, ref_BT, MASK_BT, 0.3)
  expected_BT = np.zeros((B, T))
  for b, t in TOKENS:
    expected_BT[b, t] = -0.3 * (logp_BT[b, t] - ref_BT[b, t])
    if t == LENGTH_B[b] - 1:
      expected_BT[b, t] += score_B[b]
  np.testing.assert_allclose(reward_BT, expected_BT, atol=1e-6)


def test_the_score_arrives_at_the_last_reply_token_only():
  """Rewards without the penalty; their sum with it (checklist 50)."""
  logp_BT, ref_BT = arrays(2)
  score_B = np.float32([0.7, -1.9, 3.0, 0.25])
  bare_BT = ppo.kl_penalised_rewards(score_B, logp_BT, ref_BT, MASK_BT, 0.0)
  for b in range(B):
    for t in range(T):
      expected = score_B[b] if t == LENGTH_B[b] - 1 else 0.0
      assert bare_BT[b, t] == expected
  reward_BT = ppo.kl_penalised_rewards(score_B, logp_BT, ref_BT, MASK_BT, 0.3)
  for b, row in enumerate(REPLY):
    divergence = sum(logp_BT[place] - ref_BT[place] for place in row)
    total = np.asarray(reward_BT)[b].sum()
    assert np.isclose(total, score_B[b] - 0.3 * divergence, atol=1e-5)


def test_a_row_without_reply_tokens_gets_no_reward():
  zeros = np.zeros((1, 3), np.float32)
  reward_BT = ppo.kl_penalised_rewards(np.ones(1), zeros, zeros, zeros, 0.1)
  assert np.all(np.asarray(reward_BT) == 0.0)


@pytest.mark.parametrize('dtype', [np.float32, np.float64, np.int32])
def test_scores_keep_their_fraction(dtype):
  """0.7 arrives as 0.7, -1.9 as -1.9; integers become floats (checklist 49)."""
  score_B = np.array([0.7, -1.9]).astype(dtype)
  zeros = np.zeros((2, 2), np.float32)
  # Even an integer mask and integer log-probs must not make rewards integer.
  reward_BT = ppo.kl_penalised_rewards(
    score_B, zeros.astype(int), zeros.astype(int), np.ones((2, 2), int), 0.001
  )
  assert reward_BT.dtype == jnp.float32
  np.testing.assert_array_equal(reward_BT[:, 1], score_B.astype(np.float32))
  adjusted_B = ppo.truncation_adjusted(score_B, np.array([True, False]), 0.5)
  expected_B = score_B.astype(np.float32) - np.float32([0.0, 0.5])
  np.testing.assert_array_equal(adjusted_B, expected_B)


def test_truncated_replies_pay_the_penalty():
  score_B = np.float32([1.0, 2.0, -3.0])
  ended_B = np.array([True, False, False])
  adjusted_B = ppo.truncation_adjusted(score_B, ended_B, 1.5)
  np.testing.assert_array_equal(adjusted_B, [1.0, 0.5, -4.5])
  unchanged_B = ppo.truncation_adjusted(score_B, ended_B, 0.0)
  np.testing.assert_array_equal(unchanged_B, score_B)


def test_the_total_reward_of_bai_has_its_hand_value():
  """r_PM - 0.001 KL: 2 - 0.001 (0.5 + 1.5 - 0.25) (checklist 53)."""
  logp_BT = np.float32([[0.0, -1.0, -0.5, -2.25]])
  ref_BT = np.float32([[0.0, -1.5, -2.0, -2.0]])
  mask_BT = np.array([[0, 1, 1, 1]])
  reward_BT = ppo.kl_penalised_rewards(
    np.float32([2.0]), logp_BT, ref_BT, mask_BT, 0.001
  )
  np.testing.assert_allclose(
    reward_BT, [[0.0, -0.0005, -0.0015, 2.00025]], atol=1e-7
  )
  assert np.isclose(np.asarray(reward_BT).sum(), 1.99825, atol=1e-6)


def test_the_penalty_divided_by_its_coefficient_is_the_logged_divergence():
  """Penalty / kl_coef = k1, even where k1 is clamped (checklist 54, 55)."""
  logp_BT, ref_BT = arrays(2)
  ref_BT[2, 4] = -np.inf
  reward_BT = ppo.kl_penalised_rewards(
    np.zeros(B), logp_BT, ref_BT, MASK_BT, 0.25
  )
  k1_BT = np.asarray(kl.kl_k1(logp_BT, ref_BT))
  assert k1_BT[2, 4] == kl.MAX_LOG_RATIO
  for place in TOKENS:
    assert -reward_BT[place] / 0.25 == k1_BT[place]


@pytest.mark.parametrize('how', HOWS)
def test_policy_loss_equals_a_loop(how):
  """Loss and stats equal loops over unpadded rows (checklist 65, 66, 80)."""
  logp_BT, old_BT, advantage_BT = arrays(3)
  ratio = lambda b, t: np.exp(float(logp_BT[b, t]) - float(old_BT[b, t]))

  def branches(b, t):
    r, a = ratio(b, t), float(advantage_BT[b, t])
    return -a * r, -a * min(max(r, 0.8), 1.2)

  loss, stats = ppo.policy_loss(
    logp_BT, old_BT, advantage_BT, MASK_BT, 0.2, how
  )
  expected = naive_aggregate(lambda b, t: max(branches(b, t)), how)
  assert np.isclose(loss, expected, atol=1e-5)
  ratios = [ratio(*place) for place in TOKENS]
  clipped = [branches(*place)[1] > branches(*place)[0] for place in TOKENS]
  k3 = [r - 1 - np.log(r) for r in ratios]
  assert 0 < np.mean(clipped) < 1
  assert np.isclose(stats['ratio_mean'], np.mean(ratios), rtol=1e-5)
  assert np.isclose(stats['clip_fraction'], np.mean(clipped))
  assert np.isclose(stats['approx_kl'], np.mean(k3), rtol=1e-4)


@pytest.mark.parametrize('how', HOWS)
def test_the_penalty_in_the_loss_equals_a_loop(how):
  """NaN outside the replies reaches neither it nor its gradient."""
  logp_BT, ref_BT = arrays(2, seed=4)

  def k3(b, t):
    r = np.exp(float(ref_BT[b, t]) - float(logp_BT[b, t]))
    return r - 1 - np.log(r)

  found, gradient_BT = jax.value_and_grad(ppo.kl_loss)(
    jnp.asarray(logp_BT), ref_BT, MASK_BT, how
  )
  assert np.isclose(found, naive_aggregate(k3, how), rtol=1e-5)
  assert (np.asarray(gradient_BT)[MASK_BT == 0] == 0).all()
  assert np.isfinite(np.asarray(gradient_BT)).all()


def test_the_penalty_of_an_unchanged_policy_is_zero():
  [logp_BT] = arrays(1)
  assert ppo.kl_loss(logp_BT, logp_BT, MASK_BT) == 0.0


def test_a_token_that_the_reference_rules_out_costs_a_finite_penalty():
  """k3 at the clamp of 30 nats: 30 - 1 + exp(-30) (checklist 55)."""
  logp, mask = one_token(-1.0, 1.0)
  ref = np.float32([[-np.inf]])
  found, slope = jax.value_and_grad(ppo.kl_loss)(logp, ref, mask)
  assert np.isclose(found, 29.0) and slope == 0.0


def test_policy_clip_has_its_four_cases():
  """Pessimistic maximum in the four sign cases (checklist 65)."""
  table = [
    # advantage, ratio, loss, gradient with respect to logp, clipped
    (1.0, 2.0, -1.2, 0.0, 1.0),
    (1.0, 0.5, -0.5, -0.5, 0.0),
    (-1.0, 2.0, 2.0, 2.0, 0.0),
    (-1.0, 0.5, 0.8, 0.0, 1.0),
  ]
  for advantage, ratio, expected, slope, clipped in table:
    logp, old, a, mask = one_token(np.log(ratio), 0.0, advantage, 1.0)
    (loss, stats), gradient = jax.value_and_grad(ppo.policy_loss, has_aux=True)(
      logp, old, a, mask, 0.2
    )
    assert np.isclose(loss, expected, atol=1e-6)
    assert np.isclose(gradient[0, 0], slope, atol=1e-6)
    assert stats['clip_fraction'] == clipped


def test_an_unchanged_policy_has_ratio_one():
  logp_BT, advantage_BT = arrays(2)
  _, stats = ppo.policy_loss(logp_BT, logp_BT, advantage_BT, MASK_BT, 0.2)
  assert stats['ratio_mean'] == 1.0
  assert stats['clip_fraction'] == 0.0
  assert stats['approx_kl'] == 0.0


def test_an_impossible_old_token_gives_a_finite_loss():
  """The ratio is clamped like the divergence (checklist 55)."""
  for old_value in (-np.inf, -1e4):
    logp, old, a, mask = one_token(-1.0, old_value, -1.0, 1.0)
    (loss, stats), gradient = jax.value_and_grad(ppo.policy_loss, has_aux=True)(
      logp, old, a, mask, 0.2
    )
    assert np.isfinite(loss) and np.all(np.isfinite(gradient))
    assert all(np.isfinite(value) for value in stats.values())


@pytest.mark.parametrize('how', HOWS)
@pytest.mark.parametrize('clip', [0.2, np.inf])
def test_value_loss_equals_a_loop(how, clip):
  """0.5 max(clipped, unclipped), both averages (checklist 64, 66)."""
  value_BT, old_BT, return_BT = arrays(3)

  def term(b, t):
    v, old, target = (float(x[b, t]) for x in (value_BT, old_BT, return_BT))
    clipped = old + min(max(v - old, -clip), clip)
    return 0.5 * max((v - target) ** 2, (clipped - target) ** 2)

  loss = ppo.value_loss(value_BT, old_BT, return_BT, MASK_BT, clip, how)
  assert np.isclose(loss, naive_aggregate(term, how), rtol=1e-5)


def test_value_clip_has_its_hand_values():
  """Half the larger square, and its gradient (checklist 64)."""
  table = [
    # value, old value, return, loss at clip 0.5, gradient
    (2.0, 0.0, 1.0, 0.5, 1.0),  # (2-1)^2 beats (0.5-1)^2
    (2.0, 0.0, 3.0, 3.125, 0.0),  # clipped: (0.5-3)^2 beats (2-3)^2
    (-2.0, 0.0, -3.0, 3.125, 0.0),
    (0.25, 0.0, 1.0, 0.28125, -0.75),  # inside the clip
  ]
  for value, old_value, target, expected, slope in table:
    v, old, g, mask = one_token(value, old_value, target, 1.0)
    loss, gradient = jax.value_and_grad(ppo.value_loss)(v, old, g, mask, 0.5)
    assert np.isclose(loss, expected)
    assert np.isclose(gradient[0, 0], slope)
    unclipped = ppo.value_loss(v, old, g, mask, jnp.inf)
    assert np.isclose(unclipped, 0.5 * (value - target) ** 2)


def test_nan_outside_the_replies_reaches_no_gradient():
  """NaN in every masked position of every input (checklist 77)."""

  def total(logp_BT, old_BT, advantage_BT, value_BT, ref_BT):
    policy, stats = ppo.policy_loss(logp_BT, old_BT, advantage_BT, MASK_BT, 0.2)
    value = ppo.value_loss(value_BT, old_BT, advantage_BT, MASK_BT, 0.2)
    rewards = ppo.kl_penalised_rewards(
      np.ones(B), logp_BT, ref_BT, MASK_BT, 0.1
    )
    explained = ppo.explained_variance(value_BT, advantage_BT, MASK_BT)
    return policy + value + stats['approx_kl'] + (rewards**2).sum() + explained

  function = jax.jit(jax.value_and_grad(total, argnums=(0, 1, 2, 3, 4)))
  clean_value, clean = function(*arrays(5, fill=0.0))
  dirty_value, dirty = function(*arrays(5))
  assert clean_value == dirty_value
  for clean_BT, dirty_BT in zip(clean, dirty, strict=True):
    np.testing.assert_array_equal(clean_BT, dirty_BT)
    assert np.all(np.asarray(dirty_BT)[MASK_BT == 0] == 0.0)
    assert np.any(np.asarray(dirty_BT) != 0.0)


def test_explained_variance_equals_numpy():
  """Exact on ragged rows (checklist 80, 81)."""
  value_BT, return_BT = arrays(2)
  v = np.array([value_BT[place] for place in TOKENS], np.float64)
  g = np.array([return_BT[place] for place in TOKENS], np.float64)
  expected = 1.0 - (g - v).var() / g.var()
  got = ppo.explained_variance(value_BT, return_BT, MASK_BT)
  assert np.isclose(got, expected, atol=1e-5)


def test_explained_variance_has_its_hand_values():
  """Perfect, shifted, constant and wrong values (checklist 81)."""
  g, mask = np.float32([1.0, 2.0, 3.0, 6.0]), np.ones(4)
  assert ppo.explained_variance(g, g, mask) == 1.0
  assert np.isclose(ppo.explained_variance(g + 5, g, mask), 1.0)
  assert np.isclose(ppo.explained_variance(0 * g, g, mask), 0.0)
  assert np.isclose(ppo.explained_variance(-g, g, mask), -3.0)
  constant = np.full(4, 0.7, np.float32)
  assert ppo.explained_variance(g, constant, mask) == 0.0
