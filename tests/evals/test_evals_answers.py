"""Log-probabilities of answers, against their definition."""

import evals_bigram as bigram
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlhf_jax.evals.answers import (
  make_answer_logps,
  mutual_information,
  per_token,
  true_mass,
)
from rlhf_jax.types import SplitModel

TABLE_VV = bigram.random_table(4)


def by_definition(tokens_BT, first_B, length_B):
  """The naive twin: one softmax a token, in NumPy."""
  out = []
  for tokens_T, first, length in zip(tokens_BT, first_B, length_B, strict=True):
    total = 0.0
    for t in range(first, length):
      logits_V = TABLE_VV[tokens_T[t - 1]].astype(np.float64)
      total += logits_V[tokens_T[t]] - np.log(np.exp(logits_V).sum())
    out.append(total)
  return np.array(out)


def split_model(chunk):
  def hidden_fn(table_VV, tokens_BT, length_B, read_BS=None):
    if read_BS is not None:
      tokens_BT = jnp.take_along_axis(tokens_BT, read_BS, 1)
    return jax.nn.one_hot(tokens_BT, bigram.V)

  return SplitModel(hidden_fn, lambda table_VV, x: x @ table_VV, chunk)


@pytest.mark.parametrize(
  ('model', 'max_reply'),
  [(bigram.logits_fn, None), (split_model(None), 4), (split_model(3), 4)],
)
def test_an_answer_has_the_sum_of_its_tokens_log_probabilities(
  model, max_reply
):
  rollout = bigram.fixed_rollout()
  rows = (rollout.tokens_BT, rollout.prompt_length_B, rollout.length_B)
  logps = jax.jit(make_answer_logps(model, max_reply=max_reply))
  np.testing.assert_allclose(
    logps(TABLE_VV, *rows), by_definition(*rows), rtol=1e-5
  )


def test_what_follows_an_answer_changes_nothing():
  rollout = bigram.fixed_rollout()
  rows = (rollout.prompt_length_B, rollout.length_B)
  logps = jax.jit(make_answer_logps(bigram.logits_fn))
  before = logps(TABLE_VV, rollout.tokens_BT, *rows)
  other = rollout.tokens_BT.copy()
  for b, length in enumerate(rollout.length_B):
    other[b, length:] = 5 - other[b, length:]
  assert not np.array_equal(other, rollout.tokens_BT)
  np.testing.assert_array_equal(logps(TABLE_VV, other, *rows), before)


def test_a_mean_is_of_the_answer_s_own_tokens():
  np.testing.assert_allclose(
    per_token(np.array([-6.0, -6.0, 0.0]), np.array([2, 3, 0])),
    [-3.0, -2.0, 0.0],
  )


def test_mutual_information_takes_off_what_is_likely_anyway():
  # The second answer is the likelier one, and the question tells for the first.
  found = mutual_information([-5.0, -4.0], [-9.0, -4.5])
  np.testing.assert_allclose(found, [4.0, 0.5])


def test_the_true_answers_mass_is_that_of_a_softmax():
  """By hand: exp(0), exp(-log 2), exp(-log 4) are 1, 1/2, 1/4 of 7/4."""
  logp_C = [0.0, -np.log(2), -np.log(4)]
  assert true_mass(logp_C, [1, 0, 1]) == pytest.approx(5 / 7)
  assert true_mass(logp_C, [0, 1, 0]) == pytest.approx(2 / 7)


def test_the_mass_of_very_unlikely_answers_is_finite():
  """exp(-2000) is 0 in floating point; only differences count."""
  assert true_mass([-2000.0, -2000.0 - np.log(3)], [1, 0]) == pytest.approx(
    0.75
  )
