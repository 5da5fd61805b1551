"""Twins, closed forms and bounds of rlhf_jax.losses.kl."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlhf_jax.losses import kl, language

V = 5
LOGITS_V = np.array([0.5, -1.0, 0.0, 1.5, -0.3], np.float32)
REF_LOGITS_V = np.array([-0.2, 0.4, 0.1, 0.3, 1.0], np.float32)
LOGP_V = np.asarray(jax.nn.log_softmax(LOGITS_V))
REF_LOGP_V = np.asarray(jax.nn.log_softmax(REF_LOGITS_V))
P_V, Q_V = np.exp(LOGP_V), np.exp(REF_LOGP_V)
KL_PQ = float(np.sum(P_V * np.log(P_V / Q_V)))
ESTIMATORS = {'k1': kl.kl_k1, 'k2': kl.kl_k2, 'k3': kl.kl_k3}


def grad_kl_forward():
  """d KL(p || q) / d logits = p (log p/q - KL)."""
  return P_V * (np.log(P_V / Q_V) - KL_PQ)


def logits_pair(seed=0, shape=(2, 4, 6), scale=2.0):
  rng = np.random.default_rng(seed)
  return [rng.normal(0, scale, shape).astype(np.float32) for _ in range(2)]


def test_estimators_equal_a_loop():
  rng = np.random.default_rng(0)
  logp_BT, ref_logp_BT = -rng.exponential(2.0, (2, 3, 4)).astype(np.float32)
  got = {name: k(logp_BT, ref_logp_BT) for name, k in ESTIMATORS.items()}
  for b in range(3):
    for t in range(4):
      log_r = float(ref_logp_BT[b, t]) - float(logp_BT[b, t])
      assert np.isclose(got['k1'][b, t], -log_r, atol=1e-6)
      assert np.isclose(got['k2'][b, t], log_r**2 / 2, atol=1e-5)
      expected = np.exp(log_r) - 1 - log_r
      assert np.isclose(got['k3'][b, t], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('temperature', [0.7, 1.0])
def test_exact_divergence_equals_a_loop(temperature):
  logits_BTV, ref_BTV = logits_pair()
  expected_BT = np.zeros((2, 4))
  for b in range(2):
    for t in range(1, 4):
      p = np.exp(logits_BTV[b, t - 1].astype(np.float64) / temperature)
      q = np.exp(ref_BTV[b, t - 1].astype(np.float64) / temperature)
      p, q = p / p.sum(), q / q.sum()
      expected_BT[b, t] = np.sum(p * np.log(p / q))
  kl_BT = kl.kl_exact(logits_BTV, ref_BTV, temperature)
  np.testing.assert_allclose(kl_BT, expected_BT, atol=1e-5)
  assert np.all(np.asarray(kl_BT)[:, 0] == 0.0)


@pytest.mark.parametrize('scale', [1e-7, 1e-3, 1.0, 30.0])
def test_divergences_are_never_negative(scale):
  """k3 pointwise and the exact sum are at least 0 (checklist 46)."""
  logits_BTV, _ = logits_pair(1, (4, 64, 8))
  noise_BTV, _ = logits_pair(2, (4, 64, 8), scale)
  exact_BT = kl.kl_exact(logits_BTV, logits_BTV + noise_BTV)
  assert np.all(np.asarray(exact_BT) >= 0.0)
  k3_BTV = kl.kl_k3(logits_BTV, logits_BTV + noise_BTV)
  assert np.all(np.asarray(k3_BTV) >= 0.0)


def test_mean_k1_and_k3_agree_with_the_exact_sum():
  """Monte Carlo: within 3 standard errors of exact (checklist 46)."""
  n = 20_000
  logits_BTV = np.broadcast_to(LOGITS_V, (1, 2, V))
  ref_BTV = np.broadcast_to(REF_LOGITS_V, (1, 2, V))
  exact = float(kl.kl_exact(logits_BTV, ref_BTV)[0, 1])
  assert np.isclose(exact, KL_PQ, atol=1e-6)
  p_V = P_V.astype(np.float64)
  tokens_N = np.random.default_rng(0).choice(V, n, p=p_V / p_V.sum())
  for estimator in (kl.kl_k1, kl.kl_k3):
    sample_N = np.asarray(estimator(LOGP_V[tokens_N], REF_LOGP_V[tokens_N]))
    standard_error = sample_N.std(ddof=1) / np.sqrt(n)
    assert abs(sample_N.mean() - exact) < 3 * standard_error


def test_gradient_of_the_exact_sum_equals_the_closed_form():
  """d KL / d logits = p (log p/q - KL) (checklist 48)."""

  def total(logits_V):
    logits_BTV = jnp.broadcast_to(logits_V, (1, 2, V))
    return kl.kl_exact(logits_BTV, jnp.broadcast_to(REF_LOGITS_V, (1, 2, V)))[
      0, 1
    ]

  gradient_V = jax.grad(total)(LOGITS_V)
  np.testing.assert_allclose(gradient_V, grad_kl_forward(), atol=1e-6)


@pytest.mark.parametrize('name', ['k1', 'k2', 'k3'])
def test_gradient_of_an_expectation_over_all_symbols(name):
  """Through p and k: exact for k1 and k3, k2 is biased (checklist 48)."""

  def expectation(logits_V):
    logp_V = jax.nn.log_softmax(logits_V)
    return jnp.sum(jnp.exp(logp_V) * ESTIMATORS[name](logp_V, REF_LOGP_V))

  gradient_V = np.asarray(jax.grad(expectation)(LOGITS_V))
  log_V = np.log(P_V / Q_V)
  closed_V = grad_kl_forward()
  if name == 'k2':
    term_V = 0.5 * log_V**2 + log_V
    closed_V = P_V * (term_V - np.sum(P_V * term_V))
    assert np.max(np.abs(closed_V - grad_kl_forward())) > 0.05
  np.testing.assert_allclose(gradient_V, closed_V, atol=1e-6)


@pytest.mark.parametrize('name', ['k1', 'k2', 'k3'])
def test_gradient_with_the_sample_held_fixed(name):
  """As a loss: only k2 is unbiased for KL(p||q) (checklist 48)."""

  def expectation(logits_V):
    logp_V = jax.nn.log_softmax(logits_V)
    return jnp.sum(P_V * ESTIMATORS[name](logp_V, REF_LOGP_V))

  gradient_V = np.asarray(jax.grad(expectation)(LOGITS_V))
  closed_V = {'k1': np.zeros(V), 'k2': grad_kl_forward(), 'k3': P_V - Q_V}[name]
  np.testing.assert_allclose(gradient_V, closed_V, atol=1e-6)
  biased = np.max(np.abs(gradient_V - grad_kl_forward())) > 0.05
  assert biased == (name != 'k2')


@pytest.mark.parametrize('name', ['k1', 'k2', 'k3'])
def test_gradient_with_the_estimator_in_the_reward(name):
  """Mean of k * grad log p: only k1 is unbiased (checklist 48)."""

  def expectation(logits_V):
    logp_V = jax.nn.log_softmax(logits_V)
    k_V = jax.lax.stop_gradient(ESTIMATORS[name](logp_V, REF_LOGP_V))
    return jnp.sum(P_V * k_V * logp_V)

  gradient_V = np.asarray(jax.grad(expectation)(LOGITS_V))
  log_V, r_V = np.log(P_V / Q_V), Q_V / P_V
  k_V = {'k1': log_V, 'k2': log_V**2 / 2, 'k3': r_V - 1 + log_V}[name]
  closed_V = P_V * (k_V - np.sum(P_V * k_V))
  np.testing.assert_allclose(gradient_V, closed_V, atol=1e-6)
  biased = np.max(np.abs(gradient_V - grad_kl_forward())) > 0.05
  assert biased == (name != 'k1')


@pytest.mark.parametrize('temperature', [0.7, 1.0, 2.0])
def test_equal_models_have_no_divergence(temperature):
  """Actor = reference gives 0 exactly at any temperature (checklist 43)."""
  logits_BTV, _ = logits_pair()
  tokens_BT = np.argmax(logits_BTV, axis=-1)
  logp_BT = language.token_logps(logits_BTV, tokens_BT, temperature)
  for estimator in ESTIMATORS.values():
    assert jnp.sum(estimator(logp_BT, logp_BT)) == 0.0
  assert jnp.sum(kl.kl_exact(logits_BTV, logits_BTV, temperature)) == 0.0


def test_an_impossible_reference_token_gives_a_finite_clamped_value():
  """A reference log-prob of -inf is clamped (checklist 55)."""
  limit = kl.MAX_LOG_RATIO
  logp, ref_logp = np.float32([-1.0]), np.float32([-np.inf])
  expected = {'k1': limit, 'k2': limit**2 / 2, 'k3': limit - 1}
  for name, estimator in ESTIMATORS.items():
    value, pullback = jax.vjp(estimator, logp, ref_logp)
    assert np.isclose(value[0], expected[name])
    for gradient in pullback(jnp.ones(1)):
      assert np.all(np.isfinite(gradient))
  assert np.isclose(kl.kl_k1(ref_logp, logp)[0], -limit)
  assert np.isfinite(kl.kl_k3(ref_logp, logp)[0])


@pytest.mark.parametrize('impossible', [-np.inf, -1e30])
def test_the_exact_sum_is_finite_outside_the_support(impossible):
  """Half the mass where the reference has none (checklist 55)."""
  logits_BTV = np.zeros((1, 2, 4), np.float32)
  ref_BTV = np.zeros((1, 2, 4), np.float32)
  logits_BTV[0, 0, 2:] = impossible  # p = 1/2, 1/2, 0, 0
  ref_BTV[0, 0, 1:3] = impossible  # q = 1/2, 0, 0, 1/2
  total = lambda x, y: kl.kl_exact(x, y).sum()
  value, gradients = jax.value_and_grad(total, (0, 1))(logits_BTV, ref_BTV)
  assert np.isclose(value, 0.5 * kl.MAX_LOG_RATIO)
  for gradient in gradients:
    assert np.all(np.isfinite(gradient))


def test_adaptive_coefficient_follows_its_table():
  """Hand table of Ziegler et al.; n counts episodes (checklist 52)."""
  table = [
    # coef, kl, episodes, target, horizon, expected
    (0.15, 6.0, 256, 6.0, 10_000, 0.15),
    (0.15, 60.0, 256, 6.0, 10_000, 0.15 * 1.00512),
    (0.15, 0.0, 256, 6.0, 10_000, 0.15 * 0.99488),
    (0.10, 6.6, 1_000, 6.0, 10_000, 0.10 * 1.01),
    (0.10, 5.7, 5_000, 6.0, 10_000, 0.10 * 0.975),
    (2.00, -9.0, 10_000, 6.0, 10_000, 2.0 * 0.8),
  ]
  for coef, measured, episodes, target, horizon, expected in table:
    got = kl.adaptive_kl_coef(coef, measured, episodes, target, horizon)
    assert np.isclose(got, expected, rtol=1e-6)


@pytest.mark.parametrize('value', [0, -1.0, np.float32(0), float('nan')])
def test_adaptive_coefficient_refuses_senseless_settings(value):
  """target <= 0 and horizon <= 0 are errors (checklist 52)."""
  with pytest.raises(ValueError, match='target must be positive'):
    kl.adaptive_kl_coef(0.1, 1.0, 10, value, 100)
  with pytest.raises(ValueError, match='horizon must be positive'):
    kl.adaptive_kl_coef(0.1, 1.0, 10, 6.0, value)


def test_adaptive_coefficient_can_be_traced():
  got = jax.jit(kl.adaptive_kl_coef)(0.1, 6.6, 1_000, 6.0, 10_000)
  assert np.isclose(got, 0.101)
