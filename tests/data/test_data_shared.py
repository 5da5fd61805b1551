"""Pairs whose shared beginning is read once."""

import numpy as np
import pytest

from rlhf_jax.data.shared import (
  candidates_of,
  share_candidates,
  share_prefix,
  shared_lengths,
)
from rlhf_jax.types import CandidateBatch, PairBatch

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
  np.testing.assert_array_equal(
    shared_lengths(candidates_of(pairs())), [3, 0, 2]
  )


def test_pads_that_look_like_tokens_are_no_part_of_a_prefix():
  for name, expected in share_prefix(pairs(pad=1))._asdict().items():
    np.testing.assert_array_equal(
      expected, getattr(share_prefix(pairs(), pad_id=0), name)
    )


def test_columns_that_do_not_hold_a_pair_are_an_error():
  assert share_prefix(pairs(), columns=11).tokens_BT.shape == (3, 11)
  with pytest.raises(ValueError, match='at most 7 columns, got one of 8'):
    share_prefix(pairs(), columns=7)


# Four candidates of each prompt; the second prompt has two, neither the first.
FOUR = [
  [[5, 6, 7, 1], [5, 6, 1], [5, 6, 8, 8, 1], [5, 6, 7, 1]],
  [[], [4, 3, 9, 1], [], [4, 3, 1]],
]
RANKS = [[0, 2, 1, 2], [-1, 0, -1, 1]]


def four_candidates(pad=0):
  tokens, lengths = zip(*(sides(texts, pad) for texts in FOUR), strict=True)
  return CandidateBatch(np.stack(tokens), np.stack(lengths), np.array(RANKS))


def test_a_row_of_candidates_is_the_prefix_then_the_rest_of_each():
  rows = share_candidates(four_candidates(), columns=12)
  np.testing.assert_array_equal(rows.prefix_B, [2, 2])
  np.testing.assert_array_equal(
    rows.tokens_BT,
    [
      [5, 6, 7, 1, 1, 8, 8, 1, 7, 1, 0, 0],
      [4, 3, 9, 1, 1, 0, 0, 0, 0, 0, 0, 0],
    ],
  )
  np.testing.assert_array_equal(
    rows.segment_BT,
    [
      [1, 1, 2, 2, 3, 4, 4, 4, 5, 5, 0, 0],
      [1, 1, 3, 3, 5, 0, 0, 0, 0, 0, 0, 0],
    ],
  )
  np.testing.assert_array_equal(rows.last_BC, [[3, 4, 7, 9], [0, 3, 0, 4]])
  np.testing.assert_array_equal(rows.rank_BC, RANKS)
  with pytest.raises(ValueError, match='at most 9 columns, got one of 10'):
    share_candidates(four_candidates(), columns=9)


def test_the_pads_of_candidates_change_nothing():
  for name, expected in share_candidates(four_candidates())._asdict().items():
    found = getattr(share_candidates(four_candidates(pad=1)), name)
    np.testing.assert_array_equal(found, expected)


def test_pairs_are_two_candidates_with_the_chosen_one_first():
  pair, rows = share_prefix(pairs()), share_candidates(candidates_of(pairs()))
  for found, expected in zip(rows[:4], pair, strict=True):
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == expected.dtype == np.int32
  np.testing.assert_array_equal(rows.rank_BC, [[0, 1]] * 3)
