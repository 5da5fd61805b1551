"""Comparisons as arrays, and splits that share no prompt."""

import collections
import hashlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from rlhf_jax.data.records import KINDS, Comparison
from rlhf_jax.text.dialogue import (
  DialogueError,
  count_exchanges,
  split_reply,
)
from rlhf_jax.text.encode import (
  append_end_of_context,
  encode_prompt,
  encode_reply,
  pad_batch,
)
from rlhf_jax.text.tokenizer import Tokenizer


class PairArrays(NamedTuple):
  """N comparisons, ready for a preference model.

  Attributes:
    chosen_tokens_NT: [N, max_length + 1] int32, right-padded; the last real
      token is end-of-context.
    chosen_length_N: int32, end-of-context included.
    rejected_tokens_NT: as chosen_tokens_NT.
    rejected_length_N: as chosen_length_N.
    prompt_length_N: int32, the same for both sides.
    p_label_N: float32, true probability that chosen is preferred, or NaN.
    kind_N: int32, 0 helpful, 1 harmless.
    turn_N: int32, the exchange that was compared, 1 the first.
    prompt_index_N: int32, equal where prompts are; counts prompts from 0.
    words_chosen_N: int32, words of the whole chosen reply.
    words_rejected_N: int32, words of the whole rejected reply.
    source_N: text, where each comparison is from ('' if nobody knows): a run
      may weigh or report by it (`data.subsets.draw_rows`).
  """

  chosen_tokens_NT: np.ndarray
  chosen_length_N: np.ndarray
  rejected_tokens_NT: np.ndarray
  rejected_length_N: np.ndarray
  prompt_length_N: np.ndarray
  p_label_N: np.ndarray
  kind_N: np.ndarray
  turn_N: np.ndarray
  prompt_index_N: np.ndarray
  words_chosen_N: np.ndarray
  words_rejected_N: np.ndarray
  source_N: np.ndarray

  def take(self, index) -> 'PairArrays':
    """The rows of an index array, a mask or a slice."""
    return PairArrays(*(array[index] for array in self))


def pairs_of(columns: dict[str, np.ndarray]) -> PairArrays:
  """PairArrays of their columns.

  Those that were written before there was a `source_N` have '' for it.
  """
  unknown_N = np.full(len(columns['kind_N']), '', 'U1')
  return PairArrays(**{'source_N': unknown_N, **columns})


class _Pair(NamedTuple):
  """One comparison as token ids; the prompt is in both sides.

  It holds nothing of the text: what many of them take is what the arrays take.
  """

  chosen: np.ndarray
  rejected: np.ndarray
  prompt_length: int
  words: tuple[int, int]
  prompt_cut: int
  reply_cut: int


def encode_pairs(
  comparisons: Iterable[Comparison],
  tokenizer: Tokenizer,
  max_length: int,
  max_reply: int,
  on_error: str = 'raise',
) -> tuple[PairArrays, collections.Counter]:
  """Tokenises comparisons; drops and counts those that teach nothing.

  Dropped: 'prompts differ' (the two dialogues part before the last reply),
  'empty reply', and 'equal after truncation'; with `skip` also what the chat
  template refuses, such as two turns of one role in a row.

  Args:
    comparisons: the records; read once, and not kept.
    tokenizer: the tokenizer.
    max_length: most tokens of prompt and reply; end-of-context comes on top.
    max_reply: most tokens of a reply, its end token included.
    on_error: 'raise', or 'skip' to drop and count what the template refuses.

  Raises:
    DialogueError: if the template refuses a dialogue.

  Returns:
    (arrays, counts): 'read', 'kept' and each reason add up; 'prompt cut' and
    'reply cut' count the kept pairs that lost tokens to truncation.
  """
  counts = collections.Counter(read=0, kept=0)
  kept = []
  for item in comparisons:
    counts['read'] += 1
    try:
      pair = _encode_pair(item, tokenizer, max_length, max_reply)
    except DialogueError as error:
      if on_error == 'raise':
        raise _in_a_pair(error, item) from error
      pair = error.reason
    if isinstance(pair, str):
      counts[pair] += 1
      continue
    counts['kept'] += 1
    counts['prompt cut'] += pair.prompt_cut > 0
    counts['reply cut'] += pair.reply_cut > 0
    kept.append((_labels(item), pair))
  return _arrays(kept, tokenizer, max_length), counts


