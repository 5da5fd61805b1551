"""Votes of a judge on two replies, in one order or in both.

A judge is any function (prompt, first, second) -> Vote. What it saw or said is
kept in the vote, so that a verdict can be looked up.
"""

import hashlib
from collections.abc import Callable
from typing import NamedTuple

FIRST, SECOND, TIE, UNPARSED = range(4)
NAMES = ('first', 'second', 'tie', 'unparsed')
_SWAPPED = {FIRST: SECOND, SECOND: FIRST}


class Vote(NamedTuple):
  """One verdict.

  Attributes:
    verdict: FIRST, SECOND, TIE or UNPARSED.
    raw: the words or numbers that it was read from.
  """

  verdict: int
  raw: str = ''


Judge = Callable[[str, str, str], Vote]


class Ballot(NamedTuple):
  """The verdict of a judge who was asked in both orders, or in one.

  Attributes:
    verdict: on the replies in the order of the pair.
    consistent: whether both orders say the same; of one order: True.
    votes: as they were cast; the second one is on the replies exchanged.
  """

  verdict: int
  consistent: bool
  votes: tuple[Vote, ...]


def swapped(verdict: int) -> int:
  """The verdict on two replies, of one on the replies exchanged."""
  return _SWAPPED.get(verdict, verdict)


def ballot(judge: Judge, prompt, first, second, both: bool = True) -> Ballot:
  """The Ballot of a judge on a pair.

  A side wins if it wins in both orders. Votes that differ are a tie that is
  not consistent; one that cannot be parsed leaves the ballot unparsed.

  Reference: Zheng et al. 2023 (arXiv:2306.05685), section 3.4.

  Args:
    judge: of two replies.
    prompt: that was answered.
    first: a reply.
    second: the other.
    both: whether it is asked in both orders.
  """
  votes = [judge(prompt, first, second)]
  verdicts = [votes[0].verdict]
  if both:
    votes.append(judge(prompt, second, first))
    verdicts.append(swapped(votes[1].verdict))
  if UNPARSED in verdicts:
    return Ballot(UNPARSED, len(set(verdicts)) == 1, tuple(votes))
  if len(set(verdicts)) > 1:
    return Ballot(TIE, False, tuple(votes))
  return Ballot(verdicts[0], True, tuple(votes))


def longer(prompt: str, first: str, second: str) -> Vote:
  """The reply of more characters; equal ones are a tie."""
  a, b = len(first), len(second)
  verdict = TIE if a == b else FIRST if a > b else SECOND
  return Vote(verdict, f'{a} {b}')


def first_wins(prompt: str, first: str, second: str) -> Vote:
  """The reply that is shown first: pure position bias."""
  return Vote(FIRST)


def make_random(classes: int = 2, seed: int = 0) -> Judge:
  """A judge that knows nothing, the same for the same words in their order.

  Args:
    classes: 2: a side; 3: a side or a tie.
    seed: another one is another judge.
  """

  def judge(prompt, first, second):
    text = '\0'.join((str(seed), prompt, first, second))
    digest = hashlib.sha256(text.encode()).digest()
    return Vote(int.from_bytes(digest[:8], 'big') % classes)

  return judge
