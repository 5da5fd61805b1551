"""Packing: every token once, in order, with its segment and its mask."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlhf_jax.data.packing import best_fit, pack
from rlhf_jax.data.pipeline import Batches


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
