"""Packing: every token once, in order, with its segment and its mask."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlhf_jax.data.packing import (
  PackedBatches,
  best_fit,
  fill_rows,
  pack,
  row_counts,
)
from rlhf_jax.data.pipeline import Batches
from rlhf_jax.types import LMBatch


def test_a_small_case_by_hand():
  """Longest first, each into the fullest row that has room."""
  texts = [[1, 2], [3, 4, 5, 6], [7], [8, 9, 10]]
  packed = pack(texts, 5, loss_starts=[0, 2, 0, 1], pad_id=99)
  np.testing.assert_array_equal(
    packed.tokens_BT, [[3, 4, 5, 6, 7], [8, 9, 10, 1, 2]]
  )
  np.testing.assert_array_equal(
    packed.segment_BT, [[1, 1, 1, 1, 2], [1, 1, 1, 2, 2]]
  )
  np.testing.assert_array_equal(
    packed.mask_BT, [[0, 0, 1, 1, 0], [0, 1, 1, 0, 1]]
  )
  np.testing.assert_array_equal(packed.length_B, [5, 5])


def test_pads_have_no_segment_and_no_mask():
  packed = pack([[1, 2, 3]], 5, pad_id=2)
  np.testing.assert_array_equal(packed.tokens_BT, [[1, 2, 3, 2, 2]])
  np.testing.assert_array_equal(packed.segment_BT, [[1, 1, 1, 0, 0]])
  np.testing.assert_array_equal(packed.mask_BT, [[0, 1, 1, 0, 0]])
  np.testing.assert_array_equal(packed.length_B, [3])


@given(st.lists(st.integers(1, 9), max_size=40), st.integers(9, 20))
def test_every_text_stands_in_one_row_and_every_row_fits(lengths, T):
  rows = best_fit(lengths, T)
  assert sorted(i for row in rows for i in row) == list(range(len(lengths)))
  filled = [sum(lengths[i] for i in row) for row in rows]
  assert all(0 < n <= T for n in filled)
  # No two rows could have been one, or the later text would have gone there.
  assert len(rows) < 2 or sum(sorted(filled)[:2]) > T


@given(st.lists(st.integers(1, 9), min_size=1, max_size=20))
def test_the_segments_hold_the_texts(lengths):
  texts = [[100 * i + t for t in range(n)] for i, n in enumerate(lengths)]
  packed = pack(texts, 12)
  found = []
  for tokens_T, segment_T in zip(
    packed.tokens_BT, packed.segment_BT, strict=True
  ):
    for segment in range(1, segment_T.max() + 1):
      found.append(tokens_T[segment_T == segment].tolist())
  assert sorted(found) == texts
  assert packed.mask_BT.sum() == sum(n - 1 for n in lengths)
  np.testing.assert_array_equal((packed.segment_BT > 0).sum(1), packed.length_B)


def test_packed_rows_are_fuller_than_padded_ones():
  """Lengths like those of dialogues: over 98 percent of the tokens are real."""
  lengths = np.random.default_rng(0).integers(8, 60, 500)
  rows = best_fit(lengths, 96)
  assert lengths.sum() / (96 * len(rows)) > 0.98
  assert lengths.sum() / (96 * len(lengths)) < 0.4


def test_packed_rows_can_be_shuffled_into_batches():
  packed = pack([[i] * 3 for i in range(1, 9)], 6)
  batch = next(Batches(packed, 2, seed=0))
  assert type(batch) is type(packed)
  assert batch.tokens_BT.shape == batch.segment_BT.shape == (2, 6)


@pytest.mark.parametrize('text', [[], [1] * 6])
def test_a_text_that_no_row_can_hold_is_an_error(text):
  with pytest.raises(ValueError, match=f'1 to 5 tokens, got {len(text)} in te'):
    pack([[1], text], 5)


def test_each_text_needs_its_start():
  with pytest.raises(ValueError, match='each of 2 texts, got 1'):
    pack([[1], [2]], 5, loss_starts=[0])


def test_a_packed_batch_has_one_of_few_numbers_of_rows():
  """Eighths of the batch, each divisible into equal parts."""
  assert row_counts(64) == (8, 16, 24, 32, 40, 48, 56, 64)
  assert row_counts(64, multiple=4) == row_counts(64)
  assert row_counts(32, multiple=8) == (8, 16, 24, 32)
  assert row_counts(6, multiple=3) == (3, 6)
  assert row_counts(1) == (1,)
  with pytest.raises(ValueError, match='cut into 4 equal parts, got 6'):
    row_counts(6, multiple=4)


def test_empty_rows_hold_nothing():
  packed = fill_rows(pack([[1, 2, 3]], 4), 3, pad_id=9)
  np.testing.assert_array_equal(packed.tokens_BT[1:], np.full((2, 4), 9))
  np.testing.assert_array_equal(packed.length_B, [3, 0, 0])
  assert not packed.segment_BT[1:].any() and not packed.mask_BT[1:].any()
  assert [x.dtype for x in packed] == [np.int32, np.int32, np.int32, np.float32]
  with pytest.raises(ValueError, match='3 rows do not fit a batch of 2'):
    fill_rows(packed, 2)


def _texts(N, T, seed=0):
  """Texts whose tokens name them, of lengths like those of dialogues."""
  rng = np.random.default_rng(seed)
  length_N = np.int32(np.clip(rng.normal(0.54 * T, 0.13 * T, N), 2, T))
  tokens_NT = np.arange(N)[:, None] * (np.arange(T) < length_N[:, None])
  starts_N = np.int32(rng.integers(0, 2, N) * length_N // 2)
  return LMBatch(np.int32(tokens_NT), length_N, starts_N)


def test_a_stream_of_packed_batches_keeps_every_text_in_its_batch():
  texts = _texts(200, 20)
  batches = Batches(texts, 16, seed=1)
  packed = PackedBatches(Batches(texts, 16, seed=1), 16, multiple=4, pad_id=0)
  for _ in range(30):
    plain, rows = next(batches), next(packed)
    assert len(rows.length_B) in packed.counts == (4, 8, 12, 16)
    real = rows.segment_BT > 0
    np.testing.assert_array_equal(
      np.sort(rows.tokens_BT[real]),
      np.sort(np.repeat(plain.tokens_BT[:, 0], plain.length_B)),
    )
    learnt = plain.length_B - np.maximum(plain.loss_start_B, 1)
    assert rows.mask_BT.sum() == learnt.sum()


def test_packing_saves_a_quarter_of_the_rows_at_the_lengths_of_dialogues():
  """54 percent of a padded row is real: the mean of the simulated texts."""
  batches = Batches(_texts(2000, 52), 64, seed=0)
  packed = PackedBatches(batches, 64, multiple=4)
  rows = [len(next(packed).length_B) for _ in range(100)]
  print(f'rows of 64 texts: {np.mean(rows):.1f} (seen: {sorted(set(rows))})')
  assert np.mean(rows) < 0.75 * 64


def test_a_packed_stream_continues_from_a_saved_position():
  make = lambda: PackedBatches(Batches(_texts(50, 12), 8, seed=2), 8)
  packed, again = make(), make()
  for _ in range(9):
    next(packed)
  again.set_state(packed.get_state())
  for ours, wanted in zip(next(again), next(packed), strict=True):
    np.testing.assert_array_equal(ours, wanted)


class Noted:
  """Texts that note which of them are read."""

  def __init__(self, tokens_NT):
    self.shape, self.read, self._tokens_NT = tokens_NT.shape, [], tokens_NT

  def __getitem__(self, number):
    self.read.append(int(number))
    return self._tokens_NT[number]


def test_shares_of_packed_batches_are_the_batch_and_read_their_texts_alone():
  """Three processes of four rows each, the last of which are empty."""
  texts = _texts(60, 12)
  numbers = texts._replace(tokens_BT=np.arange(60))
  whole = PackedBatches(Batches(texts, 12, seed=2), 12, multiple=12, pad_id=9)
  noted = [Noted(texts.tokens_BT) for _ in range(3)]
  shared = [
    PackedBatches(
      Batches(numbers, 12, seed=2),
      12,
      multiple=12,
      pad_id=9,
      tokens_NT=tokens_NT,
      share=lambda rows_B, i=i: rows_B[4 * i : 4 * i + 4],
    )
    for i, tokens_NT in enumerate(noted)
  ]
  for _ in range(4):
    parts = [next(batches) for batches in shared]
    for name, column in next(whole)._asdict().items():
      own = np.concatenate([getattr(part, name) for part in parts])
      np.testing.assert_array_equal(own, column)
    read = [tokens_NT.read for tokens_NT in noted]
    assert sorted(sum(read, [])) == sorted(shared[0].last_rows)
    for tokens_NT in noted:
      tokens_NT.read = []
