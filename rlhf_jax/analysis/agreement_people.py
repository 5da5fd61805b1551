"""Agreement of judges with people, and of people with each other.

Votes are classes 0 to K - 1; -1 is a vote that is missing. All that is
measured is a function of counts that add up over items,

    C[k, l]   pairs of votes in which one rater says k and the other l; of
              votes of nobody in particular every pair in both orders
    o[k, l]   Krippendorff's coincidences: within an item of m votes, every
              ordered pair of them counts 1 / (m - 1)

so that a bootstrap over items, or over groups of them that share a prompt, is a
weighted sum of their counts.

    agreement   sum_k C[k, k] / n
    kappa       (agreement - e) / (1 - e),  e = sum_k C[k, +] C[+, k] / n^2
    alpha       1 - D_o / D_e,              D_o = sum of o off the diagonal / n
                D_e = sum of n_k n_l with k != l / (n (n - 1)),  n_k = o[k, +]

References: Cohen 1960, "A coefficient of agreement for nominal scales";
Krippendorff 2011, "Computing Krippendorff's alpha-reliability", whose nominal
difference this is; Zheng et al. 2023 (arXiv:2306.05685), section 4.1, for the
set-ups S1 and S2.
"""

import itertools
import math
from collections.abc import Callable

import numpy as np

from rlhf_jax.analysis.intervals import Interval

MISSING = -1
TIE = 2  # FIRST 0, SECOND 1: see rlhf_jax/judges/votes.py
VOTES = 4  # classes of a vote: first, second, tie, unparsed
DRAWS = 2000
STATISTICS = ('agreement', 'kappa', 'alpha')


def pair_counts(rating_N, people_NR, classes: int) -> np.ndarray:
  """C of one rater and each of R others, item by item, [N, K, K].

  Args:
    rating_N: of the rater whose votes are the rows.
    people_NR: of the others, columns.
    classes: K.
  """
  one_NK = one_hot(rating_N, classes)
  others_NK = one_hot(people_NR, classes).sum(1)
  return one_NK[:, :, None] * others_NK[:, None, :]


def one_hot(rating, classes: int) -> np.ndarray:
  """Votes as rows of 0 and a 1; a missing vote is all 0.

  Raises:
    ValueError: if a vote is no class.
  """
  rating = np.asarray(rating, int)
  if rating.size and not MISSING <= rating.min() <= rating.max() < classes:
    raise ValueError(
      f'wanted votes from 0 to {classes - 1}, or -1 where one is missing, got '
      f'{rating.min()} to {rating.max()}'
    )
  return (rating[..., None] == np.arange(classes)).astype(float)


def coincidences(rating_NR, classes: int) -> np.ndarray:
  """Coincidences of R raters, item by item, [N, K, K].

  An item of one vote counts none.

  o[k, l] = n_k (n_l - [k = l]) / (m - 1),   m = sum_k n_k
  """
  m_N = one_hot(rating_NR, classes).sum((1, 2))
  pairs_NKK = ordered_pairs(rating_NR, classes)
  return pairs_NKK / np.maximum(m_N - 1, 1)[:, None, None]


def ordered_pairs(rating_NR, classes: int) -> np.ndarray:
  """Pairs of votes of an item, each in both orders, item by item, [N, K, K].

  C[k, l] = n_k (n_l - [k = l])
  """
  count_NK = one_hot(rating_NR, classes).sum(1)
  pairs_NKK = count_NK[:, :, None] * count_NK[:, None, :]
  own = np.arange(classes)
  pairs_NKK[:, own, own] -= count_NK
  return pairs_NKK


def agreement(count_KK) -> np.ndarray:
  """Share of pairs of votes that are one class; NaN of no pair."""
  count_KK = np.asarray(count_KK, float)
  with np.errstate(invalid='ignore'):
    return np.trace(count_KK, axis1=-2, axis2=-1) / count_KK.sum((-2, -1))


