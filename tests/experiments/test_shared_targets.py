"""A teacher's distributions on disk, and what a student reads of them."""

import jax.numpy as jnp
import numpy as np
import pytest

from experiments import make_targets
from experiments.shared import targets
from rlhf_jax.digests import DamagedError
from rlhf_jax.evals.distillation import divergences
from rlhf_jax.losses import distillation
from rlhf_jax.train import objectives

N, T, V, K = 5, 6, 9, 3
LENGTH_N = np.int32([6, 1, 3, 2, 4])


@pytest.fixture
def written(tmp_path):
  """(path, tokens, logits of the teacher) of five texts in calls of two."""
  rng = np.random.default_rng(0)
  tokens_NT = rng.integers(0, V, (N, T)).astype(np.int32)
  table_VV = rng.standard_normal((V, V)).astype(np.float32)
  top = lambda tokens, length: distillation.top_buckets(
    jnp.asarray(table_VV)[tokens], K
  )
  rows, kinds = (tokens_NT, LENGTH_N), np.arange(N) % 2
  path = tmp_path / 'targets.npz'
  count = targets.write_targets(path, rows, kinds, top, 2, V)
  assert count == (LENGTH_N - 1).sum()
  return path, tokens_NT, table_VV


def test_places_are_those_of_all_tokens_but_the_first():
  row_M, column_M = targets.places(np.int32([3, 1, 0, 2]))
  assert row_M.tolist() == [0, 0, 3] and column_M.tolist() == [1, 2, 1]


def test_what_is_read_is_what_the_teacher_said_of_each_token(written):
  path, tokens_NT, table_VV = written
  batch, kind_N = targets.read_targets(path)
  np.testing.assert_array_equal(batch.tokens_BT, tokens_NT)
  np.testing.assert_array_equal(kind_N, np.arange(N) % 2)
  for n, length in enumerate(LENGTH_N):
    for t in range(1, length):
      logp_V = table_VV[tokens_NT[n, t - 1]].astype(np.float64)
      logp_V -= np.log(np.exp(logp_V).sum())
      ids = np.argsort(-logp_V)
      np.testing.assert_array_equal(batch.target_id_BTK[n, t], ids[:K])
      rest = np.log(np.exp(logp_V[ids[K:]]).sum())
      wanted = [*logp_V[ids[:K]], rest]
      np.testing.assert_allclose(batch.target_logp_BTC[n, t], wanted, atol=1e-5)
  assert not batch.target_logp_BTC[1].any()


def test_the_objective_is_the_mean_over_all_tokens_but_the_first(written):
  path, tokens_NT, table_VV = written
  batch, _ = targets.read_targets(path)
  student = lambda params, tokens, length: params[tokens]
  objective = objectives.distil_objective(student)
  params = jnp.asarray(table_VV[::-1].copy())
  loss, _ = objective.loss_fn(params, batch)
  kl_BT = np.asarray(
    distillation.bucketed_kl(
      params[tokens_NT], batch.target_logp_BTC, batch.target_id_BTK
    )
  )
  total = sum(kl_BT[n, 1:length].sum() for n, length in enumerate(LENGTH_N))
  count = (LENGTH_N - 1).sum()
  np.testing.assert_allclose(float(loss), total / count, rtol=1e-5)
  assert float(objective.weight_fn(batch)) == count
  same, _ = objective.loss_fn(jnp.asarray(table_VV), batch)
  assert float(same) < 1e-6 < float(loss)


def test_a_file_that_lacks_an_array_is_named(tmp_path):
  np.savez(tmp_path / 'x.npz', tokens_NT=np.zeros((1, 2)))
  with pytest.raises(DamagedError, match='lacks length_N, kind_N, row_M'):
    targets.read_targets(tmp_path / 'x.npz')


def test_prefixes_are_kept_and_folders_of_before_have_none(tmp_path):
  assert targets.student_prefix(tmp_path) == ()
  targets.write_prefixes(tmp_path, [1, 2, 3], [4, 5])
  assert targets.student_prefix(tmp_path) == (4, 5)


def test_buckets_are_of_real_tokens_alone_text_by_text():
  rng = np.random.default_rng(0)
  teacher_NTV, plain_NTV = rng.standard_normal((2, N, T, V))
  rows = np.zeros((N, T), np.int32), LENGTH_N
  whole, few = make_targets.bucket_rows(
    lambda *rows: teacher_NTV, lambda *rows: plain_NTV, rows, K
  )
  inside = [(n, t) for n, size in enumerate(LENGTH_N) for t in range(size - 1)]
  p_MV, q_MV = (
    np.array([x[place] for place in inside]) for x in (teacher_NTV, plain_NTV)
  )
  full_M, kept_M = divergences(p_MV, q_MV, K)
  assert (whole['ids'], whole['top'], whole['tokens']) == (V, K, len(inside))
  assert whole['full'] == pytest.approx(full_M.mean())
  assert whole['bucketed'] == pytest.approx(kept_M.mean())
  assert whole['largest_excess'] == pytest.approx((kept_M - full_M).max())
  assert (
    few['ids'] == K and few['largest_excess'] == 0 == few['smallest_excess']
  )
