"""Judges that score each reply by itself: preference models, grades, lengths.

    d = score(prompt, first) - score(prompt, second)
    first if d > t, second if d < -t, else a tie

A score that is None or NaN leaves the vote unparsed.
"""

import math
from collections.abc import Callable

import numpy as np

from rlhf_jax.judges.votes import FIRST, SECOND, TIE, UNPARSED, Judge, Vote

GRADES_APART = 0.1  # grades of 1 to 10 that differ by less are a tie

Score = Callable[[str, str], float | None]


def make_score_judge(score: Score, threshold: float = 0.0) -> Judge:
  """The judge of a score.

  Args:
    score: (prompt, reply) -> number, higher for better; None: nothing is known.
    threshold: t, below which a difference is a tie; from other pairs
      (`tie_threshold`).
  """

  def judge(prompt, first, second):
    both = [score(prompt, reply) for reply in (first, second)]
    raw = ' '.join(map(str, both))
    if any(x is None or math.isnan(x) for x in both):
      return Vote(UNPARSED, raw)
    return Vote(int(verdicts(both[0] - both[1], threshold)), raw)

  return judge


def verdicts(difference, threshold: float) -> np.ndarray:
  """The verdict of each difference d."""
  difference = np.asarray(difference, float)
  found = np.where(difference > threshold, FIRST, TIE)
  return np.where(difference < -threshold, SECOND, found)


def tie_threshold(difference_N, vote_N) -> float:
  """The threshold t with which most verdicts are those of people.

  Of several the smallest. It is to be used on other pairs than these.

  Args:
    difference_N: d of each pair.
    vote_N: FIRST, SECOND or TIE, of a person or of most of them.

  Raises:
    ValueError: if there is no pair, or a difference is not finite.
  """
  difference_N = np.asarray(difference_N, float)
  if not len(difference_N) or not np.isfinite(difference_N).all():
    raise ValueError(
      f'wanted finite differences of 1 pair or more, got {len(difference_N)}'
    )
  tried = np.unique(np.append(np.abs(difference_N), 0.0))
  right = [np.mean(verdicts(difference_N, t) == vote_N) for t in tried]
  return float(tried[int(np.argmax(right))])
