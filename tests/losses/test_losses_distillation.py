"""Twins and identities of rlhf_jax.losses.distillation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlhf_jax.losses import distillation, kl, language

B, T = 2, 4


def logits_pair(V, seed=0, scale=2.0):
  rng = np.random.default_rng(seed)
  return [rng.normal(0, scale, (B, T, V)).astype(np.float32) for _ in range(2)]


def softmax(x_V):
  p_V = np.exp(x_V.astype(np.float64) - x_V.max())
  return p_V / p_V.sum()


def naive_kl(teacher_V, student_V, top):
  """The divergence over buckets of one token, by sorting and adding up."""
  p_V, q_V = softmax(teacher_V), softmax(student_V)
  order = sorted(range(len(p_V)), key=lambda i: -p_V[i])
  buckets = [[i] for i in order[:top]] + [order[top:]]
  total = 0.0
  for ids in buckets:
    p, q = sum(p_V[i] for i in ids), sum(q_V[i] for i in ids)
    total += p * (np.log(p) - np.log(q)) if p > 0 else 0.0
  return total


def divergence(teacher_BTV, student_BTV, top):
  targets = distillation.top_buckets(teacher_BTV, top)
  return distillation.bucketed_kl(student_BTV, *targets)


@pytest.mark.parametrize(('V', 'top'), [(9, 3), (60, 50), (60, 1)])
def test_divergence_over_buckets_equals_a_loop(V, top):
  teacher_BTV, student_BTV = logits_pair(V)
  expected_BT = np.zeros((B, T))
  for b in range(B):
    for t in range(1, T):
      expected_BT[b, t] = naive_kl(
        teacher_BTV[b, t - 1], student_BTV[b, t - 1], top
      )
  kl_BT = divergence(teacher_BTV, student_BTV, top)
  np.testing.assert_allclose(kl_BT, expected_BT, atol=1e-5)
  assert np.all(np.asarray(kl_BT)[:, 0] == 0.0)


@pytest.mark.parametrize('scale', [0.1, 1.0, 3.0])
def test_buckets_never_raise_the_divergence(scale):
  """Data-processing inequality (claim 50, checklist 30)."""
  teacher_BTV, student_BTV = logits_pair(60, scale=scale)
  full_BT = np.asarray(kl.kl_exact(teacher_BTV, student_BTV))
  before_BT = full_BT
  for top in (50, 20, 5, 1):  # coarser and coarser
    kl_BT = np.asarray(divergence(teacher_BTV, student_BTV, top))
    # float32 sums: 60 terms, none above the largest log ratio, some 20 nats.
    assert np.all(kl_BT <= before_BT + 1e-5)
    before_BT = kl_BT
  assert kl_BT.max() < full_BT.max()


@pytest.mark.parametrize('V', [7, 50])
def test_with_all_ids_kept_it_is_the_whole_divergence(V):
  teacher_BTV, student_BTV = logits_pair(V)
  full_BT = kl.kl_exact(teacher_BTV, student_BTV)
  kl_BT = divergence(teacher_BTV, student_BTV, distillation.TOP)
  np.testing.assert_allclose(kl_BT, full_BT, atol=1e-5)


def test_buckets_hold_all_of_the_probability_and_fall():
  logits_BTV, _ = logits_pair(60)
  logp_BTC, id_BTK = distillation.top_buckets(logits_BTV)
  assert logp_BTC.shape == (B, T, 51) and id_BTK.shape == (B, T, 50)
  np.testing.assert_allclose(np.exp(logp_BTC[:, 1:]).sum(-1), 1.0, atol=1e-5)
  assert np.all(np.diff(logp_BTC[:, 1:, :50], axis=-1) <= 0)
  best_BT = np.asarray(logits_BTV[:, :-1]).argmax(-1)
  np.testing.assert_array_equal(id_BTK[:, 1:, 0], best_BT)


def test_a_student_equal_to_its_teacher_has_no_loss_and_no_gradient():
  logits_BTV, _ = logits_pair(60)
  targets = distillation.top_buckets(logits_BTV)
  loss = lambda x_BTV: distillation.bucketed_kl(x_BTV, *targets).sum()
  value, grad_BTV = jax.value_and_grad(loss)(jnp.asarray(logits_BTV))
  assert float(value) < 1e-5
  np.testing.assert_allclose(grad_BTV, 0.0, atol=1e-5)


@pytest.mark.parametrize('V', [5, 60])
def test_gradient_is_student_minus_teacher_within_each_bucket(V):
  """d KL / d logit_v = q_v - p_k q_v / q_k, k the bucket of v."""
  teacher_BTV, student_BTV = logits_pair(V)
  targets = distillation.top_buckets(teacher_BTV)
  loss = lambda x_BTV: distillation.bucketed_kl(x_BTV, *targets).sum()
  grad_BTV = np.asarray(jax.grad(loss)(jnp.asarray(student_BTV)))
  p_V, q_V = softmax(teacher_BTV[0, 1]), softmax(student_BTV[0, 1])
  kept = np.argsort(-p_V)[:50]
  rest = np.setdiff1d(np.arange(V), kept)
  expected_V = q_V - p_V
  if len(rest):
    expected_V[rest] = q_V[rest] * (1 - p_V[rest].sum() / q_V[rest].sum())
  np.testing.assert_allclose(grad_BTV[0, 1], expected_V, atol=1e-5)
  assert np.all(grad_BTV[:, -1] == 0.0)


def test_tokens_that_a_model_rules_out_stay_finite():
  teacher_BTV, student_BTV = logits_pair(60)
  teacher_BTV[..., 10:] = -np.inf
  targets = distillation.top_buckets(teacher_BTV)
  student_BTV[..., :5] = -1e9
  loss = lambda x_BTV: distillation.bucketed_kl(x_BTV, *targets).sum()
  value, grad_BTV = jax.value_and_grad(loss)(jnp.asarray(student_BTV))
  assert np.isfinite(value) and value <= T * B * -language.LOG_FLOOR
  assert np.isfinite(grad_BTV).all()
