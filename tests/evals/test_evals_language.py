"""Loss on held-out texts, against a sum by hand."""

import math

import evals_bigram as bigram
import jax
import numpy as np
import pytest

from rlhf_jax.evals import language
from rlhf_jax.evals.language import make_text_loss, nats_per_token


def by_hand(logits_fn, params, tokens_NT, length_N):
  nats = count = 0
  for ids, length in zip(tokens_NT, length_N, strict=True):
    logits = np.asarray(
      logits_fn(params, ids[None], np.array([length])), np.float64
    )[0]
    for t in range(1, length):
      row = logits[t - 1]
      nats -= row[ids[t]] - np.log(np.exp(row).sum())
      count += 1
  return nats / count


@pytest.mark.parametrize('batch_size', [2, 3, 8])
def test_the_loss_is_that_of_every_token_after_the_first(batch_size):
  """Ragged texts, the last batch not full: pads and repeats count nothing."""
  rng = np.random.default_rng(1)
  params = bigram.random_table(0)
  tokens_NT = rng.integers(0, bigram.V, (7, 5))
  length_N = np.array([5, 1, 3, 2, 4, 5, 2])
  loss_fn = jax.jit(make_text_loss(bigram.logits_fn))
  found = nats_per_token(loss_fn, params, tokens_NT, length_N, batch_size)
  wanted = by_hand(bigram.logits_fn, params, tokens_NT, length_N)
  assert found == pytest.approx(wanted, rel=1e-6)
  changed = tokens_NT.copy()
  changed[2, 3:] = (changed[2, 3:] + 1) % bigram.V  # a pad
  again = nats_per_token(loss_fn, params, changed, length_N, batch_size)
  assert again == found


def test_a_uniform_model_loses_the_logarithm_of_the_vocabulary():
  loss_fn = make_text_loss(bigram.logits_fn)
  flat = np.zeros((bigram.V, bigram.V), np.float32)
  found = nats_per_token(loss_fn, flat, np.zeros((3, 4), int), [4, 2, 3], 2)
  assert found == pytest.approx(np.log(bigram.V), rel=1e-6)


def test_without_texts_there_is_no_loss():
  loss_fn = make_text_loss(bigram.logits_fn)
  empty = np.zeros((0, 4), int), np.zeros(0, int)
  assert np.isnan(nats_per_token(loss_fn, np.zeros((6, 6)), *empty, 2))


def test_the_loss_of_replies_is_that_of_their_tokens_and_their_end():
  """Prompts count nothing, and neither does a first token (checklist 8)."""
  rng = np.random.default_rng(2)
  params = bigram.random_table(0)
  tokens_NT = rng.integers(0, bigram.V, (5, 6))
  length_N, start_N = np.array([6, 4, 3, 5, 2]), np.array([3, 2, 1, 4, 0])
  loss_fn = jax.jit(make_text_loss(bigram.logits_fn))
  rows = params, tokens_NT, length_N
  found = nats_per_token(loss_fn, *rows, 2, start_N)
  table = np.asarray(params, np.float64)
  logp = table - np.log(np.exp(table).sum(1, keepdims=True))
  nats = [
    -logp[ids[t - 1], ids[t]]
    for ids, n, start in zip(tokens_NT, length_N, start_N, strict=True)
    for t in range(max(1, start), n)
  ]
  assert len(nats) == 3 + 2 + 2 + 1 + 1  # the last of each is its end
  assert found == pytest.approx(np.mean(nats), rel=1e-6)


@pytest.mark.parametrize('count', [1, 4, 5, 8, 9])
def test_windows_score_each_token_once_after_what_was_before_it(count):
  ids = list(range(10, 10 + count))
  found = language.windows(ids, 7, 4)
  assert sum((more for _, more in found), []) == ids
  assert all(1 <= len(more) <= 4 for _, more in found)
  for context, more in found:
    assert context == [7, *ids[: more[0] - 10]]


def test_a_ratio_of_equal_lengths_is_the_mean_with_its_error():
  """Documents of 4 tokens: sd / sqrt(n) of the means; else long ones count."""
  nats_N = np.array([4.0, 8.0, 6.0, 2.0])
  ratio, error = language.ratio_and_error(nats_N, [4] * 4)
  assert ratio == 1.25
  assert error == pytest.approx((nats_N / 4).std(ddof=1) / 2)
  ratio, error = language.ratio_and_error([1.0, 9.0], [1, 3])
  # e = 1 - 2.5, 9 - 7.5: sqrt(2 (2.25 + 2.25)) / 4.
  assert (ratio, error) == pytest.approx((2.5, 0.75))
  assert math.isnan(language.ratio_and_error([1.0], [2])[1])


def test_the_error_of_a_ratio_covers_what_it_should():
  """Of 2,000 draws of 40 documents, 95 % lie within 1.96 errors, or so."""
  rng, inside = np.random.default_rng(0), 0
  for _ in range(2000):
    tokens_N = rng.integers(50, 800, 40)
    nats_N = tokens_N * rng.normal(3.0, 0.4, 40)
    ratio, error = language.ratio_and_error(nats_N, tokens_N)
    inside += abs(ratio - 3.0) < 1.96 * error
  assert 0.91 < inside / 2000 < 0.97