def kappa(count_KK) -> np.ndarray:
  """Cohen's kappa; NaN where both raters know one and the same class alone."""
  count_KK = np.asarray(count_KK, float)
  n = count_KK.sum((-2, -1))
  with np.errstate(invalid='ignore', divide='ignore'):
    chance = (count_KK.sum(-1) * count_KK.sum(-2)).sum(-1) / n**2
    found = (agreement(count_KK) - chance) / (1 - chance)
  return np.where(1 - chance > 1e-12, found, math.nan)


def alpha(coincidence_KK) -> np.ndarray:
  """Krippendorff's alpha, nominal; NaN where there is one class alone."""
  o_KK = np.asarray(coincidence_KK, float)
  n_K = o_KK.sum(-1)
  n = n_K.sum(-1)
  apart = n - np.trace(o_KK, axis1=-2, axis2=-1)
  expected = n**2 - (n_K**2).sum(-1)
  with np.errstate(invalid='ignore', divide='ignore'):
    found = 1 - (n - 1) * apart / expected
  return np.where(expected > 1e-12, found, math.nan)


def both_ways(count_KK) -> np.ndarray:
  """Coincidences of pairs of votes: each pair is an item of two raters."""
  return count_KK + np.swapaxes(count_KK, -1, -2)


def bootstrap(
  parts_NX,
  statistic: Callable,
  rng: np.random.Generator,
  draws: int = DRAWS,
  level: float = 0.95,
) -> Interval:
  """Percentile bootstrap of a statistic of summed counts, over items or groups.

  Draws in which the statistic does not exist are left out of the quantiles.

  Args:
    parts_NX: counts of each item, any shape behind N.
    statistic: (..., X) -> (...), of counts summed over items.
    rng: NumPy generator.
    draws: bootstrap samples.
    level: of the interval.
  """
  parts_NX = np.asarray(parts_NX, float)
  N, shape = len(parts_NX), parts_NX.shape[1:]
  if not N:
    return Interval(math.nan, math.nan, math.nan, 0)
  value = float(statistic(parts_NX.sum(0)))
  weight_DN = rng.multinomial(N, np.full(N, 1 / N), size=draws)
  summed_DX = (weight_DN @ parts_NX.reshape(N, -1)).reshape(draws, *shape)
  drawn_D = np.asarray(statistic(summed_DX), float)
  drawn_D = drawn_D[np.isfinite(drawn_D)]
  if not len(drawn_D) or math.isnan(value):
    return Interval(value, math.nan, math.nan, N)
  low, high = np.quantile(drawn_D, [(1 - level) / 2, (1 + level) / 2])
  return Interval(value, float(low), float(high), N)


def summed(parts_NX, group_N=None) -> np.ndarray:
  """Counts of items that share a group, such as a prompt, added up.

  Args:
    parts_NX: counts of each item.
    group_N: of each item; None: every item is its own.
  """
  parts_NX = np.asarray(parts_NX, float)
  if group_N is None or not len(parts_NX):
    return parts_NX
  names, place_N = np.unique(np.asarray(group_N), return_inverse=True)
  found_GX = np.zeros((len(names), *parts_NX.shape[1:]))
  np.add.at(found_GX, place_N, parts_NX)
  return found_GX


def with_people(
  rating_N, people_NR, classes: int = VOTES, seed: int = 0, group_N=None
):
  """{statistic: Interval over groups} of one rater and R people.

  Pairs of votes are pooled: each is one of the rater with one of a person, so
  kappa and alpha are those of the pooled table.

  Args:
    rating_N: votes of the rater.
    people_NR: of the people.
    classes: K.
    seed: of the bootstrap.
    group_N: as of `summed`.
  """
  count_NKK = pair_counts(rating_N, people_NR, classes)
  found = {'items': int(count_NKK.any((1, 2)).sum())}
  count_NKK = summed(count_NKK, group_N)
  count_NKK = count_NKK[count_NKK.any((1, 2))]
  functions = (agreement, kappa, lambda count_KK: alpha(both_ways(count_KK)))
  found |= {
    name: bootstrap(count_NKK, function, np.random.default_rng(seed))
    for name, function in zip(STATISTICS, functions, strict=True)
  }
  return found | {'votes': int(count_NKK.sum())}


