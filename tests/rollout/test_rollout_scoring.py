"""Inputs of the preference model, text rewards and the reward of noise."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlhf_jax.rollout.scoring import (
  end_of_context_input,
  make_hash_reward,
  make_pm_reward,
  make_text_reward,
)
from rlhf_jax.text.encode import append_end_of_context

EOC, EOS, HUMAN = 9, 8, 7
TOKENS_BT = np.array(
  [[1, 2, 8, 0, 0], [1, 7, 2, 7, 0], [1, 2, 3, 4, 5], [7, 8, 0, 0, 0]],
  np.int32,
)
LENGTH_B = np.array([3, 4, 5, 2], np.int32)
PROMPT_B = np.array([1, 2, 2, 1], np.int32)
IDS = dict(end_of_context_id=EOC, eos_id=EOS, stop_ids=(EOS, HUMAN))


def score_fn(weight_V, tokens_BT, length_B):
  """A score that reads every real token and its place."""
  place = jnp.arange(1, tokens_BT.shape[1] + 1)
  real_BT = place <= length_B[:, None]
  return jnp.where(real_BT, weight_V[tokens_BT] * place, 0.0).sum(1)


def test_end_of_context_follows_the_last_real_token():
  """A human turn at the end is closed by eos, one inside is kept."""
  tokens, length_B = end_of_context_input(TOKENS_BT, LENGTH_B, **IDS)
  np.testing.assert_array_equal(
    tokens,
    [
      [1, 2, 8, 9, 0, 0],
      [1, 7, 2, 8, 9, 0],
      [1, 2, 3, 4, 5, 9],
      [7, 8, 9, 0, 0, 0],
    ],
  )
  np.testing.assert_array_equal(length_B, LENGTH_B + 1)


def test_input_equals_that_of_the_training_data():
  """Without other stops, as `append_end_of_context` writes it."""
  ours = end_of_context_input(
    TOKENS_BT, LENGTH_B, end_of_context_id=EOC, eos_id=EOS
  )
  theirs = append_end_of_context(TOKENS_BT, LENGTH_B, EOC, 0)
  jax.tree.map(np.testing.assert_array_equal, ours, theirs)


@pytest.mark.parametrize('fill', [0, EOS, HUMAN, EOC])
def test_pads_change_no_score(fill):
  """Pads of any content, end tokens among them (checklist 1, 4)."""
  weight_V = np.random.default_rng(0).normal(size=10).astype(np.float32)
  reward = make_pm_reward(score_fn, **IDS)
  past_BT = np.arange(5) >= LENGTH_B[:, None]
  padded_BT = np.where(past_BT, fill, TOKENS_BT)
  got_B = reward(weight_V, padded_BT, PROMPT_B, LENGTH_B)
  rows = [[1, 2, 8, 9], [1, 7, 2, 8, 9], [1, 2, 3, 4, 5, 9], [7, 8, 9]]
  expected_B = [
    sum(weight_V[token] * (i + 1) for i, token in enumerate(row))
    for row in rows
  ]
  np.testing.assert_allclose(got_B, expected_B, rtol=1e-5)


def test_python_judges_arithmetic_by_exact_match():
  """A verifier on decoded text gives 1 and 0, outside jit."""
  symbols = '0123456789+=$'
  decode = lambda ids: ''.join(symbols[i] for i in ids)

  def judge(prompt, reply):
    a, b = map(int, re.fullmatch(r'(\d+)\+(\d+)=', prompt).groups())
    return reply == f'{a + b}$'

  texts = [('2+3=', '5$'), ('2+3=', '6$'), ('12+9=', '21$'), ('1+1=', '22')]
  tokens_BT = np.full((4, 10), 5, np.int32)  # pads that read '5'
  for b, (prompt, reply) in enumerate(texts):
    ids = [symbols.index(c) for c in prompt + reply]
    tokens_BT[b, : len(ids)] = ids
  prompt_B = np.array([len(prompt) for prompt, _ in texts])
  length_B = np.array([len(prompt + reply) for prompt, reply in texts])
  reward = make_text_reward(decode, judge)
  score_B = reward(jnp.asarray(tokens_BT), prompt_B, length_B)
  assert score_B.dtype == np.float32
  np.testing.assert_array_equal(score_B, [1, 0, 1, 0])


@pytest.fixture(scope='module')
def noise():
  """(reward, tokens, lengths): 20000 replies after one prompt."""
  rng = np.random.default_rng(1)
  tokens_BT = rng.integers(0, 500, (20_000, 8)).astype(np.int32)
  tokens_BT[:, :2] = 3
  length_B = rng.integers(4, 8, 20_000).astype(np.int32)
  reward = jax.jit(make_hash_reward(1.0))
  return reward, tokens_BT, length_B


def test_noise_is_the_same_every_time_and_scales(noise):
  reward, tokens_BT, length_B = noise
  first = reward(0, tokens_BT, length_B, length_B)
  np.testing.assert_array_equal(
    first, reward(0, tokens_BT, length_B * 0, length_B)
  )
  half = make_hash_reward(0.5)(0, tokens_BT[:2], length_B[:2], length_B[:2])
  np.testing.assert_allclose(half, first[:2] / 2, rtol=1e-5)


def test_noise_is_standard_logistic(noise):
  """Mean 0, variance pi^2 / 3, quartiles +- log 3, for each seed."""
  reward, tokens_BT, length_B = noise
  for seed in (0, 1):
    score = np.asarray(reward(seed, tokens_BT, length_B, length_B))
    assert abs(score.mean()) < 4 * (np.pi / 3**0.5) / 20_000**0.5
    assert score.var() == pytest.approx(np.pi**2 / 3, rel=0.06)
    quartiles = np.quantile(score, [0.25, 0.5, 0.75])
    np.testing.assert_allclose(quartiles, [-np.log(3), 0, np.log(3)], atol=0.08)


def test_noise_of_seeds_and_of_one_token_is_unrelated(noise):
  reward, tokens_BT, length_B = noise
  first = reward(0, tokens_BT, length_B, length_B)
  changed_BT = tokens_BT.copy()
  changed_BT[:, 3] += 1
  for other in (
    reward(1, tokens_BT, length_B, length_B),
    reward(0, changed_BT, length_B, length_B),
  ):
    assert abs(np.corrcoef(first, other)[0, 1]) < 4 / 20_000**0.5


def test_pads_change_no_noise(noise):
  """Neither what they hold nor how many there are (checklist 1, 4)."""
  reward, tokens_BT, length_B = noise
  expected = reward(0, tokens_BT, length_B, length_B)
  past_BT = np.arange(8) >= length_B[:, None]
  other_BT = np.where(past_BT, 0, tokens_BT)
  np.testing.assert_array_equal(
    reward(0, other_BT, length_B, length_B), expected
  )
  wider_BT = np.pad(other_BT, ((0, 0), (0, 3)))
  np.testing.assert_array_equal(
    reward(0, wider_BT, length_B, length_B), expected
  )
  shorter = reward(0, tokens_BT, length_B, length_B - 1)
  assert np.mean(np.asarray(shorter) != np.asarray(expected)) > 0.99
