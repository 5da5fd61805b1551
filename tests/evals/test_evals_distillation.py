"""What the buckets leave out, and the divergence of whole texts."""

import numpy as np

from rlhf_jax.evals.distillation import divergences, make_target_divergence
from rlhf_jax.losses import distillation
from rlhf_jax.types import DistilBatch


def test_divergences_of_four_ids_by_hand():
  p_V, q_V = np.array([0.5, 0.25, 0.125, 0.125]), np.full(4, 0.25)
  full_N, kept_N = divergences(np.log([p_V]), np.log([q_V]), 1)
  # .5 log 2 + 0 - .25 log 2; one id and the rest: .5 log 2 + .5 log (2 / 3).
  np.testing.assert_allclose(full_N, [0.25 * np.log(2)])
  np.testing.assert_allclose(kept_N, [0.5 * np.log(2) + 0.5 * np.log(2 / 3)])


def test_buckets_are_a_lower_bound_and_exact_where_all_ids_are_kept():
  rng = np.random.default_rng(0)
  p_NV, q_NV = 3 * rng.standard_normal((2, 500, 60))
  full_N, kept_N = divergences(p_NV, q_NV, 50)
  assert (kept_N <= full_N + 1e-12).all() and (kept_N < full_N).any()
  full_N, kept_N = divergences(p_NV[:, :50], q_NV[:, :50], 50)
  np.testing.assert_allclose(full_N, kept_N, atol=1e-12)


def test_divergence_of_texts_counts_all_tokens_but_the_first():
  rng = np.random.default_rng(1)
  logits_BTV = rng.standard_normal((2, 3, 4, 7)).astype(np.float32)
  teacher, student = logits_BTV
  targets = distillation.top_buckets(teacher, 3)
  tokens_BT, length_B = np.zeros((3, 4), np.int32), np.int32([4, 2, 1])
  batch = DistilBatch(tokens_BT, length_B, *targets)
  divergence = make_target_divergence(lambda params, tokens, length: params)
  nats_B, tokens_B = divergence(student, batch)
  np.testing.assert_array_equal(tokens_B, [3, 1, 0])
  for b, length in enumerate(length_B):
    _, kept_N = divergences(
      teacher[b, : length - 1], student[b, : length - 1], 3
    )
    np.testing.assert_allclose(nats_B[b], kept_N.sum(), atol=1e-5)
