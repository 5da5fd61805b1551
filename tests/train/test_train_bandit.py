"""The whole of PPO against the optimum in closed form.

One-token replies to two prompts with known rewards. The optimum of
E[r] - beta KL(pi || pi_0) is pi*(a) = pi_0(a) exp(r(a) / beta) / Z: sampling,
log-probabilities, penalty, advantages and losses must all be right to reach it.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import train_fixture as fixture

from rlhf_jax.rollout.generate import SamplingConfig
from rlhf_jax.train import ppo
from rlhf_jax.train.optimiser import make_optimiser
from rlhf_jax.train.steps import init_state
from rlhf_jax.types import Prompts

CONTEXTS = [4, 5]  # the last token of a prompt
REWARD_CV = np.float32(
  [[1.0, -0.5, 0.3, 0.0, -1.0, 0.6], [-0.8, 0.9, 0.0, 0.5, -0.2, 1.1]]
)
COEFS = [0.25, 0.5, 1.0, 4.0, 1000.0]
ROWS, ITERATIONS, PEAK = 512, 200, 0.1
SAMPLING = SamplingConfig(
  max_reply=1, stop_ids=tuple(range(fixture.V)), pad_id=0
)
PROMPTS = Prompts(
  np.int32([[4, 0], [0, 5]] * (ROWS // 2)),
  np.int32([1, 2] * (ROWS // 2)),
  np.arange(ROWS, dtype=np.int32),
)


def reward(reward_CV, tokens_BT, prompt_length_B, length_B):
  del length_B
  take = lambda at_B: jnp.take_along_axis(tokens_BT, at_B[:, None], 1)[:, 0]
  context_B = take(prompt_length_B - 1) - CONTEXTS[0]
  return reward_CV[context_B, take(prompt_length_B)]


@pytest.fixture(scope='module')
def policies():
  """kl_coef -> trained distribution [contexts, V], all in one program."""
  tx = make_optimiser()
  collect, *rest = fixture.bigram_pieces(
    tx, sampling=SAMPLING, passes=2, minibatch_size=ROWS // 2
  )
  iteration = ppo.make_ppo_iteration(collect, reward, *rest)
  start = fixture.bigram_params(0)
  frozen = ppo.Frozen(start['policy'], jnp.asarray(REWARD_CV))

  def train(kl_coef):
    def one(state, rate):
      hyper = fixture.hyper(rate, kl_coef=kl_coef, value_clip=jnp.inf)
      rng = jax.random.key(0)
      return iteration(state, frozen, PROMPTS, rng, hyper)[0], None

    rates = PEAK * (1 - jnp.arange(ITERATIONS) / ITERATIONS)
    state, _ = jax.lax.scan(one, init_state(start, tx), rates)
    table_VV = state.params['policy']['table_VV']
    return jax.nn.softmax(table_VV[jnp.array(CONTEXTS)])

  trained = jax.jit(jax.vmap(train))(jnp.float32(COEFS))
  reference = jax.nn.softmax(start['policy']['table_VV'][np.array(CONTEXTS)])
  return dict(zip(COEFS, np.float64(trained), strict=True)), reference


def total_variation(p_CV, q_CV):
  return 0.5 * np.abs(p_CV - q_CV).sum(-1).max()


def optimum(reference_CV, kl_coef):
  weight_CV = reference_CV * np.exp(REWARD_CV / kl_coef)
  return weight_CV / weight_CV.sum(-1, keepdims=True)


@pytest.mark.parametrize('kl_coef', [0.5, 1.0])
def test_bandit_reaches_the_closed_form_optimum(policies, kl_coef):
  """pi* = pi_0 exp(r / beta) / Z within 0.02 (checklist 78)."""
  trained, reference_CV = policies
  best_CV = optimum(reference_CV, kl_coef)
  assert total_variation(best_CV, reference_CV) > 0.2  # there is a way to go
  assert total_variation(trained[kl_coef], best_CV) < 0.02


def test_the_optima_can_be_told_apart(policies):
  """The tolerance of 0.02 is not met by a wrong beta (checklist 78)."""
  trained, reference_CV = policies
  assert total_variation(trained[0.5], optimum(reference_CV, 1.0)) > 0.1
  assert total_variation(trained[1.0], optimum(reference_CV, 0.5)) > 0.1


def test_a_great_penalty_keeps_the_policy_at_the_reference(policies):
  """beta = 1000 (checklist 79)."""
  trained, reference_CV = policies
  assert total_variation(trained[1000.0], reference_CV) < 0.02


def test_a_greater_penalty_ends_at_a_lower_kl(policies):
  """Strictly, over five coefficients (checklist 51)."""
  trained, reference_CV = policies
  kl = [
    (trained[c] * np.log(trained[c] / reference_CV)).sum(-1).mean()
    for c in COEFS
  ]
  assert all(np.diff(kl) < 0)
  assert kl[0] > 10 * kl[-2] > 0