def _in_a_pair(error, item):
  """The error, which says in which pair and what to do."""
  detail = str(error).removeprefix(f'{error.reason}: ')
  return DialogueError(
    error.reason,
    f'{detail}; in a pair of {item.source or "no named source"} '
    f'({item.chosen[:40]!r}): leave it out, or all such with '
    '--config.data.on_error=skip',
  )


def _encode_pair(
  item: Comparison, tokenizer: Tokenizer, max_length: int, max_reply: int
) -> _Pair | str:
  """The pair in tokens, or the reason to drop it."""
  prompt, chosen = split_reply(item.chosen)
  rejected_prompt, rejected = split_reply(item.rejected)
  if prompt != rejected_prompt:
    return 'prompts differ'
  if not chosen.strip() or not rejected.strip():
    return 'empty reply'
  ids, prompt_cut = encode_prompt(tokenizer, prompt, max_length - max_reply)
  chosen_ids, chosen_cut = encode_reply(tokenizer, chosen, max_reply)
  rejected_ids, rejected_cut = encode_reply(tokenizer, rejected, max_reply)
  if chosen_ids == rejected_ids:
    return 'equal after truncation'
  return _Pair(
    chosen=np.array(ids + chosen_ids, np.int32),
    rejected=np.array(ids + rejected_ids, np.int32),
    prompt_length=len(ids),
    words=(len(chosen.split()), len(rejected.split())),
    prompt_cut=prompt_cut,
    reply_cut=max(chosen_cut, rejected_cut),
  )


class _Labels(NamedTuple):
  """Columns of a comparison besides its tokens."""

  prompt_id: str
  p_label: float
  kind: int
  turn: int
  source: str


def _labels(item: Comparison) -> _Labels:
  return _Labels(
    item.prompt_id,
    item.p_label,
    KINDS.index(item.kind),
    count_exchanges(item.chosen),
    item.source,
  )


def _arrays(
  kept: list[tuple[_Labels, _Pair]], tokenizer: Tokenizer, max_length: int
) -> PairArrays:
  def side(rows):
    return append_end_of_context(
      *pad_batch(rows, max_length, tokenizer.pad_id),
      tokenizer.end_of_context_id,
      tokenizer.pad_id,
    )

  def integers(values):
    return np.array(list(values), np.int32)

  items = [item for item, _ in kept]
  pairs = [pair for _, pair in kept]
  prompts = {}
  for item in items:
    prompts.setdefault(item.prompt_id, len(prompts))
  chosen_tokens_NT, chosen_length_N = side([pair.chosen for pair in pairs])
  rejected_tokens_NT, rejected_length_N = side(
    [pair.rejected for pair in pairs]
  )
  return PairArrays(
    chosen_tokens_NT=chosen_tokens_NT,
    chosen_length_N=chosen_length_N,
    rejected_tokens_NT=rejected_tokens_NT,
    rejected_length_N=rejected_length_N,
    prompt_length_N=integers(pair.prompt_length for pair in pairs),
    p_label_N=np.array([item.p_label for item in items], np.float32),
    kind_N=integers(item.kind for item in items),
    turn_N=integers(item.turn for item in items),
    prompt_index_N=integers(prompts[item.prompt_id] for item in items),
    words_chosen_N=integers(pair.words[0] for pair in pairs),
    words_rejected_N=integers(pair.words[1] for pair in pairs),
    source_N=np.array([item.source for item in items], np.str_),
  )


def split_by_prompt(
  comparisons: Sequence[Comparison], fractions: Sequence[float], seed: int
) -> list[list[Comparison]]:
  """Splits so that no prompt is on two sides.

  The side of a prompt is a hash of the seed and its prompt_id: it does not
  depend on the other records, and sizes equal the fractions on average only.

  Args:
    comparisons: the records; their order is kept.
    fractions: share of the prompts of each side, with sum 1.
    seed: another seed, another split.

  Raises:
    ValueError: if a fraction is negative or the sum is not 1.
  """
  if min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-6:
    raise ValueError(f'wanted fractions with sum 1, got {list(fractions)}')
  bounds = np.cumsum(fractions)[:-1]
  sides = [[] for _ in fractions]
  for item in comparisons:
    uniform = prompt_uniform(item.prompt_id, seed)
    sides[np.searchsorted(bounds, uniform, side='right')].append(item)
  return sides


def prompt_uniform(prompt_id: str, seed: int) -> float:
  """A number in [0, 1) that a seed gives a prompt."""
  digest = hashlib.sha1(f'{seed}:{prompt_id}'.encode()).digest()
  return int.from_bytes(digest[:6], 'big') / 2**48
