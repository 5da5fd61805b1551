"""Calibration and accuracy of preference models, from their scored pairs.

Source: Bai et al. 2022, sections 3.2 and 3.3. `delta` is the score of the
chosen member less that of the rejected one; the model predicts that the
higher-scored member is preferred with probability sigmoid(|delta|). `p_label`
is the true probability that `chosen` is preferred (NaN on real data); where it
is known, expected labels replace the sampled ones and take their noise away.
"""

import dataclasses
import math

import numpy as np
import pandas as pd
from scipy.special import expit

N_BINS = 10
N_SIMULATIONS = 200
QUANTILES = tuple(np.round(np.arange(0, 0.9, 0.1), 1))


@dataclasses.dataclass(frozen=True)
class Calibration:
  """How a preference model's probabilities compare with the labels.

  Attributes:
    ece: expected calibration error over equal-count bins of |delta|, in which
      equal |delta| share a bin.
    floor: its expectation under perfect calibration.
    t: the maximum-likelihood t of P(chosen) = sigmoid(t delta).
    signed_gap: mean accuracy less mean predicted; > 0 is under-confidence.
    n: pairs.
    expected_labels: whether `p_label` was used.
    bins: frame of predicted, accuracy, n: one row a bin, for the figure.

  Every number is NaN, and there are no bins, if a score is not finite.
  """

  ece: float
  floor: float
  t: float
  signed_gap: float
  n: int
  expected_labels: bool
  bins: pd.DataFrame

  @property
  def excess(self) -> float:
    """The error less what perfect calibration would show."""
    return self.ece - self.floor


def calibrate(pairs: pd.DataFrame, seed: int = 0) -> Calibration:
  """The calibration of one preference model on its scored pairs."""
  delta_N, known = deltas(pairs), has_labels(pairs)
  if not np.isfinite(delta_N).all():
    nothing = pd.DataFrame(columns=['predicted', 'accuracy', 'n'], dtype=float)
    return Calibration(*[math.nan] * 4, len(pairs), known, nothing)
  target_N = pairs['p_label'].to_numpy(float) if known else 1.0
  predicted_N = expit(np.abs(delta_N))
  correct_N, bin_N = agreement(pairs), _bin_index(pairs)
  bins = _bins(predicted_N, correct_N, bin_N)
  floor = (
    _expected_floor(predicted_N, correct_N, bin_N)
    if known
    else _sampled_floor(predicted_N, bin_N, seed)
  )
  return Calibration(
    ece=_ece(bins),
    floor=floor,
    t=logistic_refit(delta_N, target_N),
    signed_gap=float(np.mean(correct_N - predicted_N)),
    n=len(pairs),
    expected_labels=known,
    bins=bins,
  )


def error_and_refit(pairs: pd.DataFrame) -> tuple[float, float]:
  """(ece, t) of `calibrate`, with sampled labels and without the floor.

  For resampled pairs, of which the floor is as good as that of the pairs.
  """
  delta_N = deltas(pairs)
  predicted_N = expit(np.abs(delta_N))
  bins = _bins(predicted_N, agreement(pairs), _bin_index(pairs))
  return _ece(bins), logistic_refit(delta_N, 1.0)


def deltas(pairs: pd.DataFrame) -> np.ndarray:
  """Score differences, chosen less rejected, in log-odds."""
  return (pairs['score_chosen'] - pairs['score_rejected']).to_numpy(float)


def has_labels(pairs: pd.DataFrame) -> bool:
  """Whether the true label probabilities are known (simulated data)."""
  return bool(len(pairs)) and bool(pairs['p_label'].notna().all())


def agreement(pairs: pd.DataFrame) -> np.ndarray:
  """How far the label agrees that the higher-scored member is better.

    1[delta > 0]                              with sampled labels
    p_label if delta > 0 else 1 - p_label     with known probabilities

  A tie counts one half.
  """
  side_N = (np.sign(deltas(pairs)) + 1) / 2
  if not has_labels(pairs):
    return side_N
  p_N = pairs['p_label'].to_numpy(float)
  return side_N * p_N + (1 - side_N) * (1 - p_N)


