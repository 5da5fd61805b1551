"""KL, entropy, scores and lengths of a policy against loops over rows."""

import evals_bigram as bigram
import jax
import numpy as np
import pytest

from rlhf_jax.evals import policy

TEMPERATURE = 0.7
RNG = jax.random.key(0)
TABLE_VV, REF_VV = bigram.random_table(1), bigram.random_table(2)
WEIGHTS = (np.arange(6.0), np.arange(6.0) ** 2)


def distribution(table_VV, token):
  p = np.exp(table_VV[token].astype(float) / TEMPERATURE)
  return p / p.sum()


def by_loop(rollout):
  """Each row's numbers, token by token, in float64."""
  rows = []
  for b, (p, n) in enumerate(
    zip(rollout.prompt_length_B, rollout.length_B, strict=True)
  ):
    ids = rollout.tokens_BT[b]
    row = dict.fromkeys(('kl', 'kl_k1', 'kl_k3', 'entropy'), 0.0)
    for t in range(p, n):
      pi = distribution(TABLE_VV, ids[t - 1])
      ref = distribution(REF_VV, ids[t - 1])
      ratio = ref[ids[t]] / pi[ids[t]]
      row['kl'] += np.sum(pi * np.log(pi / ref))
      row['kl_k1'] -= np.log(ratio)
      row['kl_k3'] += ratio - 1 - np.log(ratio)
      row['entropy'] -= np.sum(pi * np.log(pi)) / (n - p)
    row['length'] = n - p
    row['truncated'] = 1.0 - rollout.ended_B[b]
    row['score_0'] = sum(int(x) for x in ids[p:n])
    row['score_1'] = sum(int(x) ** 2 for x in ids[p:n])
    rows.append(row)
  return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def test_every_number_of_a_row_equals_a_loop(given):
  """At the sampler's temperature, over reply tokens (checklist 80)."""
  rollout = bigram.fixed_rollout()
  out = given.whole(TABLE_VV, REF_VV, WEIGHTS, rollout, RNG)
  expected = by_loop(rollout)
  for name, expected_B in expected.items():
    np.testing.assert_allclose(out[name], expected_B, atol=1e-4, err_msg=name)
  assert set(out) - set(expected) == {'tokens', 'prompt_length', 'total_length'}
  np.testing.assert_array_equal(out['tokens'], rollout.tokens_BT)
  np.testing.assert_array_equal(out['total_length'], rollout.length_B)
  assert np.all(np.asarray(out['entropy']) >= 0)


def test_without_logits_there_are_the_same_scores_and_nothing_else(given):
  collect = lambda params, rollout, rng: rollout
  rewards = (bigram.reward, bigram.reward)
  alone = policy.make_evaluate(collect, None, rewards)
  rollout = bigram.fixed_rollout()
  both = given.whole(TABLE_VV, REF_VV, WEIGHTS, rollout, RNG)
  out = alone(TABLE_VV, REF_VV, WEIGHTS, rollout, RNG)
  assert set(both) - set(out) == {'kl', 'kl_k1', 'kl_k3', 'entropy'}
  for name in out:
    np.testing.assert_array_equal(out[name], both[name], err_msg=name)


def test_each_token_s_divergence_is_that_of_the_loop(given):
  """They sum to those of the replies, and are 0 off the reply."""
  rollout = bigram.fixed_rollout()
  rows = rollout.tokens_BT, rollout.prompt_length_B, rollout.length_B
  measure = policy.make_token_measure(bigram.logits_fn, TEMPERATURE)
  found = measure(TABLE_VV, REF_VV, rows)
  whole = given.whole(TABLE_VV, REF_VV, WEIGHTS, rollout, RNG)
  for name in ('kl', 'kl_k1', 'kl_k3'):
    np.testing.assert_allclose(found[name].sum(1), whole[name], atol=1e-5)
  for b, (p, n) in enumerate(zip(*rows[1:], strict=True)):
    wanted_T = np.zeros(rollout.tokens_BT.shape[1])
    ids = rollout.tokens_BT[b]
    for t in range(p, n):
      pi = distribution(TABLE_VV, ids[t - 1])[ids[t]]
      wanted_T[t] = np.log(pi / distribution(REF_VV, ids[t - 1])[ids[t]])
    np.testing.assert_allclose(found['kl_k1'][b], wanted_T, atol=1e-5)


