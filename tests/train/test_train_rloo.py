"""RLOO: the pieces, and the optimum that it reaches without a critic."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import train_fixture as fixture
from test_train_bandit import (
  CONTEXTS,
  ITERATIONS,
  PEAK,
  PROMPTS,
  REWARD_CV,
  ROWS,
  SAMPLING,
  optimum,
  reward,
  total_variation,
)

from rlhf_jax.rollout.generate import make_collect
from rlhf_jax.rollout.repeat import repeat_prompts
from rlhf_jax.train import ppo, ppo_update, rloo
from rlhf_jax.train.optimiser import make_optimiser
from rlhf_jax.train.steps import init_state
from rlhf_jax.types import Rollout

GROUP = 4


def iteration(tx):
  """One update on the whole batch, the policy alone in the state."""
  return ppo.make_ppo_iteration(
    make_collect(SAMPLING, logits_fn=fixture.bigram_logits),
    reward,
    ppo.make_penalise(fixture.bigram_logits),
    rloo.make_rloo_estimate(GROUP),
    ppo_update.make_ppo_update(
      fixture.bigram_logits, tx, passes=1, minibatch_size=ROWS, critic=False
    ),
  )


def test_bandit_reaches_the_closed_form_optimum_without_a_critic():
  """As PPO does: sampling, penalty, baseline and loss must all be right."""
  tx = make_optimiser()
  run = iteration(tx)
  start = fixture.bigram_params(0)['policy']
  some = jax.tree.map(lambda x: x[: ROWS // GROUP], PROMPTS)
  prompts = repeat_prompts(some, GROUP)
  frozen = ppo.Frozen(start, jnp.asarray(REWARD_CV))

  @jax.jit
  def train():
    def one(state, rate):
      hyper = fixture.hyper(rate, kl_coef=0.5)
      state, metrics = run(state, frozen, prompts, jax.random.key(0), hyper)
      return state, metrics['score']

    rates = PEAK * (1 - jnp.arange(ITERATIONS) / ITERATIONS)
    return jax.lax.scan(one, init_state(start, tx), rates)

  state, score = train()
  assert set(state.params) == {'table_VV'}
  assert score[-20:].mean() > score[:5].mean() + 0.2
  pick = lambda params: np.float64(
    jax.nn.softmax(params['table_VV'][jnp.array(CONTEXTS)])
  )
  best = optimum(pick(start), 0.5)
  assert total_variation(pick(start), best) > 0.2
  assert total_variation(pick(state.params), best) < 0.05


def test_all_tokens_of_a_reply_share_one_advantage_and_no_others_have_one():
  """Ragged replies; NaN outside them changes nothing."""
  rollout = Rollout(
    tokens_BT=np.zeros((4, 5), np.int32),
    prompt_length_B=np.int32([1, 1, 2, 2]),
    length_B=np.int32([3, 5, 3, 4]),
    ended_B=np.ones(4, bool),
    logp_BT=np.zeros((4, 5), np.float32),
  )
  reward_BT = np.full((4, 5), np.nan, np.float32)
  for row, (start, end, total) in enumerate(
    [(1, 3, 1.0), (1, 5, 4.0), (2, 3, -2.0), (2, 4, 2.0)]
  ):
    reward_BT[row, start:end] = total / (end - start)
  found = rloo.make_rloo_estimate(2)({}, rollout, reward_BT, None)
  expected = np.zeros((4, 5))
  expected[0, 1:3], expected[1, 1:5] = -3.0, 3.0
  expected[2, 2:3], expected[3, 2:4] = -4.0, 4.0
  np.testing.assert_allclose(found.advantage_BT, expected, rtol=1e-6)
  np.testing.assert_array_equal(found.old_value_BT, 0.0)


@pytest.mark.parametrize('group', [0, 1, 3])
def test_groups_that_leave_nobody_out_or_do_not_fit_are_refused(group):
  with pytest.raises(ValueError, match='groups of 2 or more'):
    rloo.advantages.leave_one_out(jnp.ones(8), group)
