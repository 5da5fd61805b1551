"""A head on pooled features: its score, its fit, what folds may see."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit

from rlhf_jax.linear import head, logistic

P, L, D = 2, 3, 4
SHAPE = (P, L, D)
BLOCKS = ((1, 1),)


def settings(**changes):
  first = head.Settings((BLOCKS,), (0.01, 0.1), 3)
  return first._replace(**changes)


def drawn(N=240, seed=0, conditional=False):
  """Pairs of which block (1, 1) decides, its sign by kind where asked."""
  rng = np.random.default_rng(seed)
  pooled = rng.normal(size=(N, 3, *SHAPE)).astype(np.float32)
  kind_N = rng.integers(0, 2, N)
  pooled[:, 0, 0, 0, 0] += 6 * (2 * kind_N - 1)  # the prompt tells its kind
  way_N = np.where(kind_N, -1.0, 1.0) if conditional else np.ones(N)
  gap_N = pooled[:, 1, 1, 1, 0] - pooled[:, 2, 1, 1, 0]
  swap_N = rng.random(N) > expit(3 * way_N * gap_N)
  pooled[swap_N, 1], pooled[swap_N, 2] = pooled[swap_N, 2], pooled[swap_N, 1]
  return pooled, kind_N, np.arange(N) // 2


def random_head(seed=0):
  rng = np.random.default_rng(seed)
  zero = head.zero_head(*SHAPE)
  return head.Head(*(rng.normal(size=x.shape) for x in zero))


def naive_score(found, prompt_PLD, reply_PLD):
  """Number after number, in plain Python."""
  logit = float(found.gate_offset)
  parts = [float(x) for x in found.offset_C]
  for p in range(P):
    for k in range(L):
      for d in range(D):
        logit += found.gate_PLD[p, k, d] * prompt_PLD[p, k, d]
        for c in range(2):
          parts[c] += found.weight_CPLD[c, p, k, d] * reply_PLD[p, k, d]
  return parts[0] + parts[1] / (1 + math.exp(-logit))


def test_a_score_is_that_of_loops_and_alike_in_jax():
  found = random_head()
  prompt, reply = np.random.default_rng(1).normal(size=(2, 5, *SHAPE))
  wanted = [
    naive_score(found, a, b) for a, b in zip(prompt, reply, strict=True)
  ]
  np.testing.assert_allclose(head.score(found, prompt, reply), wanted)
  there = jax.tree.map(jnp.asarray, found)
  traced = jax.jit(head.score)(there, jnp.asarray(prompt), jnp.asarray(reply))
  # 60 products of size 1 in float32.
  np.testing.assert_allclose(traced, wanted, rtol=1e-4, atol=1e-4)


def test_without_a_condition_differences_are_those_of_the_scaled_fit():
  pooled, kind_N, group_N = drawn()
  one = settings(l2s=(0.1,))
  rng = np.random.default_rng(0)
  found, choice = head.fit(pooled, kind_N, group_N, one, rng)
  sides = pooled[:, 1:, 1, 1].astype(np.float64)
  scale = sides.reshape(-1, D).std(0)
  weight = logistic.fit((sides[:, 0] - sides[:, 1]) / scale, 0.1)
  np.testing.assert_allclose(found.weight_CPLD[0, 1, 1], weight / scale)
  assert not found.weight_CPLD[1].any() and not found.gate_PLD.any()
  others = found.weight_CPLD[0].copy()
  others[1, 1] = 0
  assert not others.any()
  assert choice.blocks == BLOCKS and choice.l2 == 0.1
  assert math.isnan(choice.gate_accuracy)


def test_an_average_reply_scores_nothing():
  pooled, kind_N, group_N = drawn()
  rng = np.random.default_rng(0)
  found, _ = head.fit(pooled, kind_N, group_N, settings(), rng)
  replies = pooled[:, 1:].reshape(-1, *SHAPE)
  score_N = head.score(found, replies, replies)
  assert abs(score_N.mean()) < 1e-6 < score_N.std()


def test_centred_weights_are_those_of_the_centred_fit_on_scaled_features():
  """The centre is on raw features, and so are the weights that come out."""
  pooled, kind_N, group_N = drawn(60)
  more = drawn(400, seed=8)
  one = settings(l2s=(0.3,))
  centres = {k: h for k, (h, _) in head.fit_each(*more, one, 5).items()}
  rng = lambda: np.random.default_rng(0)
  found, _ = head.fit(pooled, kind_N, group_N, one, rng(), centres)
  sides = pooled[:, 1:, 1, 1].astype(np.float64)
  scale = sides.reshape(-1, D).std(0)
  prior = centres[BLOCKS].weight_CPLD[0, 1, 1] * scale
  rows = (sides[:, 0] - sides[:, 1]) / scale
  weight = logistic.fit(rows, 0.3, centre_K=prior)
  np.testing.assert_allclose(found.weight_CPLD[0, 1, 1], weight / scale)
  plain, _ = head.fit(pooled, kind_N, group_N, one, rng())
  assert not np.allclose(plain.weight_CPLD, found.weight_CPLD, rtol=0.1)


def test_a_centre_of_zero_is_no_centre_and_its_choice_is_the_same():
  pooled, kind_N, group_N = drawn()
  how = settings(candidates=head.candidates_of(('last', 'mean'), L, 2))
  zeros = dict.fromkeys(how.candidates, head.zero_head(*SHAPE))
  rng = lambda: np.random.default_rng(0)
  plain = head.fit(pooled, kind_N, group_N, how, rng())
  found = head.fit(pooled, kind_N, group_N, how, rng(), zeros)
  for a, b in zip((*plain[0], *plain[1]), (*found[0], *found[1]), strict=True):
    np.testing.assert_array_equal(a, b)


def test_few_pairs_gain_from_a_centre_of_many_and_choose_to_stay_with_it():
  """Twenty pairs of what four hundred others have taught already."""
  pooled, kind_N, group_N = drawn(20, seed=1)
  how = settings(l2s=(0.01, 0.1, 1.0, 10.0, 100.0), folds=2)
  new, *_ = drawn(800, seed=5)
  centres = head.fit_each(*drawn(400, seed=8), how, 5)
  centres = {blocks: found for blocks, (found, _) in centres.items()}
  rng = lambda: np.random.default_rng(0)
  plain, _ = head.fit(pooled, kind_N, group_N, how, rng())
  found, choice = head.fit(pooled, kind_N, group_N, how, rng(), centres)
  assert choice.l2 >= 1.0
  assert accuracy(found, new) > accuracy(plain, new)


def test_each_candidate_is_fitted_as_it_is_alone():
  pooled, kind_N, group_N = drawn(90)
  how = settings(candidates=head.candidates_of(('last', 'mean'), L, 1))
  found = head.fit_each(pooled, kind_N, group_N, how, 3)
  assert tuple(found) == how.candidates
  for blocks, (own, choice) in found.items():
    alone = how._replace(candidates=(blocks,))
    rng = np.random.default_rng(3)
    wanted, _ = head.fit(pooled, kind_N, group_N, alone, rng)
    assert choice.blocks == blocks
    np.testing.assert_array_equal(own.weight_CPLD, wanted.weight_CPLD)


def test_a_condition_and_centres_together_are_an_error():
  pooled, kind_N, group_N = drawn(60)
  how = settings(conditional=True, gate=((0, 0),))
  centres = {BLOCKS: head.zero_head(*SHAPE)}
  rng = np.random.default_rng(0)
  with pytest.raises(ValueError, match='without a condition'):
    head.fit(pooled, kind_N, group_N, how, rng, centres)


def accuracy(found, pooled):
  chosen, rejected = (
    head.score(found, pooled[:, 0], pooled[:, i]) for i in (1, 2)
  )
  return np.mean(chosen > rejected)


def test_only_a_condition_can_mean_opposite_things_for_two_kinds():
  """Blind .5; with the kind, what 3 (x - y) allows: about .87."""
  pooled, kind_N, group_N = drawn(600, conditional=True)
  new, *_ = drawn(600, seed=5, conditional=True)
  gate = ((0, 0),)
  found = {}
  for conditional in (False, True):
    how = settings(conditional=conditional, gate=gate)
    rng = np.random.default_rng(0)
    found[conditional], choice = head.fit(pooled, kind_N, group_N, how, rng)
  assert abs(accuracy(found[False], new) - 0.5) < 0.1
  assert accuracy(found[True], new) > 0.8
  assert choice.gate_accuracy > 0.99


def test_blocks_and_penalty_are_those_of_the_least_held_out_loss():
  """The block that decides is found among others."""
  pooled, kind_N, group_N = drawn()
  choices = head.candidates_of(('last', 'mean'), L, 1)
  how = settings(candidates=choices, l2s=(0.01, 0.1, 1000.0))
  rng = np.random.default_rng(0)
  _, choice = head.fit(pooled, kind_N, group_N, how, rng)
  assert choice.blocks == BLOCKS and choice.l2 < 1000
  assert choice.loss < math.log(2)


def test_labels_that_say_nothing_choose_the_strongest_penalty():
  """A coin is not learnt: its loss on held-out pairs stays near log 2."""
  pooled, kind_N, group_N = drawn()
  swap_N = np.random.default_rng(3).random(len(pooled)) < 0.5
  pooled[swap_N, 1], pooled[swap_N, 2] = pooled[swap_N, 2], pooled[swap_N, 1]
  how = settings(l2s=(0.001, 100.0))
  _, choice = head.fit(pooled, kind_N, group_N, how, np.random.default_rng(0))
  assert choice.l2 == 100.0
  assert choice.loss == pytest.approx(math.log(2), abs=2e-3)


def test_p_of_a_training_pair_is_of_a_gate_that_has_not_seen_it():
  """Kinds that prompts do not tell: cross-fitted p stays a coin."""
  pooled, kind_N, group_N = drawn()
  kind_N = np.random.default_rng(9).integers(0, 2, len(kind_N))
  how = settings(conditional=True, gate=((0, 0), (0, 1), (0, 2), (1, 0)))
  how = how._replace(l2s=(1e-4,))  # overfits what it sees
  _, choice = head.fit(pooled, kind_N, group_N, how, np.random.default_rng(0))
  assert abs(choice.gate_accuracy - 0.5) < 0.1


def test_a_feature_without_any_spread_has_no_weight():
  pooled, kind_N, group_N = drawn()
  pooled[:, :, 1, 1, 3] = 7.0
  rng = np.random.default_rng(0)
  found, _ = head.fit(pooled, kind_N, group_N, settings(), rng)
  assert found.weight_CPLD[0, 1, 1, 3] == 0
  assert np.isfinite(found.weight_CPLD).all()


def test_candidates_are_the_last_token_of_the_top_and_neighbouring_means():
  assert head.candidates_of(('last',), 3, 2) == (((0, 2),),)
  assert head.candidates_of(('mean',), 3, 2) == (
    ((1, 0),),
    ((1, 1),),
    ((1, 2),),
    ((1, 0), (1, 1)),
    ((1, 1), (1, 2)),
  )
  assert len(head.candidates_of(('last', 'mean'), 1, 9)) == 2
  for pools, joint in ((), 1), (('max',), 1), (('mean',), 0):
    with pytest.raises(ValueError, match='wanted head.pools'):
      head.candidates_of(pools, 3, joint)
