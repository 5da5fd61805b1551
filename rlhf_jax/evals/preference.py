"""Scores of comparisons and accuracy of a preference model."""

import jax
import numpy as np

from rlhf_jax.types import PairBatch, SharedPairs


def score_all(pair_score_fn, params, pairs, batch_size):
  """Scores both sides of every pair.

  Args:
    pair_score_fn: (params, SharedPairs) -> (chosen_B, rejected_B), jitted by
      the caller.
    params: of the preference model.
    pairs: SharedPairs of N rows, NumPy.
    batch_size: pairs a call; the last call is padded to keep one shape.

  Returns:
    (chosen_N, rejected_N) float32, log-odds.
  """
  N = len(pairs.prefix_B)
  if not N:
    return np.zeros(0, np.float32), np.zeros(0, np.float32)
  grow = lambda x: np.pad(x, [(0, -N % batch_size)] + [(0, 0)] * (x.ndim - 1))
  pairs = [grow(column) for column in pairs]
  parts = []
  for i in range(0, N, batch_size):
    rows = SharedPairs(*(column[i : i + batch_size] for column in pairs))
    parts.append(jax.device_get(pair_score_fn(params, rows)))
  return tuple(np.concatenate(side)[:N] for side in zip(*parts, strict=True))


def pair_batch(arrays):
  """The four columns of a training batch, out of a `PairArrays`."""
  return PairBatch(
    arrays.chosen_tokens_NT,
    arrays.chosen_length_N,
    arrays.rejected_tokens_NT,
    arrays.rejected_length_N,
  )


def accuracy(chosen_N, rejected_N):
  """Share of pairs whose chosen side scores higher; ties count one half."""
  return float(np.mean(0.5 * (np.sign(chosen_N - rejected_N) + 1.0)))


def expected_accuracy(chosen_N, rejected_N, p_label_N):
  """Accuracy expected over the labels' own noise.

    mean of  p  where chosen scores higher,  1 - p  where it scores lower

  with p the true probability that `chosen` is preferred. Its ceiling is
  mean max(p, 1 - p). NaN where the probabilities are unknown (real data).
  """
  agree_N = 0.5 * (np.sign(chosen_N - rejected_N) + 1.0)
  return float(np.mean(agree_N * p_label_N + (1 - agree_N) * (1 - p_label_N)))
