"""An ensemble as the reward of a run: members, their zero, and who opens it."""

import jax
import numpy as np
import pytest
import shared_fixture as tiny

from experiments.shared import ensembles, trained
from rlhf_jax.types import Rollout

CONFIG = {'ensemble_dirs': ('B', 'C'), 'ensemble_coef': 0.5, 'seed': 3}
CONFIG |= {'max_prompt': 16, 'dtype': 'float32', 'comparisons_dir': 'X'}
SHIFTS = {'A': 10.0, 'B': -20.0, 'C': 0.0}
WORTHS = {'A': 1.0, 'B': 2.0, 'C': 4.0}


def member(name, config='197K'):
  """A PM whose score is a number for each token of the reply, and a shift."""
  return tiny.namespace(
    name=name,
    functions=tiny.namespace(config=config),
    frozen=(),
    trained={'worth': np.float32(WORTHS[name]), 'shift': SHIFTS[name]},
    size=config,
  )


def score(weights, tokens_BT, prompt_length_B, length_B):
  del tokens_BT
  own = weights[1]
  return own['worth'] * (length_B - prompt_length_B) + own['shift']


@pytest.fixture
def made():
  """reward_of with these members; pi_0 writes replies of 2 and 4 tokens."""
  asked = {}

  def sample(params, rows, rng):
    asked['key'] = jax.random.key_data(rng).tolist()
    prompt_B = np.int32(rows.length_B)
    length_B = prompt_B + np.int32([2, 4])
    tokens_BT = np.zeros((2, 40), np.int32)
    return Rollout(tokens_BT, prompt_B, length_B, np.ones(2, bool), None)

  def make(way, size='197K'):
    config = CONFIG | {'ensemble': way}
    networks = [member('A'), member('B', size), member('C', size)]
    members = [(pm, score, (pm.frozen, pm.trained)) for pm in networks]
    prompts = [(tiny.prompt(f'draw {i} cats'), 'helpful') for i in range(2)]
    return ensembles.reward_of(config, tiny.base(), members, sample, prompts)

  return make, asked


def test_each_member_s_zero_is_its_mean_under_pi_0(made):
  """Replies of 3 tokens in the mean: 3, 6 and 12, and each one's shift."""
  make, asked = made
  reward, (weights, centre_N) = make('mean')
  assert len(weights) == 3
  np.testing.assert_allclose(centre_N, [13.0, -14.0, 12.0])
  rows = np.zeros((2, 8), np.int32), np.int32([1, 1]), np.int32([4, 6])
  found = reward((weights, centre_N), *rows)  # replies of 3 and 5
  np.testing.assert_allclose(found, [0.0, 2 * 7 / 3], atol=1e-5)
  assert asked['key'] == jax.random.key_data(jax.random.key(3)).tolist()


@pytest.mark.parametrize(
  ('way', 'wanted'), [('min', 2.0), ('variance', 14 / 3 - 0.5 * 56 / 9)]
)
def test_the_worst_case_is_the_least_above_its_own_zero(made, way, wanted):
  """Two tokens more than the mean are 2, 4 and 8; their variance is 56 / 9."""
  reward, weights = made[0](way)
  rows = np.zeros((1, 8), np.int32), np.int32([1]), np.int32([6])
  np.testing.assert_allclose(reward(weights, *rows), [wanted], rtol=1e-5)


def test_members_of_another_size_are_refused(made):
  with pytest.raises(ValueError, match='B is of size 13K, .* of size 197K'):
    made[0]('mean', size='13K')


def test_a_member_starts_from_another_head_and_reads_in_another_order():
  """Member 0 is the train PM to the bit, and labels stay those of the seed."""
  config = {'seed': 5}
  key = lambda member: jax.random.key_data(
    trained.member_key(config | {'member': member})
  ).tolist()
  assert key(0) == jax.random.key_data(jax.random.key(5)).tolist()
  assert len({tuple(key(i)) for i in range(4)}) == 4
  orders = [trained.member_order(config | {'member': i}) for i in range(4)]
  assert orders[0] == trained.member_order(config) == 5
  assert len(set(orders)) == 4
