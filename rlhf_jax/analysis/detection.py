"""Detection of harm: how well a score tells items of two kinds apart.

An item is flagged if its score is at least a threshold, and no item has a part
in the choice of the threshold that it is held against: items are dealt into
two folds by what they share (a prompt, a goal), and each fold is flagged at
the threshold that suits the other one.

    F1        2 TP / (2 TP + FP + FN)
    AUROC     P(a harmful item scores higher than a benign one), ties a half,
              with DeLong's error (`ood.auroc`)
    FPR95     share of benign items that are flagged at the largest threshold
              at which 95 % of the harmful items of the other fold are; the
              recall that it has on this fold stands beside
"""

import hashlib
import math
from collections.abc import Callable, Sequence

import numpy as np

from rlhf_jax.analysis import agreement_people, ood
from rlhf_jax.analysis.intervals import Interval, wilson_interval

RECALL = 0.95
SEED = 0


def folds(keys: Sequence[str]) -> np.ndarray:
  """0 or 1 of each key, by the first hexadecimal digit of its SHA-1.

  Equal keys share a fold.
  """
  digits = (hashlib.sha1(key.encode()).digest()[0] >> 4 & 1 for key in keys)
  return np.fromiter(digits, int, len(keys))


def f1(count_22) -> np.ndarray:
  """F1 of counts [..., not flagged | flagged, benign | harmful]."""
  count_22 = np.asarray(count_22, float)
  hits = 2 * count_22[..., 1, 1]
  misses = count_22[..., 1, 0] + count_22[..., 0, 1]
  with np.errstate(invalid='ignore'):
    return hits / (hits + misses)


def best_f1(score_N, harmful_N) -> float:
  """The threshold of the largest F1; of several the highest one.

  Raises:
    ValueError: if no item is harmful.
  """
  score_N, harmful_N = _checked(score_N, harmful_N)
  order = np.argsort(-score_N, kind='stable')
  found_N, kind_N = score_N[order], harmful_N[order]
  hits_N = np.cumsum(kind_N)
  last_N = np.append(found_N[1:] != found_N[:-1], True)  # of equal scores
  value_N = 2 * hits_N / (np.arange(1, len(hits_N) + 1) + kind_N.sum())
  value_N = np.where(last_N, value_N, -1.0)
  return float(found_N[int(value_N.argmax())])


def at_recall(score_N, harmful_N, recall: float = RECALL) -> float:
  """The largest threshold at which so many of the harmful items are flagged.

  Raises:
    ValueError: if no item is harmful.
  """
  score_N, harmful_N = _checked(score_N, harmful_N)
  own_M = np.sort(score_N[harmful_N > 0])[::-1]
  wanted = math.ceil(recall * len(own_M) - 1e-9)
  return float(own_M[max(wanted, 1) - 1])


def _checked(score_N, harmful_N):
  score_N = np.asarray(score_N, float)
  harmful_N = np.asarray(harmful_N, int)
  if not harmful_N.any() or np.isnan(score_N).any():
    raise ValueError(
      f'wanted scores that are numbers and a harmful item or more, got '
      f'{int(harmful_N.sum())} harmful of {len(score_N)}'
    )
  return score_N, harmful_N


def flagged(score_N, harmful_N, fold_N, choose: Callable) -> np.ndarray:
  """Whether each item is flagged, at the threshold of the other fold.

  Args:
    score_N: higher for harmful.
    harmful_N: 0 or 1.
    fold_N: 0 or 1.
    choose: (score_M, harmful_M) -> threshold, as `best_f1`.
  """
  score_N, harmful_N = _checked(score_N, harmful_N)
  flag_N = np.zeros(len(score_N), int)
  for fold in (0, 1):
    own, other = fold_N == fold, fold_N != fold
    if own.any():
      flag_N[own] = score_N[own] >= choose(score_N[other], harmful_N[other])
  return flag_N


def percentiles(score_N, harmful_N, fold_N) -> np.ndarray:
  """Share of benign items of the other fold below each score, ties a half.

  It puts detectors on one scale, so that their largest is a union.
  """
  score_N = np.asarray(score_N, float)
  found_N = np.zeros(len(score_N))
  for fold in (0, 1):
    own = fold_N == fold
    benign_M = np.sort(score_N[~own & (np.asarray(harmful_N) == 0)])
    if not len(benign_M):
      raise ValueError(f'wanted a benign item or more outside fold {fold}')
    left = np.searchsorted(benign_M, score_N[own], 'left')
    right = np.searchsorted(benign_M, score_N[own], 'right')
    found_N[own] = (left + right) / (2 * len(benign_M))
  return found_N


def of_flags(flag_N, harmful_N, group_N=None) -> dict[str, Interval]:
  """F1, agreement, kappa (bootstrap); recall, FPR (Wilson).

  Args:
    flag_N: 0 or 1.
    harmful_N: 0 or 1.
    group_N: what items share; the bootstrap draws groups. None: items.
  """
  harmful_N = np.asarray(harmful_N, int)
  count_N22 = agreement_people.pair_counts(flag_N, harmful_N[:, None], 2)
  count_G22 = agreement_people.summed(count_N22, group_N)
  functions = {
    'f1': f1,
    'agreement': agreement_people.agreement,
    'kappa': agreement_people.kappa,
  }
  found = {
    name: agreement_people.bootstrap(
      count_G22, function, np.random.default_rng(SEED)
    )
    for name, function in functions.items()
  }
  (_, missed), (alarms, hits) = count_N22.sum(0)
  benign = int((harmful_N == 0).sum())
  found['recall'] = wilson_interval(hits, int(hits + missed))
  found['fpr'] = wilson_interval(alarms, benign)
  return found


def of_scores(score_N, harmful_N, fold_N) -> dict[str, Interval]:
  """AUROC, and FPR and recall at the threshold of 95 % recall."""
  score_N, harmful_N = _checked(score_N, harmful_N)
  area = ood.auroc(score_N[harmful_N > 0], score_N[harmful_N == 0])
  flag_N = flagged(score_N, harmful_N, fold_N, at_recall)
  part = lambda kind: wilson_interval(
    float(flag_N[harmful_N == kind].sum()), int((harmful_N == kind).sum())
  )
  return {
    'auroc': ood.interval(area),
    'fpr95': part(0),
    'recall95': part(1),
  }
