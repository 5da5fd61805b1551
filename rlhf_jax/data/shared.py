"""Comparisons laid out so that what all sides share is read once."""

import numpy as np

from rlhf_jax.types import (
  CandidateBatch,
  PairBatch,
  SharedCandidates,
  SharedPairs,
)

MULTIPLE = 16  # columns are rounded up to it: few widths, few programs


def candidates_of(pairs: PairBatch) -> CandidateBatch:
  """Pairs as candidates: two of them, the chosen one first."""
  pairs = PairBatch(*map(np.asarray, pairs))
  tokens = pairs.chosen_tokens_BT, pairs.rejected_tokens_BT
  length_BC = np.stack([pairs.chosen_length_B, pairs.rejected_length_B], 1)
  rank_BC = np.broadcast_to(np.arange(2, dtype=np.int32), length_BC.shape)
  return CandidateBatch(np.stack(tokens, 1), length_BC, rank_BC)


def shared_lengths(batch: CandidateBatch) -> np.ndarray:
  """Tokens that all candidates of each row begin with, [B] int32.

  One less than the shortest candidate at most: each keeps a last token of its
  own, at which its score is read.
  """
  T = batch.tokens_BCT.shape[2]
  absent_BC = batch.rank_BC < 0
  shortest_B = np.where(absent_BC, T, batch.length_BC).min(1)
  first_B11 = np.argmin(absent_BC, axis=1)[:, None, None]
  first_B1T = np.take_along_axis(batch.tokens_BCT, first_B11, 1)
  same_BT = ((batch.tokens_BCT == first_B1T) | absent_BC[:, :, None]).all(1)
  same_BT &= np.arange(T) < shortest_B[:, None] - 1
  same_BT &= ~absent_BC.all(1)[:, None]
  return np.cumprod(same_BT, axis=1).sum(axis=1).astype(np.int32)


def share_candidates(
  batch: CandidateBatch, *, columns: int = 0, pad_id: int = 0
) -> SharedCandidates:
  """Lays candidates out as prefix, the rest of each in turn, pads.

  Scores and gradients are those of the candidates alone, for fewer tokens: a
  prompt of P and C replies of R take P + C R columns in place of C (P + R).

  Args:
    batch: the candidates, all of them whole.
    columns: of the rows; 0: as many as the longest needs, rounded up.
    pad_id: any id.

  Raises:
    ValueError: if a row needs more columns than there are.
  """
  batch = CandidateBatch(*map(np.asarray, batch))
  there_BC = batch.rank_BC >= 0
  prefix_B = shared_lengths(batch)
  own_BC = np.where(there_BC, batch.length_BC - prefix_B[:, None], 0)
  ends_BC = prefix_B[:, None] + np.cumsum(own_BC, axis=1)
  starts_BC = ends_BC - own_BC
  longest = int(ends_BC.max(initial=1))
  columns = columns or -(-longest // MULTIPLE) * MULTIPLE
  if longest > columns:
    raise ValueError(
      f'wanted rows of at most {columns} columns, got one of {longest}: raise '
      'the number of columns or cut the texts'
    )
  place_T = np.arange(columns)
  segment_BT = np.ones((len(prefix_B), columns), np.int32)
  for start_B in starts_BC.T:
    segment_BT += place_T >= start_B[:, None]
  segment_BT[place_T >= ends_BC[:, -1:]] = 0
  # Whose token a column holds, and where it stands there.
  first_B1 = np.argmax(there_BC, axis=1)[:, None]
  side_BT = np.where(segment_BT > 1, segment_BT - 2, first_B1)
  ahead_BC = starts_BC - prefix_B[:, None]
  own_BT = place_T - np.take_along_axis(ahead_BC, side_BT, 1)
  own_BT = np.clip(own_BT, 0, batch.tokens_BCT.shape[2] - 1)
  row_B1 = np.arange(len(prefix_B))[:, None]
  tokens_BT = batch.tokens_BCT[row_B1, side_BT, own_BT]
  tokens_BT = np.where(segment_BT > 0, tokens_BT, pad_id)
  return SharedCandidates(
    tokens_BT=tokens_BT.astype(np.int32),
    segment_BT=segment_BT,
    prefix_B=prefix_B,
    last_BC=np.where(there_BC, ends_BC - 1, 0).astype(np.int32),
    rank_BC=batch.rank_BC.astype(np.int32),
  )


def share_prefix(
  pairs: PairBatch, *, columns: int = 0, pad_id: int = 0
) -> SharedPairs:
  """Lays pairs out as prefix, rest of chosen, rest of rejected, pads.

  Args:
    pairs: the comparisons, both sides whole.
    columns: as of `share_candidates`.
    pad_id: any id.

  Raises:
    ValueError: if a row needs more columns than there are.
  """
  rows = share_candidates(candidates_of(pairs), columns=columns, pad_id=pad_id)
  return SharedPairs(*rows[:4])
