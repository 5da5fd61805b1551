"""Pairs whose shared beginning is read once."""

import numpy as np
import pytest

from rlhf_jax.data.shared import share_prefix, shared_lengths
from rlhf_jax.types import PairBatch

# Three tokens shared; the second pair shares none; the third is one text twice.
CHOSEN = [[5, 6, 7, 8, 9, 1], [4, 1], [3, 2, 1]]
REJECTED = [[5, 6, 7, 2, 1], [6, 8, 1], [3, 2, 1]]
ROWS = [[5, 6, 7, 8, 9, 1, 2, 1], [4, 1, 6, 8, 1], [3, 2, 1, 1]]
SEGMENTS = [[1, 1, 1, 2, 2, 2, 3, 3], [2, 2, 3, 3, 3], [1, 1, 2, 3]]


def sides(texts, pad):
  length_B = np.array([len(text) for text in texts], np.int32)
  tokens_BT = np.full((len(texts), 7), pad, np.int32)
  for row, text in zip(tokens_BT, texts, strict=True):
    row[: len(text)] = text
  return tokens_BT, length_B


def pairs(pad=0):
  return PairBatch(*sides(CHOSEN, pad), *sides(REJECTED, pad))


def test_a_row_is_the_prefix_then_the_rest_of_both_sides():
  rows = share_prefix(pairs())
  assert rows.tokens_BT.shape == (3, 16)
  for b, (tokens, segments) in enumerate(zip(ROWS, SEGMENTS, strict=True)):
    n = len(tokens)
    np.testing.assert_array_equal(rows.tokens_BT[b, :n], tokens)
    np.testing.assert_array_equal(rows.segment_BT[b, :n], segments)
    np.testing.assert_array_equal(rows.segment_BT[b, n:], 0)
  np.testing.assert_array_equal(rows.prefix_B, [3, 0, 2])
  np.testing.assert_array_equal(rows.last_B2, [[5, 7], [1, 4], [2, 3]])


def test_each_side_keeps_a_last_token_of_its_own():
  """One text twice would share everything, and leave nowhere to score."""
  np.testing.assert_array_equal(shared_lengths(pairs()), [3, 0, 2])


def test_pads_that_look_like_tokens_are_no_part_of_a_prefix():
  for name, expected in share_prefix(pairs(pad=1))._asdict().items():
    np.testing.assert_array_equal(
      expected, getattr(share_prefix(pairs(), pad_id=0), name)
    )


def test_columns_that_do_not_hold_a_pair_are_an_error():
  assert share_prefix(pairs(), columns=11).tokens_BT.shape == (3, 11)
  with pytest.raises(ValueError, match='at most 7 columns, got one of 8'):
    share_prefix(pairs(), columns=7)
