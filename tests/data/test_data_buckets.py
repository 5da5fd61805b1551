"""Length buckets: every row, its share, no token lost, a saved position."""

import numpy as np
import pytest

from rlhf_jax.data.buckets import BucketedBatches
from rlhf_jax.types import Prompts


def _prompts(lengths, P=12):
  lengths = np.asarray(lengths, np.int32)
  tokens = np.where(
    np.arange(P) < lengths[:, None], np.arange(len(lengths))[:, None] + 1, 0
  )
  return Prompts(
    tokens.astype(np.int32), lengths, np.arange(len(lengths), dtype=np.int32)
  )


def _batches(lengths, edges, batch_size=4, seed=0):
  prompts = _prompts(lengths)
  return BucketedBatches(prompts, prompts.length_B, edges, batch_size, seed)


LENGTHS = [2, 3, 4, 1] * 6 + [7, 8] * 4 + [12] * 4


def test_a_batch_holds_one_bucket_and_loses_no_token():
  batches = _batches(LENGTHS, (4, 8, 12))
  for _ in range(30):
    batch = next(batches)
    P = batch.tokens_BP.shape[1]
    low = {4: 0, 8: 4, 12: 8}[P]
    assert ((batch.length_B > low) & (batch.length_B <= P)).all()
    np.testing.assert_array_equal((batch.tokens_BP > 0).sum(1), batch.length_B)
    np.testing.assert_array_equal(batch.tokens_BP[:, 0], batch.row_B + 1)


def test_after_an_epoch_of_batches_every_row_was_seen_once():
  batches = _batches(LENGTHS, (4, 8, 12))
  rows = np.concatenate([next(batches).row_B for _ in range(len(LENGTHS) // 4)])
  np.testing.assert_array_equal(np.sort(rows), np.arange(len(LENGTHS)))


def test_each_bucket_has_its_share_to_within_a_batch_at_any_time():
  batches = _batches(LENGTHS, (4, 8, 12))
  share = {4: 24 / 36, 8: 8 / 36, 12: 4 / 36}
  served = dict.fromkeys(share, 0)
  for n in range(1, 60):
    served[next(batches).tokens_BP.shape[1]] += 1
    for edge, part in share.items():
      assert abs(served[edge] - n * part) <= 1.0 + 1e-9


def test_a_bucket_smaller_than_a_batch_joins_a_larger_neighbour():
  assert _batches([2] * 8 + [6] * 2 + [12] * 4, (4, 8, 12)).edges == (4, 12)
  assert _batches([2] * 8 + [12] * 2, (4, 12)).edges == (12,)


@pytest.mark.parametrize(
  ('lengths', 'edges'),
  [
    ([2] * 6 + [12] * 2, (12,)),  # the last bucket joins the one before
    ([2] * 3 + [12] * 5, (12,)),  # the first joins the one after
    ([2] * 5 + [6] * 1 + [12] * 2, (12,)),  # nobody after the first is enough
    ([2] * 4 + [6] * 2 + [12] * 2, (4, 12)),
  ],
)
def test_rows_of_small_buckets_are_seen_as_often_as_any(lengths, edges):
  """Two epochs of eight rows: each twice, with all of its tokens."""
  batches = _batches(lengths, (4, 8, 12))
  assert batches.edges == edges
  seen = [next(batches) for _ in range(4)]
  rows = np.concatenate([batch.row_B for batch in seen])
  np.testing.assert_array_equal(np.bincount(rows, minlength=8), np.full(8, 2))
  for batch in seen:
    np.testing.assert_array_equal((batch.tokens_BP > 0).sum(1), batch.length_B)


def test_a_saved_position_continues_the_same_stream():
  batches = _batches(LENGTHS, (4, 8, 12), seed=3)
  for _ in range(5):
    next(batches)
  state = batches.get_state()
  wanted = [next(batches).row_B for _ in range(6)]
  again = _batches(LENGTHS, (4, 8, 12), seed=3)
  again.set_state(state)
  for rows in wanted:
    np.testing.assert_array_equal(next(again).row_B, rows)


def test_wrong_edges_and_foreign_states_are_refused():
  with pytest.raises(ValueError, match='an edge of at least 12'):
    _batches(LENGTHS, (4, 8))
  state = _batches(LENGTHS, (4, 12)).get_state()
  with pytest.raises(ValueError, match='the state of buckets'):
    _batches(LENGTHS, (4, 8, 12)).set_state(state)


def test_shares_of_buckets_are_their_batches():
  """Two processes; what is said of the rows is of both."""
  prompts, whole = _prompts(LENGTHS), _batches(LENGTHS, (4, 8, 12))
  shared = [
    BucketedBatches(
      prompts,
      prompts.length_B,
      (4, 8, 12),
      4,
      0,
      lambda rows_B, i=i: rows_B[i : i + 2],
    )
    for i in (0, 2)
  ]
  for _ in range(12):
    wanted, parts = next(whole), [next(batches) for batches in shared]
    for name, column in wanted._asdict().items():
      own = np.concatenate([getattr(part, name) for part in parts])
      np.testing.assert_array_equal(own, column)
    assert shared[0].last_rows.tolist() == whole.last_rows.tolist()