def between_people(
  people_NR, classes: int = VOTES, seed: int = 0, group_N=None
):
  """{statistic: Interval over groups} of R people among themselves.

  Agreement is that of all pairs of people, kappa the mean over pairs of
  people of Cohen's, alpha that of all of them at once.

  Args:
    people_NR: votes.
    classes: K.
    seed: of the bootstrap.
    group_N: as of `summed`.
  """
  people_NR = np.asarray(people_NR, int)
  pairs = list(itertools.combinations(range(people_NR.shape[1]), 2))
  count_NPKK = np.stack(
    [pair_counts(people_NR[:, a], people_NR[:, [b]], classes) for a, b in pairs]
    + [coincidences(people_NR, classes)],
    1,
  )
  items = int(count_NPKK.any((1, 2, 3)).sum())
  count_NPKK = summed(count_NPKK, group_N)
  count_NPKK = count_NPKK[count_NPKK.any((1, 2, 3))]
  last = len(pairs)
  functions = (
    lambda count: agreement(count[..., :last, :, :].sum(-3)),
    lambda count: kappa(count[..., :last, :, :]).mean(-1),
    lambda count: alpha(count[..., last, :, :]),
  )
  found = {
    name: bootstrap(count_NPKK, function, np.random.default_rng(seed))
    for name, function in zip(STATISTICS, functions, strict=True)
  }
  return found | {'votes': int(count_NPKK[:, :last].sum()), 'items': items}


def between_votes(vote_NR, classes: int = VOTES, seed: int = 0, group_N=None):
  """{statistic: Interval over groups} of votes of nobody in particular.

  A column is the first, second, ... vote of an item, whoever's it was, and may
  be all but empty. Every pair of votes of an item counts, in both orders:
  agreement and kappa are those of that one symmetric table, on which Cohen's
  kappa is the pi of Scott 1955, alpha as ever.

  Args:
    vote_NR: votes.
    classes: K.
    seed: of the bootstrap.
    group_N: as of `summed`.
  """
  count_N2KK = np.stack(
    [ordered_pairs(vote_NR, classes), coincidences(vote_NR, classes)], 1
  )
  items = int(count_N2KK.any((1, 2, 3)).sum())
  count_N2KK = summed(count_N2KK, group_N)
  count_N2KK = count_N2KK[count_N2KK.any((1, 2, 3))]
  functions = (
    lambda count: agreement(count[..., 0, :, :]),
    lambda count: kappa(count[..., 0, :, :]),
    lambda count: alpha(count[..., 1, :, :]),
  )
  found = {
    name: bootstrap(count_N2KK, function, np.random.default_rng(seed))
    for name, function in zip(STATISTICS, functions, strict=True)
  }
  return found | {'votes': int(count_N2KK[:, 0].sum()) // 2, 'items': items}


def pair_kappas(people_NR, classes: int = VOTES) -> dict:
  """{(a, b): Cohen's kappa of persons a and b}."""
  people_NR = np.asarray(people_NR, int)
  return {
    (a, b): float(
      kappa(pair_counts(people_NR[:, a], people_NR[:, [b]], classes).sum(0))
    )
    for a, b in itertools.combinations(range(people_NR.shape[1]), 2)
  }


def decided(rating) -> np.ndarray:
  """Votes of set-up S2: those for a side; a tie or an unparsed one is none."""
  rating = np.asarray(rating, int)
  return np.where(rating < TIE, rating, MISSING)


def majority(people_NR, classes: int = VOTES) -> np.ndarray:
  """The class of more than half of the votes of an item, a tie where none is.

  An item without votes is missing.
  """
  count_NK = one_hot(people_NR, classes).sum(1)
  m_N = count_NK.sum(1)
  found_N = np.where(2 * count_NK.max(1) > m_N, count_NK.argmax(1), TIE)
  return np.where(m_N > 0, found_N, MISSING)
