"""Twins and hand values of rlhf_jax.losses.preference."""

import math

import jax
import numpy as np

from rlhf_jax.losses import preference

CHOSEN_B = np.array([1.0, -0.5, 2.0, 0.25], np.float32)
REJECTED_B = np.array([0.0, 0.5, 2.0, -3.0], np.float32)


def test_pairwise_loss_equals_a_loop():
  """The loss is -log sigmoid(r_c - r_r) (checklist 18)."""
  terms = []
  for good, bad in zip(CHOSEN_B, REJECTED_B, strict=True):
    terms.append(-math.log(1.0 / (1.0 + math.exp(float(bad) - float(good)))))
  loss = preference.pairwise_loss(CHOSEN_B, REJECTED_B)
  assert np.isclose(loss, np.mean(terms))


def test_pairwise_loss_hand_values_and_extremes():
  """log 2 at a tie; 0 and 2e4 at +-1e4, finite gradients (checklist 18)."""
  function = jax.value_and_grad(preference.pairwise_loss)
  cases = [
    (0.0, 0.0, math.log(2), -0.5),
    (math.log(3), 0.0, math.log(4 / 3), -0.25),
    (1e4, -1e4, 0.0, 0.0),
    (-1e4, 1e4, 2e4, -1.0),
  ]
  for good, bad, expected, slope in cases:
    loss, gradient = function(np.float32([good]), np.float32([bad]))
    assert np.isclose(loss, expected, atol=1e-6)
    assert np.isclose(gradient[0], slope, atol=1e-6)


def test_weights_count_a_pair_as_often():
  """Weights 1, 3, 2, 1 are the plain loss of those pairs so often, and of equal
  weights it is the plain loss: L_helpful + lambda L_harmless over its weight.
  """
  weight_B = np.float32([1, 3, 2, 1])
  loss = preference.pairwise_loss(CHOSEN_B, REJECTED_B, weight_B)
  often = np.repeat([0, 1, 2, 3], [1, 3, 2, 1])
  plain = preference.pairwise_loss(CHOSEN_B[often], REJECTED_B[often])
  assert np.isclose(loss, plain)
  alike = preference.pairwise_loss(CHOSEN_B, REJECTED_B, np.full(4, 7.0))
  assert np.isclose(alike, preference.pairwise_loss(CHOSEN_B, REJECTED_B))


def test_a_common_shift_changes_no_gradient():
  """Adding c to both scores changes nothing (checklist 19)."""
  gradient = jax.grad(preference.pairwise_loss, argnums=(0, 1))
  before = gradient(CHOSEN_B, REJECTED_B)
  after = gradient(CHOSEN_B + 64.0, REJECTED_B + 64.0)
  np.testing.assert_array_equal(before[0], after[0])
  np.testing.assert_array_equal(before[1], after[1])
  assert np.any(np.asarray(before[0]) != 0.0)
  np.testing.assert_array_equal(before[0], -before[1])


def test_swapping_the_pair_mirrors_the_accuracy():
  """a -> 1 - a, a tie counts one half (checklist 20)."""
  accuracy = preference.pairwise_accuracy(CHOSEN_B, REJECTED_B)
  assert accuracy == 0.625  # right, wrong, tie, right
  assert preference.pairwise_accuracy(REJECTED_B, CHOSEN_B) == 1.0 - accuracy


def test_integer_scores_are_compared_as_floats():
  """Scores become float32, whatever comes in (checklist 49)."""
  loss = preference.pairwise_loss(np.array([1, 2]), np.array([0, 4]))
  expected = (math.log1p(math.exp(-1)) + math.log1p(math.exp(2))) / 2
  assert np.isclose(loss, expected)


def test_preference_probability_equals_its_formula():
  p = np.asarray(preference.preference_probability(CHOSEN_B, REJECTED_B))
  for b in range(4):
    difference = float(CHOSEN_B[b]) - float(REJECTED_B[b])
    assert np.isclose(p[b], 1.0 / (1.0 + math.exp(-difference)))
  q = preference.preference_probability(REJECTED_B, CHOSEN_B)
  np.testing.assert_allclose(p + np.asarray(q), 1.0, atol=1e-6)
  scalar = preference.preference_probability(np.float32(1e4), np.float32(-1e4))
  assert scalar == 1.0


SCORE_BC = np.float32([[1.0, -0.5, 2.0, 0.25], [0.3, 0.1, 5.0, -7.0]])
RANK_BC = np.int32([[0, 2, 1, 2], [1, 0, -1, -1]])


def comparisons(score_C, rank_C):
  """Score differences of every pair that has an order, better less worse."""
  return [
    float(score_C[w]) - float(score_C[k])
    for w in range(len(rank_C))
    for k in range(len(rank_C))
    if 0 <= rank_C[w] < rank_C[k]
  ]


