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
    ece: expected calibration error over equal-count bins of |delta|.
    floor: its expectation under perfect calibration.
    t: the maximum-likelihood t of P(chosen) = sigmoid(t delta).
    signed_gap: mean accuracy less mean predicted; > 0 is under-confidence.
    n: pairs.
    expected_labels: whether `p_label` was used.
    bins: frame of predicted, accuracy, n: one row a bin, for the figure.
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
  delta_N = (pairs['score_chosen'] - pairs['score_rejected']).to_numpy(float)
  known = has_labels(pairs)
  target_N = pairs['p_label'].to_numpy(float) if known else 1.0
  predicted_N = expit(np.abs(delta_N))
  correct_N = agreement(pairs)
  bins = _bins(predicted_N, correct_N)
  floor = (
    _expected_floor(predicted_N, correct_N)
    if known
    else _sampled_floor(predicted_N, seed)
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


def has_labels(pairs: pd.DataFrame) -> bool:
  """Whether the true label probabilities are known (simulated data)."""
  return bool(len(pairs)) and bool(pairs['p_label'].notna().all())


def agreement(pairs: pd.DataFrame) -> np.ndarray:
  """How far the label agrees that the higher-scored member is better.

    1[delta > 0]                              with sampled labels
    p_label if delta > 0 else 1 - p_label     with known probabilities

  A tie counts one half.
  """
  delta_N = (pairs['score_chosen'] - pairs['score_rejected']).to_numpy(float)
  side_N = (np.sign(delta_N) + 1) / 2
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
  """The t of P = sigmoid(t delta) that maximises the likelihood (Newton).

    sum_i [y_i - sigmoid(t delta_i)] delta_i = 0

  NaN when all deltas are 0. Separable data (every delta right) have no finite
  maximum; t is then merely large, 100 at most.
  """
  delta_N = np.asarray(delta_N, float)
  if not np.any(delta_N):
    return math.nan
  t = 0.0
  for _ in range(100):
    p_N = expit(t * delta_N)
    slope = ((target_N - p_N) * delta_N).sum()
    curvature = (p_N * (1 - p_N) * delta_N**2).sum()
    step = slope / max(curvature, 1e-12)
    # A step is at most the spread of t itself, which keeps Newton monotone.
    step = float(np.clip(step, -1 - abs(t), 1 + abs(t)))
    t = float(np.clip(t + step, -100, 100))
    if abs(step) < 1e-10:
      break
  return t


def min_score_accuracy(pairs: pd.DataFrame) -> pd.DataFrame:
  """Accuracy when both scores must exceed a rising threshold (Fig. 25).

  The thresholds are the quantiles 0, 0.1, ..., 0.8 of the smaller score of a
  pair. Columns: quantile, accuracy, ceiling, n.
  """
  smaller_N = pairs[['score_chosen', 'score_rejected']].min(axis=1)
  rows = []
  for quantile in QUANTILES:
    kept = pairs[smaller_N >= smaller_N.quantile(quantile)]
    rows.append((quantile, accuracy(kept), ceiling(kept), len(kept)))
  return pd.DataFrame(rows, columns=['quantile', 'accuracy', 'ceiling', 'n'])


def turn_accuracy(pairs: pd.DataFrame) -> pd.DataFrame:
  """Accuracy by dialogue turn (Fig. 8). Columns: turn, accuracy, ceiling, n."""
  rows = [
    (turn, accuracy(group), ceiling(group), len(group))
    for turn, group in pairs.groupby('turn')
  ]
  return pd.DataFrame(rows, columns=['turn', 'accuracy', 'ceiling', 'n'])


def _bin_index(predicted_N):
  """Equal-count bins of |delta|; sigmoid is monotone, so of the prediction."""
  rank_N = np.argsort(np.argsort(predicted_N, kind='stable'), kind='stable')
  n_bins = min(N_BINS, len(predicted_N))
  return rank_N * n_bins // len(predicted_N)


def _bins(predicted_N, correct_N):
  frame = pd.DataFrame({'predicted': predicted_N, 'accuracy': correct_N})
  grouped = frame.groupby(_bin_index(predicted_N))
  return grouped.mean().assign(n=grouped.size())


def _ece(bins):
  gap = (bins['accuracy'] - bins['predicted']).abs()
  return float((gap * bins['n']).sum() / bins['n'].sum())


def _sampled_floor(predicted_N, seed):
  """Mean error when labels are drawn from the predictions themselves."""
  rng = np.random.default_rng(seed)
  index_N = _bin_index(predicted_N)
  count_K = np.bincount(index_N)
  total = 0.0
  for _ in range(N_SIMULATIONS):
    label_N = rng.random(len(predicted_N)) < predicted_N
    gap_K = np.bincount(index_N, weights=label_N - predicted_N) / count_K
    total += (np.abs(gap_K) * count_K).sum() / len(predicted_N)
  return float(total / N_SIMULATIONS)


def _expected_floor(predicted_N, correct_N):
  """The same for expected labels, whose spread is what the bins show.

  Under perfect calibration a bin's mean gap is N(0, v / n) with v the variance
  of (correct - predicted) inside the bin, and E|N(0, s)| = s sqrt(2 / pi).
  """
  gap_N = pd.Series(correct_N - predicted_N)
  grouped = gap_N.groupby(_bin_index(predicted_N))
  error = np.sqrt(grouped.var(ddof=1).fillna(0.0) / grouped.size())
  weight = grouped.size() / len(gap_N)
  return float((weight * error).sum() * math.sqrt(2 / math.pi))
