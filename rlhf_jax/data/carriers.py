"""Replies of rankings, two by two, as a reader of pairs reads them.

A reader of pairs reads a prompt once and two replies to it. Laid out so, each
reply of a ranking is read once, and its prompt once for every two of them. Of
an odd number the last reply comes with the one before, which is read again.
"""

from typing import NamedTuple

import numpy as np

from rlhf_jax.data.pairs import PairArrays
from rlhf_jax.data.rankings import RankingArrays


class Carriers(NamedTuple):
  """Rows of two replies that carry the replies of rankings.

  Attributes:
    pairs: PairArrays of M rows; which side is the better one means nothing.
    place_M3: int, number of the ranking, of the first and of the second reply.
  """

  pairs: PairArrays
  place_M3: np.ndarray


def carriers_of(rankings: RankingArrays) -> Carriers:
  """The rows that carry every reply of all rankings.

  Raises:
    ValueError: if a ranking has a single reply.
  """
  place = []
  for i, rank_C in enumerate(rankings.rank_NC):
    there = np.flatnonzero(rank_C >= 0)
    if len(there) < 2:
      raise ValueError(
        f'wanted two replies of a ranking or more, got {len(there)}: leave it '
        'out'
      )
    place += [(i, *there[k : k + 2]) for k in range(0, len(there) - 1, 2)]
    if len(there) % 2:
      place.append((i, *there[-2:]))
  place_M3 = np.array(place)
  row_M, *sides = place_M3.T
  tokens, length, words = (
    [column[row_M, reply_M] for reply_M in sides]
    for column in (rankings.tokens_NCT, rankings.length_NC, rankings.words_NC)
  )
  pairs = PairArrays(
    chosen_tokens_NT=tokens[0],
    chosen_length_N=length[0],
    rejected_tokens_NT=tokens[1],
    rejected_length_N=length[1],
    prompt_length_N=rankings.prompt_length_N[row_M],
    p_label_N=np.full(len(row_M), np.nan, np.float32),
    kind_N=rankings.kind_N[row_M],
    turn_N=rankings.turn_N[row_M],
    prompt_index_N=rankings.prompt_index_N[row_M],
    words_chosen_N=words[0],
    words_rejected_N=words[1],
    source_N=rankings.source_N[row_M],
  )
  return Carriers(pairs, place_M3)


def gathered(pooled_M3PLD, place_M3, replies: int):
  """(prompt_NPLD, reply_NCPLD) of what a reader of pairs has read.

  Args:
    pooled_M3PLD: of prompt, first and second reply of each carrier.
    place_M3: of `Carriers`.
    replies: C; features of replies that a ranking does not have are 0.
  """
  row_M, *sides = place_M3.T
  N, shape = int(row_M.max()) + 1, pooled_M3PLD.shape[2:]
  prompt_NPLD = np.zeros((N, *shape), pooled_M3PLD.dtype)
  reply_NCPLD = np.zeros((N, replies, *shape), pooled_M3PLD.dtype)
  prompt_NPLD[row_M] = pooled_M3PLD[:, 0]
  for side, reply_M in enumerate(sides, 1):
    reply_NCPLD[row_M, reply_M] = pooled_M3PLD[:, side]
  return prompt_NPLD, reply_NCPLD
