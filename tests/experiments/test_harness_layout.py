"""Rows and batches of the harness's requests, by hand and by a naive twin."""

import numpy as np
import pytest

from experiments.harness import layout


def test_letters_cost_their_context_once():
  requests = [([4, 5, 6], [k]) for k in (7, 8, 9)]
  (row,) = layout.rows_of(requests, 100)
  assert row.tokens == [4, 5, 6]
  assert row.segment == [1, 1, 1]
  assert row.reads == [2, 2, 2]
  assert row.targets == [7, 8, 9]
  assert row.spans == [(0, 0, 1), (1, 1, 2), (2, 2, 3)]


def test_continuations_of_one_context_stand_one_after_the_other():
  requests = [([4, 5], [7, 8, 9]), ([1], [2]), ([4, 5], [3]), ([4, 5], [6, 6])]
  second, first = layout.rows_of(requests, 100)
  assert first.tokens == [4, 5, 7, 8, 6]
  assert first.segment == [1, 1, 2, 2, 4]
  assert first.prefix == 2
  assert first.reads == [1, 2, 3, 1, 1, 4]
  assert first.targets == [7, 8, 9, 3, 6, 6]
  assert first.spans == [(0, 0, 3), (2, 3, 4), (3, 4, 6)]
  assert second.spans == [(1, 0, 1)]


def test_questions_after_the_same_examples_share_them():
  """Each with two letters; the second question has a longer answer too."""
  asked = [[9] * 10 + [1, 2], [9] * 10 + [3, 4]]
  requests = [(context, [k]) for context in asked for k in (5, 6)]
  (row,) = layout.rows_of([*requests, (asked[1], [7, 8])], 100)
  assert row.tokens == [9] * 10 + [1, 2, 3, 4, 3, 4, 7]
  assert row.segment == [1] * 10 + [2, 2, 3, 3, 4, 4, 4]
  assert row.prefix == 10
  assert row.reads == [11, 11, 13, 13, 15, 16]
  assert row.targets == [5, 6, 5, 6, 7, 8]
  assert [number for number, _, _ in row.spans] == [0, 1, 2, 3, 4]


def test_a_context_that_begins_another_is_read_where_it_ends():
  (row,) = layout.rows_of([([9] * 8, [1]), ([9] * 8 + [2], [3])], 100)
  assert row.tokens == [9] * 8 + [2]
  assert row.reads == [7, 8]


def test_contexts_with_little_in_common_stand_alone():
  """One more would take 15 of the 20 columns it takes alone, or 16 of them."""
  begun = lambda shared: [
    ([9] * shared + [k] * (20 - shared), [1]) for k in (1, 2)
  ]
  assert len(layout.rows_of(begun(5), 100)) == 1
  assert len(layout.rows_of(begun(4), 100)) == 2


def test_a_row_without_room_is_followed_by_another():
  requests = [([1] * 6, [k, 2, 3, 4]) for k in range(3)]
  rows = layout.rows_of(requests, 100, room=12)
  assert [len(row.tokens) for row in rows] == [12, 9]
  assert [[s[0] for s in row.spans] for row in rows] == [[0, 1], [2]]


def test_one_continuation_may_be_longer_than_the_room():
  (row,) = layout.rows_of([([1] * 6, [2] * 9)], 100, room=8)
  assert len(row.tokens) == 14


def test_a_long_context_loses_its_left_and_the_continuation_stays_whole():
  """The input is context and continuation without its last token."""
  context, more = layout.cut_request(list(range(10)), [20, 21], 5)
  assert context == [6, 7, 8, 9]
  assert more == [20, 21]
  assert len(context + more[:-1]) == 5


def test_a_continuation_as_long_as_the_model_keeps_one_token_of_context():
  context, more = layout.cut_request([1, 2, 3], [4] * 5, 5)
  assert (context, len(more)) == ([3], 5)


