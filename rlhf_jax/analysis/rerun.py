"""A study and its rerun on other seeds: verdicts that turn, and passes lost.

A verdict that turns from pass to fail, or the other way, contradicts the first
study. A pass that becomes inconclusive does not, as long as no more are lost
than the power of the claims lets expect.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from rlhf_jax.analysis import chapters, intervals, power


class Rerun(NamedTuple):
  """What a rerun says of a study; claims by their number.

  Attributes:
    judged: claims that both studies ran.
    turned: pass in one and fail in the other.
    lost: pass in the first, inconclusive in the second.
    gained: the other way round.
    powered: passes of the first whose power is known; the numbers below count
      these alone.
    expected: how many of them power lets expect to be no pass.
    chance: that so many or more are none.
  """

  judged: tuple[int, ...]
  turned: tuple[int, ...]
  lost: tuple[int, ...]
  gained: tuple[int, ...]
  powered: tuple[int, ...]
  expected: float
  chance: float


def compare(first: Mapping, second: Mapping) -> Rerun:
  """Compares the verdicts of two documents of claims.json."""
  one, two = (
    {row['id']: row for row in document['claims'] if chapters.ran(row)}
    for document in (first, second)
  )
  both = sorted(one.keys() & two.keys())
  verdicts = {n: (one[n]['verdict'], two[n]['verdict']) for n in both}
  where = lambda *pairs: tuple(n for n in both if verdicts[n] in pairs)
  passes, fails = intervals.PASS, intervals.FAIL
  shares = {n: power.share(one[n]) for n in both if verdicts[n][0] == passes}
  shares = {n: share for n, share in shares.items() if share is not None}
  misses = sum(verdicts[n][1] != passes for n in shares)
  return Rerun(
    judged=tuple(both),
    turned=where((passes, fails), (fails, passes)),
    lost=where((passes, intervals.INCONCLUSIVE)),
    gained=where((intervals.INCONCLUSIVE, passes)),
    powered=tuple(shares),
    expected=float(sum(1 - share for share in shares.values())),
    chance=at_least(misses, [1 - share for share in shares.values()]),
  )


def at_least(count: int, chances_K: Sequence[float]) -> float:
  """P(`count` or more of K independent events, each of its own chance).

  The Poisson binomial tail, by convolution of the K two-point laws.
  """
  law_K = np.ones(1)
  for chance in chances_K:
    law_K = np.convolve(law_K, [1 - chance, chance])
  return float(law_K[count:].sum())
