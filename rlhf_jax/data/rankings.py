"""Rankings of several replies to one prompt, as records and as arrays.

    {"prompt": ..., "replies": [...], "ranks": [...], "source": ...}

is a line of a file, perhaps with a "kind": rank 0 is the best, equal ranks are
a tie, and the prompt is a transcript that ends in the Assistant marker.
"""

import collections
import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rlhf_jax.data.faults import DataError, Malformed
from rlhf_jax.data.file_rows import rows_of
from rlhf_jax.data.jsonl import write_rows
from rlhf_jax.data.pairs import PairArrays
from rlhf_jax.data.records import KINDS, prompt_hash
from rlhf_jax.text.dialogue import (
  count_exchanges,
  parse_dialogue,
  split_reply,
)
from rlhf_jax.text.encode import (
  append_end_of_context,
  encode_prompt,
  encode_reply,
  pad_batch,
)


@dataclasses.dataclass(frozen=True)
class Ranking:
  """Replies to one prompt in an order of preference.

  Attributes:
    prompt: transcript that ends in the Assistant marker.
    replies: texts that may follow it.
    ranks: of each reply, 0 the best; equal ranks are a tie.
    source: where it is from.
    kind: 'helpful' or 'harmless', the question that was asked.
    prompt_id: `prompt_hash` of the prompt; equal ones stay on one side.
  """

  prompt: str
  replies: tuple[str, ...]
  ranks: tuple[int, ...]
  source: str
  kind: str
  prompt_id: str


def make_ranking(prompt, replies, ranks, source, kind='helpful') -> Ranking:
  """A Ranking that has been looked at.

  Raises:
    DialogueError: if the prompt does not end in the Assistant marker.
    ValueError: if replies and ranks are not as many whole numbers from 0.
  """
  before, rest = split_reply(prompt)
  if rest or before != prompt:
    raise ValueError(f'wanted a prompt without a reply, got one of {rest!r}')
  whole = all(type(rank) is int and rank >= 0 for rank in ranks)
  if len(replies) != len(ranks) or not replies or not whole:
    raise ValueError(
      f'wanted a rank from 0 for each of {len(replies)} replies, got {ranks}'
    )
  if kind not in KINDS or not all(isinstance(x, str) for x in replies):
    raise ValueError(f'wanted texts of a kind in {KINDS}, got {kind!r}')
  found = tuple(replies), tuple(ranks)
  return Ranking(prompt, *found, source, kind, prompt_hash(prompt))


def of_conversation(item: Ranking) -> Ranking:
  """The record, its prompt_id being that of the first human turn."""
  first = parse_dialogue(item.prompt)[0].text
  return dataclasses.replace(item, prompt_id=prompt_hash(first))


def write_rankings(path, rankings: Iterable[Ranking]) -> None:
  """Writes JSON lines, gzipped if the name ends in .gz."""
  keys = ('prompt', 'replies', 'ranks', 'source', 'kind')
  write_rows(path, ({k: getattr(x, k) for k in keys} for x in rankings))


def read_rankings(path) -> list[Ranking]:
  """Reads a file of JSON lines.

  Raises:
    DataError: if there is none, or naming the first line that is no ranking.
  """
  if not Path(path).is_file():
    raise DataError(f'{path} is no file: wanted JSON lines of rankings')
  found = []
  for number, row in rows_of(Path(path)):
    try:
      if isinstance(row, Malformed):
        raise ValueError(str(row))
      own = [row[key] for key in ('prompt', 'replies', 'ranks', 'source')]
      found.append(make_ranking(*own, row.get('kind', 'helpful')))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
      raise DataError(
        f'{path}:{number}: wanted prompt, replies, ranks and source, got no '
        f'good {error}: mend or delete the line'
      ) from None
  return found


class RankingArrays(NamedTuple):
  """N rankings of C replies or fewer, ready for a preference model.

  Attributes:
    tokens_NCT: [N, C, max_length + 1] int32, whole dialogues, right-padded; the
      last real token is end-of-context.
    length_NC: int32, end-of-context included; of a missing reply 0.
    rank_NC: int32, 0 the best; equal: a tie; -1: no reply.
    prompt_length_N: int32.
    kind_N: int32, 0 helpful, 1 harmless.
    turn_N: int32, the exchange that was ranked, 1 the first.
    prompt_index_N: int32, equal where prompts are; counts prompts from 0.
    words_NC: int32, words of each whole reply.
    source_N: text.
  """

  tokens_NCT: np.ndarray
  length_NC: np.ndarray
  rank_NC: np.ndarray
  prompt_length_N: np.ndarray
  kind_N: np.ndarray
  turn_N: np.ndarray
  prompt_index_N: np.ndarray
  words_NC: np.ndarray
  source_N: np.ndarray

  def take(self, index) -> 'RankingArrays':
    """The rows of an index array, a mask or a slice."""
    return RankingArrays(*(array[index] for array in self))