def test_the_loss_of_candidates_equals_a_loop_over_their_pairs():
  """Ties and missing candidates make no pair; each prompt weighs the same."""
  gaps = [comparisons(*row) for row in zip(SCORE_BC, RANK_BC, strict=True)]
  assert [len(g) for g in gaps] == [5, 1]
  losses = [np.mean(np.log1p(np.exp(-np.array(g)))) for g in gaps]
  rights = [np.mean(np.array(g) > 0) for g in gaps]
  loss = preference.candidates_loss(SCORE_BC, RANK_BC)
  assert np.isclose(loss, np.mean(losses), rtol=1e-6)
  accuracy = preference.candidates_accuracy(SCORE_BC, RANK_BC)
  assert np.isclose(accuracy, np.mean(rights), rtol=1e-6)
  assert preference.ranked_prompts(RANK_BC) == 2


def test_without_ties_there_are_all_pairs_of_the_candidates():
  """The mean over K (K - 1) / 2 of them (checklist 22)."""
  rank_BC = np.int32([[3, 0, 2, 1, 4]])
  score_BC = np.float32([[0.1, 0.9, -0.2, 0.4, 0.0]])
  gaps = np.array(comparisons(score_BC[0], rank_BC[0]))
  assert len(gaps) == 5 * 4 / 2
  loss = preference.candidates_loss(score_BC, rank_BC)
  assert np.isclose(loss, np.log1p(np.exp(-gaps)).mean(), rtol=1e-6)


def test_two_candidates_are_a_pair():
  """Loss, gradient and accuracy, to a rounding of four rows (checklist 22)."""
  score_BC = np.stack([CHOSEN_B, REJECTED_B], 1)
  rank_BC = np.int32([[0, 1]] * 4)
  swapped_BC, other_BC = score_BC[:, ::-1], rank_BC[:, ::-1]
  expected, slope_B = jax.value_and_grad(preference.pairwise_loss)(
    CHOSEN_B, REJECTED_B
  )
  for scores, ranks in ((score_BC, rank_BC), (swapped_BC, other_BC)):
    loss, slope_BC = jax.value_and_grad(preference.candidates_loss)(
      np.ascontiguousarray(scores), ranks
    )
    assert abs(loss - expected) < 1e-7
    np.testing.assert_allclose(slope_BC[ranks == 0], slope_B, rtol=0, atol=1e-7)
    assert preference.candidates_accuracy(
      scores, ranks
    ) == preference.pairwise_accuracy(CHOSEN_B, REJECTED_B)


def test_prompts_without_a_pair_count_nothing():
  """All ties, one candidate, none; huge scores there are no NaN."""
  rank_BC = np.int32([[0, 1, -1], [2, 2, 2], [0, -1, -1], [-1, -1, -1]])
  score_BC = np.float32(
    [[1.0, 0.0, 9.0], [1e30, -1e30, 0.0], *[[1e30] * 3] * 2]
  )
  loss, slope_BC = jax.value_and_grad(preference.candidates_loss)(
    score_BC, rank_BC
  )
  assert np.isclose(loss, math.log1p(math.exp(-1.0)))
  np.testing.assert_array_equal(slope_BC[1:], 0.0)
  assert float(np.abs(slope_BC[0, :2]).min()) > 0.1
  assert preference.candidates_loss(score_BC[1:], rank_BC[1:]) == 0.0
  assert preference.ranked_prompts(rank_BC) == 1


def picks(score_C, rank_C):
  """Cross-entropy of each best candidate, in float64, by its definition."""
  there = [c for c, rank in enumerate(rank_C) if rank >= 0]
  first = min(rank_C[c] for c in there)
  total = sum(math.exp(score_C[c]) for c in there)
  return [
    -math.log(math.exp(score_C[c]) / total) for c in there if rank_C[c] == first
  ]


def test_the_loss_of_a_pick_of_four_has_its_hand_values():
  """log 4 at a tie; a softmax cross-entropy by its odds (checklist 24)."""
  rank_BC = np.int32([[2, 0, 1, 3]])
  tie = preference.best_of_loss(np.zeros((1, 4), np.float32), rank_BC)
  assert np.isclose(tie, math.log(4))
  odds = np.log(np.float32([[1.0, 5.0, 2.0, 2.0]]))
  assert np.isclose(preference.best_of_loss(odds, rank_BC), math.log(2))
  gradient = jax.grad(preference.best_of_loss)(odds, rank_BC)
  np.testing.assert_allclose(gradient, [[0.1, -0.5, 0.2, 0.2]], atol=1e-6)


def test_the_loss_of_a_pick_equals_a_loop():
  """Of two best ones the mean; missing ones are in no sum (checklist 24)."""
  rank_BC = np.int32([[0, 2, 0, 2], [1, 0, -1, -1]])
  wanted = [
    np.mean(picks(np.float64(score_C), rank_C))
    for score_C, rank_C in zip(SCORE_BC, rank_BC, strict=True)
  ]
  loss = preference.best_of_loss(SCORE_BC, rank_BC)
  assert np.isclose(loss, np.mean(wanted), rtol=1e-6)
  other_BC = np.where(rank_BC < 0, 1e30, SCORE_BC).astype(np.float32)
  assert preference.best_of_loss(other_BC, rank_BC) == loss


