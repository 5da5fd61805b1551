"""Comparisons out of texts that the public has ranked, and their tags.

    thread: a prompt, and texts with a score     A > B where score(A) > score(B)
    tags:   A > B  ->  GOOD: A > BAD: A  and  BAD: B > GOOD: B

Reference: Askell et al. 2021 (arXiv:2112.00861), section 4 and appendix C.1.
"""

import dataclasses
import itertools
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from rlhf_jax.data.rankings import Ranking, make_ranking
from rlhf_jax.data.records import Comparison, make_comparison
from rlhf_jax.text.dialogue import ASSISTANT, HUMAN, split_reply

GOOD, BAD = 'GOOD:', 'BAD:'
# All line ends before a marker: one more than two would leave two behind. A run
# of them is tried once, from its first.
_LINE_ENDS = re.compile(r'(?<!\n)\n{2,}(?=(?:Human|Assistant):)')


class Thread(NamedTuple):
  """A prompt, and texts that answer it.

  Attributes:
    prompt: words of the human turn.
    texts: list of (text, score).
    source: where it is from.
  """

  prompt: str
  texts: list[tuple[str, float]]
  source: str


def as_dialogue(prompt: str, reply: str) -> str:
  """A transcript; lines of two turns that the words hold are joined."""
  prompt, reply = (plain(text) for text in (prompt, reply))
  return f'{HUMAN} {prompt}{ASSISTANT} {reply}'


def plain(text: str) -> str:
  """The text without lines that would read as turns."""
  return _LINE_ENDS.sub('\n', text).strip()


def thread_pairs(thread: Thread, most: int, rng) -> list[Comparison]:
  """Pairs of the texts of a thread whose scores differ, the better one chosen.

  Args:
    thread: the thread.
    most: pairs of it at most, drawn evenly; 0: all.
    rng: NumPy generator.
  """
  return [
    make_comparison(
      *(as_dialogue(thread.prompt, text) for text, _ in pair), thread.source
    )
    for pair in ordered_pairs(thread.texts, most, rng)
  ]


def ordered_pairs(texts, most: int, rng):
  """[(better, worse)] of texts with scores that differ, empty ones left out.

  Args:
    texts: list of (text, score).
    most: pairs at most, drawn evenly; 0: all.
    rng: NumPy generator.
  """
  found = [
    (one, other) if one[1] > other[1] else (other, one)
    for one, other in itertools.combinations(texts, 2)
    if one[1] != other[1] and one[0].strip() and other[0].strip()
  ]
  if most and len(found) > most:
    kept = sorted(rng.permutation(len(found))[:most])
    found = [found[i] for i in kept]
  return found


def pairs_of_threads(
  threads: Iterable[Thread], most: int, seed: int = 0
) -> Iterator[Comparison]:
  """Yields `thread_pairs` of one thread after the other."""
  rng = np.random.default_rng(seed)
  for thread in threads:
    yield from thread_pairs(thread, most, rng)


def ranks_of(scores) -> list[int]:
  """Ranks of scores: 0 the highest, equal scores equal, none left out."""
  place = {score: i for i, score in enumerate(sorted({*scores}, reverse=True))}
  return [place[score] for score in scores]


def ranking_of(thread: Thread) -> Ranking:
  """All texts of a thread, ranked by their scores."""
  prompt = as_dialogue(thread.prompt, '')[:-1]  # as_dialogue ends in a space
  replies = [f' {plain(text)}' for text, _ in thread.texts]
  ranks = ranks_of([score for _, score in thread.texts])
  return make_ranking(prompt, replies, ranks, thread.source)


def some_replies(ranking: Ranking, most: int, rng) -> Ranking:
  """The ranking among some of its replies that say something, drawn evenly.

  Args:
    ranking: the ranking.
    most: replies at most; 0: all.
    rng: NumPy generator.
  """
  kept = [i for i, text in enumerate(ranking.replies) if text.strip()]
  if most and len(kept) > most:
    kept = sorted(rng.permutation(kept)[:most].tolist())
  best_first = ranks_of([-ranking.ranks[i] for i in kept])
  replies = tuple(ranking.replies[i] for i in kept)
  return dataclasses.replace(ranking, replies=replies, ranks=tuple(best_first))


def ranking_pairs(ranking: Ranking, most: int, rng) -> list[Comparison]:
  """Pairs of the replies of a ranking that do not tie, the better one chosen.

  Args:
    ranking: the ranking.
    most: pairs of it at most, drawn evenly; 0: all.
    rng: NumPy generator.
  """
  both = zip(ranking.replies, (-rank for rank in ranking.ranks), strict=True)
  found = ordered_pairs(list(both), most, rng)
  return [
    make_comparison(
      *(ranking.prompt + text for text, _ in pair),
      ranking.source,
      kind=ranking.kind,
    )
    for pair in found
  ]


def tagged(pair: Comparison) -> tuple[Comparison, Comparison]:
  """The two comparisons of one text each, told apart by a tag alone.

  That of the chosen text prefers GOOD, that of the rejected one BAD: nothing is
  left of which text was set against which.
  """
  return tuple(
    make_comparison(
      _with_tag(text, better),
      _with_tag(text, worse),
      pair.source,
      kind=pair.kind,
    )
    for text, better, worse in (
      (pair.chosen, GOOD, BAD),
      (pair.rejected, BAD, GOOD),
    )
  )


def _with_tag(text, tag):
  prompt, reply = split_reply(text)
  return f'{prompt} {tag}{reply}'