@pytest.mark.parametrize(
  ('context', 'more', 'said'),
  [
    ([], [1], 'at least one token, got 0 and 1'),
    ([1], [], 'at least one token, got 1 and 0'),
    ([1], [2] * 6, '6 tokens is more than the 5 that the model holds'),
  ],
)
def test_what_no_model_can_answer_is_an_error(context, more, said):
  with pytest.raises(ValueError, match=said):
    layout.cut_request(context, more, 5)


def test_edges_grow_by_a_half_and_a_third_in_turn():
  assert [layout.columns_of(n) for n in (1, 16, 17, 25, 33, 49, 1000)] == [
    16, 16, 24, 32, 48, 64, 1024,
  ]  # fmt: skip
  assert [layout.reads_of(n) for n in (1, 16, 17, 65)] == [16, 16, 64, 256]


def random_requests(seed, count=57):
  rng = np.random.default_rng(seed)
  contexts = [
    rng.integers(1, 50, rng.integers(1, 60)).tolist() for _ in range(20)
  ]
  return [
    (contexts[rng.integers(20)], rng.integers(1, 50, n).tolist())
    for n in rng.integers(1, 12, count)
  ]


def test_every_row_is_in_one_bucket_and_fits_it():
  rows = layout.rows_of(random_requests(0), 200)
  buckets = layout.buckets_of(rows, 256)
  numbers = [k for inside in buckets.values() for k in inside]
  assert sorted(numbers) == list(range(len(rows)))
  for (B, T, S), inside in buckets.items():
    assert B == max(1, 256 // T)
    assert all(len(rows[k].tokens) <= T for k in inside)
    assert all(len(rows[k].reads) <= S for k in inside)


def test_a_half_empty_batch_goes_to_the_next_bucket():
  """8 rows of 24 columns and 1 of 32; B is 10 and 8, two are left over."""
  requests = [([k] * 20, [1]) for k in range(12)] + [([50] * 30, [1])]
  rows = layout.rows_of(requests, 100)
  buckets = layout.buckets_of(rows, 256)
  assert {shape: len(x) for shape, x in buckets.items()} == {
    (10, 24, 16): 10,
    (8, 32, 16): 3,
  }


def test_a_model_of_few_positions_is_never_given_more_columns():
  rows = layout.rows_of([([1] * 17, [2])], 20)
  assert list(layout.buckets_of(rows, 256, widest=20)) == [(12, 20, 16)]


@pytest.mark.parametrize('tokens', [64, 1024])
def test_sums_come_back_in_the_order_of_the_requests(tokens):
  """A model whose log-probability of a token is a function of two tokens.

  The naive twin walks through context + continuation.
  """
  requests = random_requests(1)
  batches = layout.batches_of(layout.rows_of(requests, 200), tokens)
  outputs = []
  for batch in batches:
    tokens_BT, length_B, segment_BT, prefix_B, read_BS, target_BS = batch.arrays
    assert (length_B <= tokens_BT.shape[1]).all()
    assert ((segment_BT > 0).sum(1) == length_B).all()
    assert ((segment_BT == 1).sum(1) == prefix_B).all()
    seen_BS = np.take_along_axis(tokens_BT, read_BS, 1)
    outputs.append((-(seen_BS * 0.25 + target_BS), target_BS % 2 == 0))
  found = layout.gather(batches, outputs, len(requests))
  for (context, more), (logp, greedy) in zip(requests, found, strict=True):
    walked = [context[-1], *more[:-1]]
    assert logp == -sum(a * 0.25 + b for a, b in zip(walked, more, strict=True))
    assert greedy == all(token % 2 == 0 for token in more)


def test_a_log_probability_that_is_no_number_is_an_error():
  batches = layout.batches_of(layout.rows_of([([1], [2])], 9), 16)
  logp_BS = np.full(batches[0].arrays[4].shape, np.nan)
  with pytest.raises(ValueError, match='no number'):
    layout.gather(batches, [(logp_BS, logp_BS > 0)], 1)