def test_a_pick_of_two_is_a_pair_and_knows_nothing_of_the_rest():
  pair = preference.pairwise_loss(CHOSEN_B, REJECTED_B)
  score_BC, rank_BC = np.stack([CHOSEN_B, REJECTED_B], 1), [[0, 1]] * 4
  loss = preference.best_of_loss(score_BC, np.int32(rank_BC))
  assert np.isclose(loss, pair, rtol=1e-6)
  swapped = np.int32([[0, 1, 2, 3], [0, 3, 1, 2]])
  first, second = (
    preference.best_of_loss(SCORE_BC[:1], rank_BC[None]) for rank_BC in swapped
  )
  assert first == second


def test_a_pick_without_an_order_or_at_extreme_scores_is_no_nan():
  rank_BC = np.int32([[0, 1, -1], [2, 2, 2], [0, -1, -1], [-1, -1, -1]])
  score_BC = np.float32([[1e4, -1e4, 0.0], *[[1e30, -1e30, 0.0]] * 3])
  loss, slope_BC = jax.value_and_grad(preference.best_of_loss)(
    score_BC, rank_BC
  )
  assert loss == 0.0 and np.isfinite(slope_BC).all()
  np.testing.assert_array_equal(slope_BC[1:], 0.0)
  wrong = preference.best_of_loss(score_BC[:1], 1 - rank_BC[:1])
  assert np.isclose(wrong, 2e4)
  assert preference.best_of_loss(score_BC[1:], rank_BC[1:]) == 0.0


def test_binary_loss_equals_a_loop():
  terms = []
  for scores, good in ((CHOSEN_B, 1), (REJECTED_B, 0)):
    for score in scores:
      p = 1.0 / (1.0 + math.exp(-float(score)))
      terms.append(-math.log(p if good else 1.0 - p))
  loss = preference.binary_loss(CHOSEN_B, REJECTED_B)
  assert np.isclose(loss, np.mean(terms))


def test_binary_loss_hand_values_and_extremes():
  """log 2 at zero scores; the mean of both sides; finite far out."""
  function = jax.value_and_grad(preference.binary_loss, argnums=(0, 1))
  for good, bad, expected, slopes in [
    (0.0, 0.0, math.log(2), (-0.25, 0.25)),
    (math.log(3), math.log(3), (math.log(4 / 3) + math.log(4)) / 2, None),
    (1e4, -1e4, 0.0, (0.0, 0.0)),
    (-1e4, 1e4, 1e4, (-0.5, 0.5)),
  ]:
    loss, gradient = function(np.float32([good]), np.float32([bad]))
    assert np.isclose(loss, expected, atol=1e-6)
    if slopes:
      np.testing.assert_allclose(np.ravel(gradient), slopes, atol=1e-6)


def test_a_common_shift_changes_the_binary_loss_and_not_the_ranked_one():
  shifted = CHOSEN_B + 1.0, REJECTED_B + 1.0
  ranked, binary = preference.pairwise_loss, preference.binary_loss
  assert np.isclose(ranked(*shifted), ranked(CHOSEN_B, REJECTED_B))
  assert not np.isclose(binary(*shifted), binary(CHOSEN_B, REJECTED_B))


def test_the_direct_loss_equals_a_loop():
  """-log sigmoid of beta times the difference of the two log-ratios."""
  rng = np.random.default_rng(3)
  logps = rng.normal(-20, 3, (4, 5)).astype(np.float32)
  terms = []
  for good, bad, ref_good, ref_bad in logps.T.astype(float):
    h = 0.3 * ((good - ref_good) - (bad - ref_bad))
    terms.append(-math.log(1.0 / (1.0 + math.exp(-h))))
  loss = preference.direct_loss(*logps, beta=0.3)
  assert np.isclose(loss, np.mean(terms), rtol=1e-5)


def test_a_policy_that_is_its_reference_has_the_direct_loss_of_a_coin():
  """Whatever it thinks of the replies; and 2 at beta h = 2 to two digits."""
  same = np.float32([-3.0, -40.0]), np.float32([-50.0, -1.0])
  loss = preference.direct_loss(*same, *same, beta=0.1)
  assert np.isclose(loss, math.log(2))
  far = np.float32([-20.0]), np.float32([0.0])
  zero = np.float32([0.0])
  loss = preference.direct_loss(*far, zero, zero, beta=0.1)
  assert np.isclose(loss, math.log(1 + math.exp(2)), rtol=1e-6)


def test_the_implicit_reward_of_the_best_policy_is_the_reward():
  """pi = pi_0 exp(r / beta) / Z gives r back, less beta log Z."""
  rng, beta = np.random.default_rng(0), 0.5
  ref_V, reward_V = rng.dirichlet(np.ones(6)), rng.normal(size=6)
  weight_V = ref_V * np.exp(reward_V / beta)
  best_V = weight_V / weight_V.sum()
  found_V = preference.implicit_reward(
    np.log(best_V).astype(np.float32), np.log(ref_V).astype(np.float32), beta
  )
  shift = beta * math.log(weight_V.sum())
  np.testing.assert_allclose(found_V, reward_V - shift, rtol=1e-4, atol=1e-5)
