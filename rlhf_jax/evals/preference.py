"""Scores of comparisons and accuracy of a preference model."""

import numpy as np

from rlhf_jax.types import PairBatch


def score_all(score_fn, params, pairs, batch_size):
  """Scores both sides of every pair.

  Args:
    score_fn: (params, tokens_BT, length_B) -> score_B, jitted by the caller.
    params: of the preference model.
    pairs: `PairArrays`, or anything with its four columns of tokens and
      lengths, end-of-context appended.
    batch_size: rows a call; the last call is padded to keep one shape.

  Returns:
    (chosen_N, rejected_N) float32, log-odds.
  """

  def one_side(tokens_NT, length_N):
    N = len(length_N)
    short = -N % batch_size
    tokens_NT = np.pad(tokens_NT, ((0, short), (0, 0)))
    length_N = np.pad(length_N, (0, short), constant_values=1)
    parts = [
      np.asarray(
        score_fn(
          params, tokens_NT[i : i + batch_size], length_N[i : i + batch_size]
        )
      )
      for i in range(0, N, batch_size)
    ]
    return np.concatenate(parts)[:N] if parts else np.zeros(0, np.float32)

  return (
    one_side(pairs.chosen_tokens_NT, pairs.chosen_length_N),
    one_side(pairs.rejected_tokens_NT, pairs.rejected_length_N),
  )


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