def test_equal_policies_have_no_divergence(given):
  """All three estimators are exactly 0 (checklist 43)."""
  rollout = bigram.fixed_rollout()
  out = given.whole(TABLE_VV, TABLE_VV.copy(), WEIGHTS, rollout, RNG)
  for name in ('kl', 'kl_k1', 'kl_k3'):
    assert np.all(np.asarray(out[name]) == 0.0)


@pytest.mark.parametrize('fill', [0, 5])
def test_pads_enter_no_metric(given, fill):
  """What follows the end contributes nothing (checklist 1, 7)."""
  rollout = bigram.fixed_rollout()
  past_BT = np.arange(7) >= rollout.length_B[:, None]
  padded = rollout._replace(
    tokens_BT=np.where(past_BT, fill, rollout.tokens_BT).astype(np.int32)
  )
  first = given.whole(TABLE_VV, REF_VV, WEIGHTS, rollout, RNG)
  second = given.whole(TABLE_VV, REF_VV, WEIGHTS, padded, RNG)
  for name in set(first) - {'tokens'}:
    np.testing.assert_array_equal(first[name], second[name])


def test_parts_change_nothing(given):
  rollout = bigram.fixed_rollout()
  whole = given.whole(TABLE_VV, REF_VV, WEIGHTS, rollout, RNG)
  halves = given.halves(TABLE_VV, REF_VV, WEIGHTS, rollout, RNG)
  jax.tree.map(
    lambda x, y: np.testing.assert_allclose(x, y, atol=1e-6), whole, halves
  )


def test_all_prompts_in_batches_equal_the_same_rows(sampled, prompts):
  """Chunks keep order and sampling keys of rows (checklist 41)."""
  weights = (WEIGHTS[0],)
  run = lambda prompts: policy.evaluate_prompts(
    sampled, TABLE_VV, REF_VV, weights, prompts, RNG, 4
  )
  out = run(prompts)
  assert {len(x) for x in out.values()} == {12}
  np.testing.assert_array_equal(out['prompt_length'], prompts.length_B)
  order = np.random.default_rng(1).permutation(12)
  moved = run(type(prompts)(*(x[order] for x in prompts)))
  for name in out:
    np.testing.assert_allclose(moved[name], out[name][order], atol=1e-5)
  with pytest.raises(ValueError, match='12 prompts .* batches of 5'):
    policy.evaluate_prompts(sampled, TABLE_VV, REF_VV, weights, prompts, RNG, 5)


def test_prompts_of_one_name_are_refused(sampled, prompts):
  """Batches are sampled apart: rows 3 and 9 would get one reply."""
  names = prompts.row_B.copy()
  names[9] = names[3]
  same = prompts._replace(row_B=names)
  with pytest.raises(ValueError, match='got row_B 3 2 times: number them'):
    policy.evaluate_prompts(
      sampled, TABLE_VV, REF_VV, WEIGHTS[:1], same, RNG, 4
    )


def test_estimators_agree_in_the_mean(sampled):
  """k1 and k3 average to the exact sum within 4 standard errors."""
  N = 4000
  prompts = policy.Prompts(
    np.full((N, 3), 2, np.int32), np.full(N, 3, np.int32), np.arange(N)
  )
  out = policy.evaluate_prompts(
    sampled, TABLE_VV, REF_VV, (WEIGHTS[0],), prompts, RNG, N
  )
  for name in ('kl_k1', 'kl_k3'):
    difference = out[name] - out['kl']
    bound = 4 * policy.standard_error(difference)
    assert abs(difference.mean()) < bound
    assert bound < 0.5 * out['kl'].mean()


def test_standard_error_and_within_variance_by_hand():
  assert policy.standard_error([1.0, 2.0, 3.0, 4.0]) == pytest.approx(
    (5 / 3) ** 0.5 / 2
  )
  scores = np.array([[1.0, 3.0], [10.0, 16.0], [5.0, 5.0]])
  assert policy.within_variance(scores) == pytest.approx((2 + 18 + 0) / 3)
