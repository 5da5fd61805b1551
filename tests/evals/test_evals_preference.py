"""Accuracy by hand, and scores of all pairs in batches of one shape."""

import numpy as np
import pytest

from rlhf_jax.data.shared import share_prefix
from rlhf_jax.evals import preference
from rlhf_jax.types import LMBatch, PairBatch


def score_fn(weight_V, tokens_BT, length_B):
  """The last token's weight and the length, in NumPy."""
  last_B = tokens_BT[np.arange(len(length_B)), length_B - 1]
  return (weight_V[last_B] + length_B).astype(np.float32)


class Arrays:
  """Random pairs under the names of `PairArrays`."""

  def __init__(self, N):
    rng = np.random.default_rng(0)
    self.chosen_tokens_NT = rng.integers(0, 8, (N, 5)).astype(np.int32)
    self.chosen_length_N = rng.integers(1, 6, N).astype(np.int32)
    self.rejected_tokens_NT = rng.integers(0, 8, (N, 5)).astype(np.int32)
    self.rejected_length_N = rng.integers(1, 6, N).astype(np.int32)


def pair_score_fn(weight_V, pairs):
  """The same of `SharedPairs`, whose prefix belongs to both sides."""
  rows = np.arange(len(pairs.prefix_B))[:, None]
  token_B2 = pairs.tokens_BT[rows, pairs.last_B2]
  first, second = 1 + pairs.last_B2.T
  length_B2 = np.stack([first, pairs.prefix_B + second - first], 1)
  score_B2 = (weight_V[token_B2] + length_B2).astype(np.float32)
  return score_B2[:, 0], score_B2[:, 1]


@pytest.mark.parametrize('batch_size', [1, 3, 7, 10])
def test_padding_of_the_last_batch_changes_nothing(batch_size):
  """Seven pairs: every call has one shape, every score its place."""
  pairs, weight_V, shapes = Arrays(7), np.arange(8.0), set()

  def counted(params, rows):
    shapes.add(rows.tokens_BT.shape)
    return pair_score_fn(params, rows)

  rows = share_prefix(preference.pair_batch(pairs))
  chosen_N, rejected_N = preference.score_all(
    counted, weight_V, rows, batch_size
  )
  assert len(shapes) == 1 and shapes.pop()[0] == batch_size
  for got_N, tokens_NT, length_N in (
    (chosen_N, pairs.chosen_tokens_NT, pairs.chosen_length_N),
    (rejected_N, pairs.rejected_tokens_NT, pairs.rejected_length_N),
  ):
    np.testing.assert_array_equal(
      got_N, score_fn(weight_V, tokens_NT, length_N)
    )


def test_no_pairs_give_no_scores():
  rows = share_prefix(preference.pair_batch(Arrays(0)))
  chosen_N, rejected_N = preference.score_all(pair_score_fn, None, rows, 4)
  assert chosen_N.shape == rejected_N.shape == (0,)


def test_pair_batch_takes_the_four_columns():
  pairs = Arrays(2)
  batch = preference.pair_batch(pairs)
  assert isinstance(batch, PairBatch)
  assert batch.chosen_tokens_BT is pairs.chosen_tokens_NT
  assert batch.chosen_length_B is pairs.chosen_length_N
  assert batch.rejected_tokens_BT is pairs.rejected_tokens_NT
  assert batch.rejected_length_B is pairs.rejected_length_N


CHOSEN_N = np.array([2.0, 0.0, 1.0, 1.0])
REJECTED_N = np.array([1.0, 3.0, 1.0, 0.0])  # right, wrong, tie, right


def test_accuracy_counts_a_tie_as_one_half():
  """2.5 of 4; swapping the sides gives 1 - a (checklist 20)."""
  assert preference.accuracy(CHOSEN_N, REJECTED_N) == 0.625
  assert preference.accuracy(REJECTED_N, CHOSEN_N) == 0.375


def test_expected_accuracy_by_hand():
  """(0.9 + (1 - 0.4) + 0.5 + 0.2) / 4."""
  p_N = np.array([0.9, 0.4, 0.8, 0.2])
  got = preference.expected_accuracy(CHOSEN_N, REJECTED_N, p_N)
  assert got == pytest.approx((0.9 + 0.6 + 0.5 + 0.2) / 4)
  ceiling = preference.expected_accuracy(p_N, 1 - p_N, p_N)
  assert ceiling == pytest.approx(np.maximum(p_N, 1 - p_N).mean())


def test_expected_accuracy_is_unknown_on_real_data():
  p_N = np.full(4, np.nan)
  assert np.isnan(preference.expected_accuracy(CHOSEN_N, REJECTED_N, p_N))


def bigram_logits(logits_VV, tokens_BT, length_B):
  """The next token depends on this one alone."""
  del length_B
  return logits_VV[tokens_BT]


@pytest.mark.parametrize('batch_size', [2, 5])
def test_an_imitator_scores_replies_by_their_log_probability(batch_size):
  """Equal to a loop over reply tokens, whatever the batches and the pads."""
  rng = np.random.default_rng(1)
  logits_VV = rng.normal(size=(8, 8)).astype(np.float32)
  texts = LMBatch(
    rng.integers(0, 8, (5, 6)).astype(np.int32),
    np.int32([6, 4, 3, 5, 2]),
    np.int32([2, 1, 2, 3, 1]),
  )
  score = preference.make_imitation_score(bigram_logits)
  whole_N, each_N = preference.score_texts(score, logits_VV, texts, batch_size)
  logp_VV = logits_VV - np.log(np.exp(logits_VV).sum(1, keepdims=True))
  for n in range(5):
    ids, span = texts.tokens_BT[n], range(*texts_span(texts, n))
    terms = [logp_VV[ids[t - 1], ids[t]] for t in span]
    assert whole_N[n] == pytest.approx(sum(terms), abs=1e-5)
    assert each_N[n] == pytest.approx(sum(terms) / len(terms), abs=1e-5)


def texts_span(texts, n):
  """(first, last + 1) of the reply tokens of a row."""
  return int(texts.loss_start_B[n]), int(texts.length_B[n])