def encode_rankings(
  rankings: Sequence[Ranking],
  tokenizer,
  max_length: int,
  max_reply: int,
  *,
  candidates: int = 0,
  ordered: bool = True,
) -> tuple[RankingArrays, collections.Counter]:
  """Tokenises rankings; leaves out and counts what teaches nothing.

  Left out of a ranking: an 'empty reply', and one that is 'equal after
  truncation' to one before it. Rankings without two different ranks are left
  out whole: 'no order'.

  Args:
    rankings: the records.
    tokenizer: the tokenizer.
    max_length: most tokens of prompt and reply; end-of-context comes on top.
    max_reply: most tokens of a reply, its end token included.
    candidates: C, at least; arrays that share a program have one.
    ordered: False keeps rankings without an order, such as single replies.

  Returns:
    (arrays, counts), counts of 'read' and 'kept' rankings, of 'no order', and
    of replies that were left out.
  """
  counts = collections.Counter(read=0, kept=0)
  kept = []
  for item in rankings:
    counts['read'] += 1
    ids, _ = encode_prompt(tokenizer, item.prompt, max_length - max_reply)
    replies = _replies(item, tokenizer, max_reply, counts)
    if ordered and len({rank for _, rank, _ in replies}) < 2 or not replies:
      counts['no order'] += 1
      continue
    counts['kept'] += 1
    kept.append((item, ids, replies))
  return _arrays(kept, tokenizer, max_length, candidates), counts


def _replies(item, tokenizer, max_reply, counts):
  """[(ids, rank, words)] of the replies of a ranking that are kept."""
  found = {}
  for reply, rank in zip(item.replies, item.ranks, strict=True):
    ids, _ = encode_reply(tokenizer, reply, max_reply)
    if not reply.strip():
      counts['empty reply'] += 1
    elif tuple(ids) in found:
      counts['equal after truncation'] += 1
    else:
      found[tuple(ids)] = rank, len(reply.split())
  return [(list(ids), *rest) for ids, rest in found.items()]


def _arrays(kept, tokenizer, max_length, candidates):
  """RankingArrays of [(Ranking, ids of the prompt, replies)]."""
  C = max((len(replies) for *_, replies in kept), default=0)
  C = max(C, candidates)
  shape = len(kept), C
  tokens_NCT = np.full((*shape, max_length + 1), tokenizer.pad_id, np.int32)
  length_NC, words_NC = np.zeros(shape, np.int32), np.zeros(shape, np.int32)
  rank_NC = np.full(shape, -1, np.int32)
  for i, (_, prompt, replies) in enumerate(kept):
    rows = [prompt + ids for ids, *_ in replies]
    rows = append_end_of_context(
      *pad_batch(rows, max_length, tokenizer.pad_id),
      tokenizer.end_of_context_id,
      tokenizer.pad_id,
    )
    K = len(replies)
    tokens_NCT[i, :K], length_NC[i, :K] = rows
    rank_NC[i, :K] = [rank for _, rank, _ in replies]
    words_NC[i, :K] = [words for *_, words in replies]
  items = [item for item, *_ in kept]
  prompts = {}
  for item in items:
    prompts.setdefault(item.prompt_id, len(prompts))
  of = lambda values: np.array(list(values), np.int32)
  return RankingArrays(
    tokens_NCT=tokens_NCT,
    length_NC=length_NC,
    rank_NC=rank_NC,
    prompt_length_N=of(len(prompt) for _, prompt, _ in kept),
    kind_N=of(KINDS.index(item.kind) for item in items),
    turn_N=of(count_exchanges(item.prompt) for item in items),
    prompt_index_N=of(prompts[item.prompt_id] for item in items),
    words_NC=words_NC,
    source_N=np.array([item.source for item in items], np.str_),
  )


class RankedPairs(NamedTuple):
  """Every comparison in some rankings.

  Attributes:
    pairs: PairArrays of M comparisons; p_label is unknown.
    place_M3: int, number of the ranking, of the better and of the worse reply.
    weight_M: float32, 1 over the comparisons of its ranking, times a factor
      that makes the mean 1.
  """

  pairs: PairArrays
  place_M3: np.ndarray
  weight_M: np.ndarray


def pairs_of(rankings: RankingArrays) -> RankedPairs:
  """All comparisons of all rankings, ties dropped, one ranking after the other.

  With these weights the sum of `preference.pairwise_loss` over all of them is
  that of `preference.candidates_loss` over the rankings, up to a factor.
  """
  rank_NC = rankings.rank_NC
  better_NCC = (rank_NC[:, :, None] >= 0) & (
    rank_NC[:, :, None] < rank_NC[:, None, :]
  )
  place_M3 = np.stack(np.nonzero(better_NCC), 1)
  row_M, good_M, bad_M = place_M3.T
  count_N = better_NCC.sum((1, 2))
  weight_M = 1 / count_N[row_M]
  weight_M = weight_M * len(weight_M) / max(weight_M.sum(), 1)
  both = lambda x_NC: (x_NC[row_M, good_M], x_NC[row_M, bad_M])
  chosen_tokens, rejected_tokens = both(rankings.tokens_NCT)
  chosen_length, rejected_length = both(rankings.length_NC)
  words_chosen, words_rejected = both(rankings.words_NC)
  pairs = PairArrays(
    chosen_tokens_NT=chosen_tokens,
    chosen_length_N=chosen_length,
    rejected_tokens_NT=rejected_tokens,
    rejected_length_N=rejected_length,
    prompt_length_N=rankings.prompt_length_N[row_M],
    p_label_N=np.full(len(row_M), np.nan, np.float32),
    kind_N=rankings.kind_N[row_M],
    turn_N=rankings.turn_N[row_M],
    prompt_index_N=rankings.prompt_index_N[row_M],
    words_chosen_N=words_chosen,
    words_rejected_N=words_rejected,
    source_N=rankings.source_N[row_M],
  )
  return RankedPairs(pairs, place_M3, weight_M.astype(np.float32))
