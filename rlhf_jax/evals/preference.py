"""Scores of comparisons and accuracy of a preference model."""

import jax
import numpy as np

from rlhf_jax.losses import language, masked
from rlhf_jax.types import LMBatch, PairBatch, SharedCandidates, SharedPairs


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


def score_candidates(candidate_score_fn, params, rows, batch_size):
  """Scores every candidate of every prompt.

  Args:
    candidate_score_fn: (params, SharedCandidates) -> score_BC, jitted by the
      caller.
    params: of the preference model.
    rows: SharedCandidates of N prompts, NumPy.
    batch_size: prompts a call; the last call is padded to keep one shape.

  Returns:
    score_NC float32, log-odds; of a missing candidate any number.
  """
  N = len(rows.prefix_B)
  grow = lambda x: np.pad(x, [(0, -N % batch_size)] + [(0, 0)] * (x.ndim - 1))
  columns, parts = [grow(column) for column in rows], []
  for i in range(0, N, batch_size):
    part = SharedCandidates(*(column[i : i + batch_size] for column in columns))
    parts.append(jax.device_get(candidate_score_fn(params, part)))
  return np.concatenate(parts)[:N]


def make_imitation_score(logits_fn):
  """Builds score(params, LMBatch) -> (whole_B, each_B), of replies as texts.

    whole[b] = log p(reply | prompt) in nats, each[b] = that per token

  Reference: Askell et al. 2021 (arXiv:2112.00861), section 3, imitation.

  Args:
    logits_fn: (params, tokens_BT, length_B) -> logits_BTV.
  """

  def score(params, texts):
    logits_BTV = logits_fn(params, texts.tokens_BT, texts.length_B)
    logp_BT = language.token_logps(logits_BTV, texts.tokens_BT)
    start_B, T = texts.loss_start_B, texts.tokens_BT.shape[1]
    mask_BT = masked.reply_mask(start_B, texts.length_B, T)
    return language.sequence_logps(logp_BT, mask_BT)

  return score


def score_texts(score_fn, params, texts, batch_size):
  """Both numbers of `make_imitation_score` for N texts, float32.

  Args:
    score_fn: jitted by the caller.
    params: of the language model.
    texts: LMBatch of N rows, NumPy.
    batch_size: texts a call; the last call is padded to keep one shape.
  """
  N = len(texts.length_B)
  grow = lambda x: np.pad(x, [(0, -N % batch_size)] + [(0, 0)] * (x.ndim - 1))
  columns, parts = [grow(column) for column in texts], []
  for i in range(0, N, batch_size):
    rows = LMBatch(*(column[i : i + batch_size] for column in columns))
    parts.append(jax.device_get(score_fn(params, rows)))
  return tuple(np.concatenate(part)[:N] for part in zip(*parts, strict=True))


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
