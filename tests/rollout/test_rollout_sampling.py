"""Temperature, truncation, keys of rows and the inverse-CDF draw."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import rollout_bigram as bigram
from scipy import stats

from rlhf_jax.rollout.generate import SamplingConfig, make_generate
from rlhf_jax.rollout.sampling import (
  adjust_logits,
  occurrences,
  row_uniforms,
  sample_token,
)

draw = jax.jit(sample_token)
SAMPLES = 100_000


def softmax(logits):
  p = np.exp(np.asarray(logits, float) - np.max(logits, -1, keepdims=True))
  return p / p.sum(-1, keepdims=True)


def random_logits(B, V, seed=0):
  return np.random.default_rng(seed).normal(0, 1, (B, V)).astype(np.float32)


def assert_distribution(tokens, p_V):
  """Chi-square of counts against p, at a p-value that no luck explains."""
  counts = np.bincount(np.ravel(tokens), minlength=len(p_V))
  expected = p_V * np.size(tokens)
  assert expected.min() > 5
  statistic = np.sum((counts - expected) ** 2 / expected)
  assert stats.chi2.sf(statistic, len(p_V) - 1) > 1e-3


@pytest.mark.parametrize('temperature', [0.7, 1.0])
def test_first_tokens_follow_the_softmax(temperature):
  """Chi-square of 1e5 replies, through the sampler (checklist 37)."""
  V = 16
  table_VV = bigram.random_table(V, seed=4)
  config = SamplingConfig(1, (0,), 0, temperature=temperature)
  generate = jax.jit(make_generate(bigram.prefill_fn, bigram.decode_fn, config))
  prompts = bigram.prompts_of([[3]], 1)
  prompts = type(prompts)(
    np.full((SAMPLES, 1), 3, np.int32),
    np.ones(SAMPLES, np.int32),
    np.arange(SAMPLES, dtype=np.int32),
  )
  rollout = generate(table_VV, prompts, jax.random.key(0))
  p_V = softmax(table_VV[3] / temperature)
  assert_distribution(rollout.tokens_BT[:, 1], p_V)
  with pytest.raises(AssertionError):  # the test can tell
    assert_distribution(rollout.tokens_BT[:, 1], softmax(table_VV[3] / 0.9))


def test_tokens_of_a_large_vocabulary_follow_the_softmax():
  """The two-level cumulative sum, V = 512 (checklist 37)."""
  logits_V = random_logits(1, 512, seed=1)[0]
  uniform_B = row_uniforms(jax.random.key(1), np.arange(SAMPLES), 1)[:, 0]
  some = SAMPLES // 10
  tokens = [
    draw(jnp.broadcast_to(logits_V, (some, 512)), uniform_B[i : i + some])[0]
    for i in range(0, SAMPLES, some)
  ]
  assert_distribution(np.concatenate(tokens), softmax(logits_V))


@pytest.mark.parametrize('V', [1, 5, 63, 64, 70, 512])
def test_a_token_is_the_first_whose_mass_exceeds_the_number(V):
  logits_BV = random_logits(200, V, seed=V)
  uniform_B = np.random.default_rng(V).random(200).astype(np.float32)
  token_B, logp_B = draw(logits_BV, uniform_B)
  p_BV = softmax(logits_BV)
  for b in range(200):
    cdf = np.cumsum(p_BV[b])
    assert cdf[token_B[b]] > uniform_B[b] - 1e-5
    assert cdf[token_B[b]] - p_BV[b, token_B[b]] <= uniform_B[b] + 1e-5
    assert logp_B[b] == pytest.approx(np.log(p_BV[b, token_B[b]]), abs=1e-4)


@pytest.mark.parametrize('V', [7, 70])
def test_impossible_tokens_are_never_drawn(V):
  """At 0, just below 1, and at every edge between tokens (checklist 38)."""
  logits_V = np.full(V, -1e30, np.float32)
  possible = [2, 3, V - 3]
  logits_V[possible] = 0.0
  uniform_B = np.array(
    [0.0, 1 / 3, 2 / 3, 1 - 2**-24, 0.1, 0.5, 0.9], np.float32
  )
  token_B, logp_B = draw(np.tile(logits_V, (7, 1)), uniform_B)
  assert set(np.asarray(token_B)) == set(possible)
  assert list(token_B[-3:]) == possible
  np.testing.assert_allclose(logp_B, -np.log(3), rtol=1e-5)


def test_defaults_leave_the_logits_alone():
  """No temperature, top-k or top-p unless asked (checklist 38)."""
  logits_BV = random_logits(3, 9)
  np.testing.assert_array_equal(adjust_logits(logits_BV), logits_BV)


def test_top_p_of_1_keeps_what_rounding_would_cut():
  """Behind a mass of 1 - 1e-13 the running sum is 1 in float32."""
  logits_BV = np.array([[0.0, -30.0, -31.0]], np.float32)
  np.testing.assert_array_equal(adjust_logits(logits_BV, top_p=1.0), logits_BV)


def test_temperature_divides_and_may_be_traced():
  logits_BV = random_logits(3, 9)
  expected_BV = logits_BV / 0.7
  traced = jax.jit(lambda z, T: adjust_logits(z, temperature=T))
  np.testing.assert_allclose(
    adjust_logits(logits_BV, temperature=0.7), expected_BV, rtol=1e-6
  )
  np.testing.assert_allclose(traced(logits_BV, 0.7), expected_BV, rtol=1e-6)


def kept_by_loop(p_V, top_k, top_p):
  """Token ids that survive top-k, then top-p on what is left."""
  order = list(np.argsort(-p_V))
  order = order[:top_k] if top_k else order
  kept, mass = [], 0.0
  for token in order:
    if mass >= top_p * p_V[order].sum():
      break
    kept.append(token)
    mass += p_V[token]
  return sorted(kept)


@pytest.mark.parametrize(
  'top_k, top_p', [(1, 1.0), (3, 1.0), (0, 0.5), (0, 0.05), (4, 0.8), (9, 1.0)]
)
def test_truncation_equals_a_loop(top_k, top_p):
  logits_BV = random_logits(5, 9, seed=2)
  got_BV = np.asarray(adjust_logits(logits_BV, top_k=top_k, top_p=top_p))
  for logits_V, got_V in zip(logits_BV, got_BV, strict=True):
    kept = kept_by_loop(softmax(logits_V), top_k, top_p)
    assert list(np.flatnonzero(got_V > -1e29)) == kept
    np.testing.assert_array_equal(got_V[kept], logits_V[kept])


def test_sampler_scores_the_truncated_distribution():
  """logp is that of softmax over the tokens that are left (checklist 38)."""
  V, table_VV = 9, bigram.random_table(9, seed=5)
  config = SamplingConfig(5, (), 0, temperature=0.8, top_k=4, top_p=0.9)
  generate = jax.jit(make_generate(bigram.prefill_fn, bigram.decode_fn, config))
  prompts = bigram.prompts_of([[i % V] for i in range(40)], 1)
  rollout = jax.device_get(generate(table_VV, prompts, jax.random.key(2)))
  logp_VV = np.full((V, V), -np.inf)
  for a in range(V):
    p_V = softmax(table_VV[a] / 0.8)
    kept = kept_by_loop(p_V, 4, 0.9)
    logp_VV[a, kept] = np.log(p_V[kept] / p_V[kept].sum())
  expected = logp_VV[rollout.tokens_BT[:, :-1], rollout.tokens_BT[:, 1:]]
  np.testing.assert_allclose(rollout.logp_BT[:, 1:], expected, atol=1e-4)


def test_numbers_belong_to_key_and_row():
  """Neither count, place nor companions matter (checklist 41)."""
  rng, rows = jax.random.key(0), np.array([4, 9, 2, 1000])
  whole = np.asarray(row_uniforms(rng, rows, 6))
  np.testing.assert_array_equal(row_uniforms(rng, rows[2:3], 6)[0], whole[2])
  np.testing.assert_array_equal(row_uniforms(rng, rows[::-1], 6), whole[::-1])
  np.testing.assert_array_equal(row_uniforms(rng, rows, 3), whole[:, :3])


def test_names_that_come_once_have_the_numbers_of_their_name():
  """Bit for bit those of fold_in(rng, row): committed runs stand."""
  rng, rows = jax.random.key(0), np.array([4, 9, 2, 1000])
  for row, numbers in zip(rows, row_uniforms(rng, rows, 6), strict=True):
    key = jax.random.fold_in(rng, row)
    np.testing.assert_array_equal(numbers, jax.random.uniform(key, (6,)))


def test_a_name_that_comes_again_has_numbers_by_its_occurrence():
  rows = np.array([4, 9, 4, 4, 2, 9])
  assert occurrences(rows).tolist() == [0, 0, 1, 2, 0, 1]
  rng = jax.random.key(0)
  whole = np.asarray(row_uniforms(rng, rows, 6))
  assert np.unique(whole).size == 36
  for i, (row, again) in {2: (4, 1), 3: (4, 2), 5: (9, 1)}.items():
    key = jax.random.fold_in(jax.random.fold_in(rng, row), again)
    np.testing.assert_array_equal(whole[i], jax.random.uniform(key, (6,)))
  # Part of a batch, as a device has it, is told how often names came before.
  part = row_uniforms(rng, rows[3:], 6, np.array([2, 0, 1]))
  np.testing.assert_array_equal(part, whole[3:])


def test_iterations_and_rows_share_no_number():
  """Fresh for every step of every row, on any device (checklist 40)."""
  rng, rows = jax.random.key(0), np.arange(50)
  numbers = np.concatenate(
    [row_uniforms(jax.random.fold_in(rng, step), rows, 4) for step in (0, 1)]
  )
  assert numbers.size == np.unique(numbers).size == 400
  assert np.all((numbers >= 0) & (numbers < 1))


def test_numbers_of_neighbours_are_uncorrelated():
  numbers = np.asarray(row_uniforms(jax.random.key(7), np.arange(SAMPLES), 2))
  bound = 4 / SAMPLES**0.5
  assert abs(np.corrcoef(numbers.T)[0, 1]) < bound
  assert abs(np.corrcoef(numbers[1:, 0], numbers[:-1, 0])[0, 1]) < bound
  assert abs(numbers.mean() - 0.5) < bound
