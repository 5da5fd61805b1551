"""PPO's numbers on two replies of one and three tokens, found by hand.

The model is a table: after token v the next one is distributed as row v says,
and the value before it is the v-th of another table. Token 1 is every prompt.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import train_fixture as fixture

from rlhf_jax.train import ppo, ppo_update
from rlhf_jax.train.steps import init_state
from rlhf_jax.types import Experience, Rollout

V = 4
RNG = jax.random.key(0)
MASK_BT = np.float32([[0, 1, 0, 0], [0, 1, 1, 1]])
HYPER = fixture.hyper(clip=0.1, value_clip=0.25, value_coef=1.0)


def joint(params, tokens_BT, length_B):
  del length_B
  logits_BTV = params['policy']['table_VV'][tokens_BT]
  return logits_BTV, params['value']['value_V'][tokens_BT]


def params_of(value=0.0):
  """A uniform policy: every token has log(1 / 4); one value everywhere."""
  return {
    'policy': {'table_VV': jnp.zeros((V, V))},
    'value': {'value_V': jnp.full(V, value)},
  }


def experience_of(mask_BT=MASK_BT, **changes):
  """Replies of so many tokens; at first ratios are 1, all else is 0."""
  B, T = mask_BT.shape
  zeros_BT = np.zeros((B, T), np.float32)
  fields = {
    'tokens_BT': np.where(mask_BT > 0, 2, 1).astype(np.int32),
    'prompt_length_B': np.ones(B, np.int32),
    'length_B': 1 + mask_BT.sum(1).astype(np.int32),
    'old_logp_BT': np.float32(mask_BT * math.log(1 / V)),
    'old_value_BT': zeros_BT,
    'advantage_BT': zeros_BT,
    'return_BT': zeros_BT,
  }
  return Experience(**fields | changes)


def loss_of(value=0.0, hyper=HYPER, **changes):
  """(policy loss, value loss) of the experience."""
  loss_fn = ppo_update.make_ppo_loss(joint, hyper)
  loss, stats = loss_fn(params_of(value), experience_of(**changes))
  found = float(stats['policy_loss']), float(stats['value_loss'])
  assert float(loss) == pytest.approx(found[0] + hyper.value_coef * found[1])
  return found


def test_the_policy_loss_is_a_mean_over_tokens_and_not_over_replies():
  """One reply's only token has advantage 4, three others 0: -1, not -2."""
  advantage_BT = np.float32([[0, 4, 0, 0], [0, 0, 0, 0]])
  policy, _ = loss_of(advantage_BT=advantage_BT)
  assert policy == pytest.approx(-1.0)


def test_the_value_loss_is_a_mean_over_tokens_and_not_over_replies():
  """Returns 4 and 0, 0, 0: (4^2 / 2) / 4 tokens is 2, not 4."""
  return_BT = np.float32([[0, 4, 0, 0], [0, 0, 0, 0]])
  _, value = loss_of(return_BT=return_BT)
  assert value == pytest.approx(2.0)


def test_a_ratio_of_two_is_clipped_at_the_policy_s_own_clip():
  """Advantage 1: -(1 + .1), and not 1 + .25, which is the value's."""
  policy, _ = loss_of(
    old_logp_BT=np.float32(MASK_BT * math.log(1 / V / 2)), advantage_BT=MASK_BT
  )
  assert policy == pytest.approx(-1.1)


def test_a_value_is_clipped_around_the_one_of_sampling_time():
  """v = 1, old 0, target 1: the clipped .25 is off by .75, so .75^2 / 2.

  Unclipped, or around a value that is not frozen, nothing would be off; at the
  policy's clip it would be .9.
  """
  _, value = loss_of(value=1.0, return_BT=MASK_BT)
  assert value == pytest.approx(0.75**2 / 2)
  off = HYPER._replace(value_clip=math.inf)
  assert loss_of(value=1.0, return_BT=MASK_BT, hyper=off)[1] == 0


def test_both_losses_are_added_with_the_value_s_coefficient():
  hyper = HYPER._replace(value_coef=0.5)
  return_BT = 4 * MASK_BT
  policy, value = loss_of(
    hyper=hyper, advantage_BT=MASK_BT, return_BT=return_BT
  )
  assert (policy, value) == pytest.approx((-1.0, 8.0))


def updated(experience, hyper=HYPER, params=None, **options):
  """(state, metrics) of one update by plain gradients."""
  tx, params = optax.identity(), params or params_of()
  options = {'passes': 1, 'minibatch_size': 2} | options
  update = ppo_update.make_ppo_update(joint, tx, **options)
  return jax.jit(update)(init_state(params, tx), experience, RNG, hyper)


