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