def accuracy(pairs: pd.DataFrame) -> float:
  """Mean agreement."""
  return float(np.mean(agreement(pairs))) if len(pairs) else math.nan


def ceiling(pairs: pd.DataFrame) -> float:
  """Accuracy of the perfect labeller, mean max(p, 1 - p); NaN if unknown."""
  if not has_labels(pairs):
    return math.nan
  return float(np.maximum(pairs['p_label'], 1 - pairs['p_label']).mean())


def longer_wins(pairs: pd.DataFrame) -> float:
  """Accuracy of the rule 'the longer reply wins' (ties count one half)."""
  rule = pairs.assign(
    score_chosen=pairs['words_chosen'], score_rejected=pairs['words_rejected']
  )
  return accuracy(rule)


def logistic_refit(delta_N, target_N) -> float:
  """The t of P = sigmoid(t delta) that maximises the likelihood.

    sum_i [y_i - sigmoid(t delta_i)] delta_i = 0

  The sum falls as t grows, so the root is bracketed by doubling, in units of
  1 / max |delta|: scores of any scale have the t of theirs. NaN when all deltas
  are 0, or one is not finite. Separable data (every delta right, or every one
  wrong) have no finite maximum: t is inf or -inf.
  """
  delta_N = np.asarray(delta_N, float)
  target_N = np.broadcast_to(np.asarray(target_N, float), delta_N.shape)
  scale = np.abs(delta_N).max(initial=0.0)
  if scale == 0 or not np.isfinite(scale):
    return math.nan
  unit_N = delta_N / scale
  slope = lambda t: ((target_N - expit(t * unit_N)) * unit_N).sum()
  if slope(0.0) == 0:
    return 0.0
  sign = math.copysign(1.0, slope(0.0))
  if sign * ((target_N - (sign * unit_N > 0)) * unit_N).sum() >= 0:
    return sign * math.inf
  end = sign
  while sign * slope(end) > 0:
    end *= 2
  near = 0.0 if end == sign else end / 2
  from scipy import optimize  # half a second: not at every stage's start

  return float(optimize.brentq(slope, near, end, xtol=1e-15) / scale)


def min_score_accuracy(pairs: pd.DataFrame) -> pd.DataFrame:
  """Accuracy when both scores must exceed a rising threshold (Fig. 25).

  The thresholds are the quantiles 0, 0.1, ..., 0.8 of the smaller score of a
  pair. Columns: quantile, accuracy, ceiling, n. A score that is NaN has no
  place among the others: no pair is kept then, and accuracies are NaN.
  """
  scores_N2 = pairs[['score_chosen', 'score_rejected']].to_numpy(float)
  best_N = np.full(len(pairs), math.nan)
  if has_labels(pairs):
    best_N = np.maximum(pairs['p_label'], 1 - pairs['p_label']).to_numpy(float)
  value_NM = np.stack([agreement(pairs), best_N], 1)
  mean_QM, count_Q = above_quantiles(scores_N2.min(1), value_NM)
  return pd.DataFrame(
    {
      'quantile': QUANTILES,
      'accuracy': mean_QM[:, 0],
      'ceiling': mean_QM[:, 1],
      'n': count_Q,
    }
  )


def above_quantiles(smaller_N, value_NM):
  """Means of values where the smaller score reaches a quantile of it.

  Args:
    smaller_N: smaller score of each pair; one that is NaN makes all means NaN.
    value_NM: values of the pairs.

  Returns:
    (mean_QM, count_Q), a row a quantile of QUANTILES.
  """
  if np.isnan(smaller_N).any():
    shape = len(QUANTILES), value_NM.shape[1]
    return np.full(shape, math.nan), np.zeros(len(QUANTILES), int)
  order = np.argsort(smaller_N, kind='stable')
  cut_Q = np.quantile(smaller_N, QUANTILES)
  first_Q = np.searchsorted(smaller_N[order], cut_Q, side='left')
  count_Q = len(order) - first_Q
  # Sums from the top down: those of row i are of i and all above.
  sum_NM = np.cumsum(value_NM[order][::-1], axis=0)[::-1]
  return sum_NM[first_Q] / count_Q[:, None], count_Q