@pytest.mark.parametrize('parts', [1, 2])
def test_parts_of_a_minibatch_count_by_their_tokens(parts):
  """Replies of one and three tokens, a part each; returns 4 and 2, 2, 2.

  The loss is (4^2 + 3 x 2^2) / 2 / 4 tokens = 3.5; by replies it would be 5.
  Before the first token of either reply stands a 1, before the others a 2: the
  gradients of their values are -(4 + 2) / 4 and -(2 + 2) / 4.
  """
  return_BT = np.float32([[0, 4, 0, 0], [0, 2, 2, 2]])
  hyper = HYPER._replace(
    policy_learning_rate=0.0, value_learning_rate=1.0, value_clip=math.inf
  )
  state, metrics = updated(
    experience_of(return_BT=return_BT), hyper, microbatches=parts
  )
  assert float(metrics['value_loss'][0]) == pytest.approx(3.5)
  value_V = state.params['value']['value_V']
  np.testing.assert_allclose(value_V, [0, 1.5, 1.0, 0], atol=1e-6)


def test_each_network_moves_at_its_own_rate():
  """Whitened advantages and returns both pull; one rate is 0 at a time."""
  experience = experience_of(
    advantage_BT=np.float32([[0, 4, 0, 0], [0, 1, 2, 5]]), return_BT=MASK_BT
  )
  start, moved = params_of(), {}
  for policy, value in ((1.0, 0.0), (0.0, 1.0), (0.0, 3.0)):
    hyper = HYPER._replace(
      policy_learning_rate=policy, value_learning_rate=value
    )
    state, _ = updated(experience, hyper)
    step = jax.tree.map(lambda a, b: np.asarray(b - a), start, state.params)
    moved[policy, value] = (
      step['policy']['table_VV'],
      step['value']['value_V'],
    )
  assert np.abs(moved[1, 0][0]).max() > 1e-2 and not moved[1, 0][1].any()
  assert not moved[0, 1][0].any() and np.abs(moved[0, 1][1]).max() > 1e-2
  np.testing.assert_allclose(moved[0, 3][1], 3 * moved[0, 1][1], rtol=1e-6)


def test_advantages_are_whitened_within_each_minibatch():
  """Any two numbers become -1 and 1, so at a ratio of 1 each loss is 0.

  Over the whole batch of 1, 10, 100 and 1000 they would not.
  """
  mask_BT = np.float32([[0, 1]] * 4)
  advantage_BT = np.float32([[0, 1], [0, 10], [0, 100], [0, 1000]])
  still = HYPER._replace(policy_learning_rate=0.0, value_learning_rate=0.0)
  experience = experience_of(mask_BT, advantage_BT=advantage_BT)
  _, metrics = updated(experience, still, passes=2)
  assert metrics['policy_loss'].shape == (4,)
  np.testing.assert_allclose(metrics['policy_loss'], 0, atol=1e-5)
  _, one = updated(experience, still, minibatch_size=1)  # one number: 0
  np.testing.assert_allclose(one['policy_loss'], 0, atol=1e-5)
  # Without a critic advantages are taken as they come.
  policy_fn = lambda params, *rows: joint(params, *rows)[0]
  update = ppo_update.make_ppo_update(
    policy_fn, optax.identity(), passes=1, minibatch_size=4, critic=False
  )
  state = init_state(params_of(), optax.identity())
  _, plain = update(state, experience, RNG, still)
  assert float(plain['policy_loss'][0]) == pytest.approx(-1111 / 4)


def rollout_of(ended_B):
  experience = experience_of()
  return Rollout(*experience[:3], np.array(ended_B), experience.old_logp_BT)


def test_estimates_discount_by_gamma_and_decay_by_lambda():
  """gamma .5, lambda .25; values 3 before the first token, 2 before others.

  Last token of the second reply, reward 4: d = 4 - 2 = 2. Before it: d = .5 x 2
  - 2 = -1, A = -1 + .125 x 2 = -.75. First: d = .5 x 2 - 3 = -2, A = -2 + .125
  x -.75. The other reply: d = 1 - 3.
  """
  params = params_of()
  params['value']['value_V'] = jnp.float32([0, 3, 2, 0])
  estimate = ppo.make_estimate(lambda params, *rows: joint(params, *rows)[1])
  hyper = HYPER._replace(discount=0.5, gae_lambda=0.25)
  reward_BT = np.float32([[0, 1, 0, 0], [0, 0, 0, 4]])
  found = estimate(params, rollout_of([True, True]), reward_BT, hyper)
  advantage_BT = [[0, -2, 0, 0], [0, -2 - 0.125 * 0.75, -0.75, 2]]
  np.testing.assert_allclose(found.advantage_BT, advantage_BT, rtol=1e-6)
  value_BT = np.float32([[0, 3, 0, 0], [0, 3, 2, 2]])
  np.testing.assert_allclose(found.old_value_BT, value_BT)
  np.testing.assert_allclose(found.return_BT, value_BT + advantage_BT)


@pytest.mark.parametrize(
  ('ended', 'share'), [([True, True], 0), ([True, False], 0.5)]
)
def test_truncated_is_the_share_without_an_end(ended, share):
  kl_BT = np.float32([[0, 2, 0, 0], [0, 1, 1, 1]])
  found = ppo.rollout_metrics(rollout_of(ended), np.float32([1, 4]), kl_BT)
  assert float(found['truncated']) == share
  assert float(found['score']) == 2.5 and float(found['kl_k1']) == 2.5
  assert float(found['length']) == 2  # of one and three tokens
