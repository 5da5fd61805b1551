"""Comparisons laid out so that what both sides share is read once."""

import numpy as np

from rlhf_jax.types import PairBatch, SharedPairs

MULTIPLE = 16  # columns are rounded up to it: few widths, few programs


def shared_lengths(pairs: PairBatch) -> np.ndarray:
  """Tokens that both sides of each pair begin with, [B] int32.

  One less than the shorter side at most: each keeps a last token of its own,
  at which its score is read.
  """
  shorter_B = np.minimum(pairs.chosen_length_B, pairs.rejected_length_B)
  T = pairs.chosen_tokens_BT.shape[1]
  same_BT = pairs.chosen_tokens_BT == pairs.rejected_tokens_BT
  same_BT &= np.arange(T) < shorter_B[:, None] - 1
  return np.cumprod(same_BT, axis=1).sum(axis=1).astype(np.int32)


def share_prefix(
  pairs: PairBatch, *, columns: int = 0, pad_id: int = 0
) -> SharedPairs:
  """Lays pairs out as prefix, rest of chosen, rest of rejected, pads.

  Scores and gradients are those of the two sides alone, for fewer tokens: a
  prompt of P and two replies of R take P + 2 R columns in place of 2 (P + R).

  Args:
    pairs: the comparisons, both sides whole.
    columns: of the rows; 0: as many as the longest needs, rounded up.
    pad_id: any id.

  Raises:
    ValueError: if a row needs more columns than there are.
  """
  pairs = PairBatch(*map(np.asarray, pairs))
  prefix_B = shared_lengths(pairs)
  ends_B2 = np.stack(
    [pairs.chosen_length_B, pairs.chosen_length_B + pairs.rejected_length_B], 1
  )
  ends_B2[:, 1] -= prefix_B
  longest = int(ends_B2.max(initial=1))
  columns = columns or -(-longest // MULTIPLE) * MULTIPLE
  if longest > columns:
    raise ValueError(
      f'wanted pairs of at most {columns} columns, got one of {longest}: raise '
      'the number of columns or cut the texts'
    )
  place_T = np.arange(columns)
  segment_BT = 1 + (place_T >= prefix_B[:, None]).astype(np.int32)
  segment_BT += place_T >= ends_B2[:, :1]
  segment_BT[place_T >= ends_B2[:, 1:]] = 0
  # Where each column's token stands in its own side.
  back_B1 = (ends_B2[:, 0] - prefix_B)[:, None]
  T = pairs.chosen_tokens_BT.shape[1]
  take = lambda tokens_BT, place_BT: np.take_along_axis(
    tokens_BT, np.clip(place_BT, 0, T - 1), 1
  )
  chosen_BT = take(pairs.chosen_tokens_BT, place_T[None])
  rejected_BT = take(pairs.rejected_tokens_BT, place_T - back_B1)
  tokens_BT = np.where(segment_BT == 3, rejected_BT, chosen_BT)
  tokens_BT = np.where(segment_BT > 0, tokens_BT, pad_id)
  return SharedPairs(
    tokens_BT=tokens_BT.astype(np.int32),
    segment_BT=segment_BT,
    prefix_B=prefix_B,
    last_B2=(ends_B2 - 1).astype(np.int32),
  )
