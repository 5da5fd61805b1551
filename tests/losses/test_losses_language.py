"""Twins of rlhf_jax.losses.language."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlhf_jax.losses import language, masked

B, T, V = 3, 5, 7
TEMPERATURES = [0.7, 1.0, 1.6]


def inputs(seed=0):
  rng = np.random.default_rng(seed)
  logits_BTV = rng.normal(0.0, 2.0, (B, T, V)).astype(np.float32)
  return logits_BTV, rng.integers(0, V, (B, T))


def naive_distribution(logits_V, temperature):
  weights_V = np.exp(logits_V.astype(np.float64) / temperature)
  return weights_V / weights_V.sum()


@pytest.mark.parametrize('temperature', TEMPERATURES)
def test_token_logps_equal_a_loop(temperature):
  logits_BTV, tokens_BT = inputs()
  expected_BT = np.zeros((B, T))
  for b in range(B):
    for t in range(1, T):
      p_V = naive_distribution(logits_BTV[b, t - 1], temperature)
      expected_BT[b, t] = np.log(p_V[tokens_BT[b, t]])
  logp_BT = language.token_logps(logits_BTV, tokens_BT, temperature)
  np.testing.assert_allclose(logp_BT, expected_BT, atol=1e-5)
  assert logp_BT.dtype == jnp.float32


@pytest.mark.parametrize('temperature', TEMPERATURES)
def test_entropy_equals_a_loop(temperature):
  """Entropy of the real tokens equals numpy, at least 0 (checklist 80)."""
  logits_BTV, _ = inputs()
  expected_BT = np.zeros((B, T))
  for b in range(B):
    for t in range(1, T):
      p_V = naive_distribution(logits_BTV[b, t - 1], temperature)
      expected_BT[b, t] = -np.sum(p_V * np.log(p_V))
  entropy_BT = language.entropy(logits_BTV, temperature)
  np.testing.assert_allclose(entropy_BT, expected_BT, atol=1e-5)
  assert np.all(np.asarray(entropy_BT) >= 0.0)


def test_entropy_of_known_distributions():
  logits_BTV = np.zeros((1, 4, 4), np.float32)
  logits_BTV[0, 1] = [0.0, 0.0, -np.inf, -np.inf]
  logits_BTV[0, 2] = [0.0, -np.inf, -1e30, -np.inf]
  entropy_T = language.entropy(logits_BTV)[0]
  np.testing.assert_allclose(
    entropy_T, [0.0, np.log(4), np.log(2), 0.0], atol=1e-6
  )
  gradient = jax.grad(lambda x: language.entropy(x).sum())(logits_BTV)
  assert np.all(np.isfinite(gradient))


def test_bfloat16_logits_are_scored_in_float32():
  logits_BTV, tokens_BT = inputs()
  rounded_BTV = jnp.asarray(logits_BTV, jnp.bfloat16)
  np.testing.assert_array_equal(
    language.token_logps(rounded_BTV, tokens_BT),
    language.token_logps(rounded_BTV.astype(jnp.float32), tokens_BT),
  )


def test_next_token_loss_equals_a_loop_over_the_masked_tokens():
  """The loss is the mean over real tokens (checklist 80)."""
  logits_BTV, tokens_BT = inputs()
  length_B = np.array([2, 5, 1])
  mask_BT = masked.length_mask(length_B, T)
  terms = []
  for b in range(B):
    for t in range(1, length_B[b]):
      p_V = naive_distribution(logits_BTV[b, t - 1], 1.0)
      terms.append(-np.log(p_V[tokens_BT[b, t]]))
  assert len(terms) == 5  # token 0 has no prediction and does not count
  loss = language.next_token_loss(logits_BTV, tokens_BT, mask_BT)
  assert np.isclose(loss, np.mean(terms), atol=1e-5)


def test_uniform_logits_cost_log_vocabulary_at_any_temperature():
  _, tokens_BT = inputs()
  for temperature in TEMPERATURES:
    loss = language.next_token_loss(
      np.ones((B, T, V), np.float32), tokens_BT, np.ones((B, T)), temperature
    )
    assert np.isclose(loss, np.log(V))


def test_padding_changes_neither_loss_nor_gradient():
  """NaN logits at unlearned positions reach no gradient (checklist 77)."""
  logits_BTV, tokens_BT = inputs()
  prompt_B, length_B = np.array([1, 2, 3]), np.array([3, 5, 4])
  mask_BT = np.asarray(masked.reply_mask(prompt_B, length_B, T))
  learned_BT = np.zeros((B, T), bool)
  learned_BT[:, :-1] = mask_BT[:, 1:] > 0
  junk_BTV = np.where(learned_BT[..., None], logits_BTV, np.nan)
  function = jax.value_and_grad(language.next_token_loss)
  loss, gradient = function(logits_BTV, tokens_BT, mask_BT)
  junk_loss, junk_gradient = function(junk_BTV, tokens_BT, mask_BT)
  assert loss == junk_loss
  np.testing.assert_array_equal(gradient, junk_gradient)
  assert np.all(np.asarray(gradient)[~learned_BT] == 0.0)
  assert np.all(np.any(np.asarray(gradient)[learned_BT] != 0.0, axis=-1))


def test_the_gradient_is_the_distribution_minus_the_token():
  logits_BTV, tokens_BT = inputs()
  mask_BT = np.zeros((B, T))
  mask_BT[1, 3] = 1
  gradient = jax.grad(language.next_token_loss)(logits_BTV, tokens_BT, mask_BT)
  p_V = naive_distribution(logits_BTV[1, 2], 1.0)
  p_V[tokens_BT[1, 3]] -= 1.0
  np.testing.assert_allclose(gradient[1, 2], p_V, atol=1e-6)


@pytest.mark.parametrize('temperature', TEMPERATURES)
def test_equal_models_have_equal_log_probabilities(temperature):
  """Actor = reference: the sum of log-ratios is exactly 0 (checklist 43)."""
  logits_BTV, tokens_BT = inputs()
  actor_BT = language.token_logps(logits_BTV, tokens_BT, temperature)
  reference_BT = language.token_logps(logits_BTV, tokens_BT, temperature)
  assert jnp.sum(actor_BT - reference_BT) == 0.0
  if temperature != 1.0:
    untempered_BT = language.token_logps(logits_BTV, tokens_BT)
    assert abs(jnp.sum(actor_BT - untempered_BT)) > 0.1


@pytest.mark.parametrize('temperature', [0, 0.0, -1.0, float('nan')])
def test_a_temperature_that_is_not_positive_is_refused(temperature):
  logits_BTV, tokens_BT = inputs()
  with pytest.raises(ValueError, match='temperature must be positive'):
    language.token_logps(logits_BTV, tokens_BT, temperature)


def test_sequence_logps_equal_a_loop():
  rng = np.random.default_rng(0)
  logp_BT = rng.normal(size=(B, T)).astype(np.float32)
  mask_BT = np.array([[0, 1, 1, 0, 0], [0, 0, 1, 1, 1], [0, 0, 0, 0, 0]])
  whole_B, each_B = language.sequence_logps(logp_BT, mask_BT)
  for b in range(B):
    terms = [logp_BT[b, t] for t in range(T) if mask_BT[b, t]]
    np.testing.assert_allclose(whole_B[b], sum(terms), atol=1e-6)
    mean = sum(terms) / len(terms) if terms else 0.0
    np.testing.assert_allclose(each_B[b], mean, atol=1e-6)


def test_a_masked_nan_reaches_no_sequence():
  logp_BT = np.float32([[-1.0, np.nan, -3.0]])
  found = language.sequence_logps(logp_BT, np.array([[1, 0, 1]]))
  assert [float(x[0]) for x in found] == [-4.0, -2.0]
