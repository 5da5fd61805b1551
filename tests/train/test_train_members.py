"""K members in one program are K runs, one by one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import train_fixture as fixture

from rlhf_jax.train import members, ppo
from rlhf_jax.train.optimiser import make_optimiser
from rlhf_jax.train.steps import init_state, make_pm_step
from rlhf_jax.types import PairBatch, PMHyper, PPOHyper

TX = make_optimiser(b2=0.95)


def _close(found, wanted):
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
    found,
    wanted,
  )


def _pairs(seed):
  rng = np.random.default_rng(seed)
  tokens = lambda: rng.integers(0, fixture.V, (4, 5)).astype(np.int32)
  length = lambda: rng.integers(1, 6, 4).astype(np.int32)
  return PairBatch(tokens(), length(), tokens(), length())


def test_preference_models_of_different_data_and_rates_share_a_program():
  step = make_pm_step(fixture.count_score, TX)
  start = [{'worth_V': jnp.full(fixture.V, 0.1 * k)} for k in range(3)]
  batches = [[_pairs(10 * k + t) for t in range(3)] for k in range(3)]
  hypers = [PMHyper(rate) for rate in (0.0, 0.1, 0.3)]
  keys = [jax.random.key(k) for k in range(3)]
  together = jax.jit(members.vmap_members(step))
  states = members.stack([init_state(p, TX) for p in start])
  for t in range(3):
    states, metrics = together(
      states,
      members.stack([rows[t] for rows in batches]),
      members.stack(keys),
      members.stack(hypers),
    )
  for k, found in enumerate(members.unstack(states)):
    alone = init_state(start[k], TX)
    for t in range(3):
      alone, wanted = step(alone, batches[k][t], keys[k], hypers[k])
    _close(found, alone)
    np.testing.assert_allclose(metrics['loss'][k], wanted['loss'], rtol=1e-5)
  worth_KV = states.params['worth_V']
  assert not np.allclose(worth_KV[0], worth_KV[2])
  np.testing.assert_array_equal(worth_KV[0], start[0]['worth_V'])  # rate 0


@pytest.mark.slow  # compiles PPO for several members
def test_ppo_members_differ_in_seed_and_coefficients_and_share_the_models():
  iteration = fixture.bigram_iteration(TX)
  params = fixture.bigram_params(0)
  worth = {'worth_V': jnp.arange(fixture.V) * 0.3}
  frozen = ppo.Frozen(params['policy'], worth)
  hypers = [
    PPOHyper(
      policy_learning_rate=0.1,
      value_learning_rate=0.1,
      kl_coef=coefficient,
      clip=clip,
    )
    for coefficient, clip in ((0.0, 0.2), (0.5, 0.2), (0.5, 0.01))
  ]
  keys = [jax.random.key(k) for k in (3, 4, 4)]
  together = jax.jit(members.vmap_members(iteration, shared=(1, 2)))
  states = members.stack([init_state(params, TX)] * 3)
  for _ in range(2):
    states, metrics = together(
      states,
      frozen,
      fixture.PROMPTS,
      members.stack(keys),
      members.stack(hypers),
    )
  one = jax.jit(iteration)
  for k, found in enumerate(members.unstack(states)):
    alone = init_state(params, TX)
    for _ in range(2):
      alone, wanted = one(alone, frozen, fixture.PROMPTS, keys[k], hypers[k])
    _close(found.params, alone.params)
    _close({n: v[k] for n, v in metrics.items()}, wanted)
  table_KVV = states.params['policy']['table_VV']
  assert not np.allclose(table_KVV[1], table_KVV[2])  # only the clip differs


def test_no_members_is_an_error():
  with pytest.raises(ValueError, match='no members'):
    members.stack([])