def turn_accuracy(pairs: pd.DataFrame) -> pd.DataFrame:
  """Accuracy by dialogue turn (Fig. 8). Columns: turn, accuracy, ceiling, n."""
  rows = [
    (turn, accuracy(group), ceiling(group), len(group))
    for turn, group in pairs.groupby('turn')
  ]
  return pd.DataFrame(rows, columns=['turn', 'accuracy', 'ceiling', 'n'])


def _bin_index(pairs):
  """Equal-count bins of |delta|, from 0; equal |delta| share a bin.

    bin of a group = floor(its mean rank x bins / N)

  so that the order of rows decides nothing. Differences of rounded scores are
  equal up to what a subtraction leaves: a few units in the last place of the
  scores. A bin that a large group leaves empty is no bin.
  """
  chosen_N, rejected_N = pairs['score_chosen'], pairs['score_rejected']
  size_N = np.abs(deltas(pairs))
  largest = max(chosen_N.abs().max(), rejected_N.abs().max())
  tolerance = 4 * _precision(chosen_N, rejected_N) * largest
  order, N = np.argsort(size_N, kind='stable'), len(size_N)
  starts = np.flatnonzero(np.diff(size_N[order], prepend=-np.inf) > tolerance)
  count_G = np.diff(starts, append=N)
  twice_mean_rank_G = 2 * starts + count_G - 1
  bin_G = twice_mean_rank_G * min(N_BINS, N) // (2 * N)
  bin_N = np.empty(N, int)
  bin_N[order] = np.repeat(np.unique(bin_G, return_inverse=True)[1], count_G)
  return bin_N


def _precision(*columns):
  """Unit in the last place of 1, of the coarsest columns; whole ones: 0."""
  kinds = [column.to_numpy().dtype for column in columns]
  return max(np.finfo(k).eps if k.kind == 'f' else 0.0 for k in kinds)


def _bins(predicted_N, correct_N, bin_N):
  frame = pd.DataFrame({'predicted': predicted_N, 'accuracy': correct_N})
  grouped = frame.groupby(bin_N)
  return grouped.mean().assign(n=grouped.size())


def _ece(bins):
  gap = (bins['accuracy'] - bins['predicted']).abs()
  return float((gap * bins['n']).sum() / bins['n'].sum())


def _sampled_floor(predicted_N, bin_N, seed):
  """Mean error when labels are drawn from the predictions themselves."""
  rng = np.random.default_rng(seed)
  count_K = np.bincount(bin_N)
  total = 0.0
  for _ in range(N_SIMULATIONS):
    label_N = rng.random(len(predicted_N)) < predicted_N
    gap_K = np.bincount(bin_N, weights=label_N - predicted_N) / count_K
    total += (np.abs(gap_K) * count_K).sum() / len(predicted_N)
  return float(total / N_SIMULATIONS)


def _expected_floor(predicted_N, correct_N, bin_N):
  """The same for expected labels, whose spread is what the bins show.

  Under perfect calibration a bin's mean gap is N(0, v / n) with v the variance
  of (correct - predicted) inside the bin, and E|N(0, s)| = s sqrt(2 / pi).
  """
  gap_N = pd.Series(correct_N - predicted_N)
  grouped = gap_N.groupby(bin_N)
  error = np.sqrt(grouped.var(ddof=1).fillna(0.0) / grouped.size())
  weight = grouped.size() / len(gap_N)
  return float((weight * error).sum() * math.sqrt(2 / math.pi))
