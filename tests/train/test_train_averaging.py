"""The running average of the parameters, against a naive twin."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import train_fixture as fixture

from rlhf_jax.train import ppo_update
from rlhf_jax.train.averaging import (
  AveragedState,
  exponential_average,
  make_averaging_advance,
  polynomial_average,
  with_average,
)
from rlhf_jax.train.steps import advance, init_state
from rlhf_jax.types import TrainState


def naive_average(points, eta):
  """The weights written out: w[t] times what later steps leave of it."""
  weights = [(eta + 1) / (t + eta) for t in range(1, len(points) + 1)]
  total = 0.0
  for t, point in enumerate(points):
    left = np.prod([1 - w for w in weights[t + 1 :]])
    total += weights[t] * left * point
  return total


@pytest.mark.parametrize('eta', [0.0, 3.0, 8.0])
def test_the_recursion_gives_the_weights_written_out(eta):
  points = np.random.default_rng(0).normal(size=12)
  average = jnp.float32(99.0)  # nothing of the start may stay
  for t, point in enumerate(points, start=1):
    average = polynomial_average(average, jnp.float32(point), t, eta)
    np.testing.assert_allclose(
      average, naive_average(points[:t], eta), rtol=1e-5
    )


def test_eta_zero_is_the_plain_mean():
  points = [1.0, 5.0, 9.0, 2.0]
  average = {'w': jnp.zeros(2)}
  for t, point in enumerate(points, start=1):
    average = polynomial_average(average, {'w': jnp.full(2, point)}, t, 0.0)
  np.testing.assert_allclose(average['w'], np.mean(points), rtol=1e-6)


def test_the_optimiser_never_sees_the_average():
  tx = optax.identity()

  def step(state, batch, rng, hyper):
    params = state.params - hyper * batch
    return TrainState(state.step + 1, params, state.opt_state), {'loss': batch}

  start = jnp.float32(10.0)
  plain = init_state(start, tx)
  state = AveragedState(init_state(start, tx), start)
  averaged = jax.jit(with_average(step, 2.0))
  seen = []
  for batch in (1.0, -3.0, 2.0, 0.5):
    plain, wanted = step(plain, batch, None, 0.1)
    state, metrics = averaged(state, batch, None, 0.1)
    seen.append(float(plain.params))
    assert metrics['loss'] == wanted['loss']
    np.testing.assert_allclose(state.state.params, plain.params, rtol=1e-6)
  np.testing.assert_allclose(
    state.average, naive_average(np.array(seen), 2.0), rtol=1e-6
  )
  assert int(state.step) == int(state.state.step) == 4


def naive_exponential(start, points, decay):
  """Each point times what all later updates leave of it, and the start's."""
  total = decay ** len(points) * start
  for t, point in enumerate(points, start=1):
    total += decay ** (len(points) - t) * (1 - decay) * point
  return total


@pytest.mark.parametrize('decay', [0.0, 0.5, 0.992])
def test_a_constant_decay_gives_the_weights_written_out(decay):
  points = np.random.default_rng(1).normal(size=12)
  average = {'w': jnp.float32(3.0)}
  for t, point in enumerate(points, start=1):
    average = exponential_average(average, {'w': jnp.float32(point)}, decay)
    wanted = naive_exponential(3.0, points[:t], decay)
    np.testing.assert_allclose(average['w'], wanted, rtol=1e-5)


def test_an_advance_that_averages_leaves_the_update_as_it_is():
  """A part of the parameters is averaged, after every update."""
  tx = optax.scale_by_adam()
  start = {'policy': jnp.float32([1.0, -2.0]), 'value': jnp.float32(5.0)}
  averaging = make_averaging_advance(0.8, lambda params: params['policy'])
  plain = init_state(start, tx)
  state, seen = AveragedState(init_state(start, tx), start['policy']), []
  for scale in (1.0, -0.3, 2.0):
    grads = jax.tree.map(lambda x, s=scale: s * jnp.cos(x), start)
    plain, wanted = advance(plain, grads, tx, 0.1)
    state, norm = averaging(state, grads, tx, 0.1)
    assert norm == wanted
    jax.tree.map(np.testing.assert_array_equal, state.state, plain)
    seen.append(np.asarray(plain.params['policy'], np.float64))
  assert state.params is state.state.params and int(state.step) == 3
  wanted_2 = naive_exponential(np.array([1.0, -2.0]), seen, 0.8)
  np.testing.assert_allclose(state.average, wanted_2, rtol=1e-6)


def noting(state, grads, tx, learning_rate):
  """Keeps the policy after each update, in the place of an average."""
  inner, norm = advance(state.state, grads, tx, learning_rate)
  table_VV = inner.params['policy']['table_VV']
  kept = state.average.at[inner.step - 1].set(table_VV)
  return AveragedState(inner, kept), norm


def test_ppo_averages_its_policy_after_every_minibatch():
  """Two passes of two minibatches, against the weights written out."""
  tx, hyper = optax.scale_by_adam(), fixture.hyper(rate=0.1)
  collect, penalise, estimate, plain = fixture.bigram_pieces(tx)
  params = fixture.bigram_params(0)
  rollout = collect(params, fixture.PROMPTS, jax.random.key(1))
  worth = {'worth_V': jnp.arange(fixture.V, dtype=jnp.float32)}
  score_B = fixture.count_score(worth, rollout.tokens_BT, rollout.length_B)
  reward_BT, _ = penalise(params['policy'], rollout, score_B, hyper)
  experience = estimate(params, rollout, reward_BT, hyper)

  def updated(how, average):
    update = ppo_update.make_ppo_update(
      ppo_update.separate(fixture.bigram_logits, fixture.bigram_value),
      tx,
      passes=2,
      minibatch_size=4,
      advance=how,
    )
    start = AveragedState(init_state(params, tx), average)
    return update(start, experience, jax.random.key(2), hyper)[0]

  table_VV = params['policy']['table_VV']
  averaging = make_averaging_advance(0.8, lambda x: x['policy'])
  state = updated(averaging, params['policy'])
  kept_NVV = updated(noting, jnp.zeros((4, *table_VV.shape))).average
  start = init_state(params, tx)
  alone, _ = plain(start, experience, jax.random.key(2), hyper)
  fixture.assert_close(state.state, alone, rtol=1e-6)
  wanted_VV = naive_exponential(table_VV, np.asarray(kept_NVV, float), 0.8)
  np.testing.assert_allclose(
    state.average['table_VV'], wanted_VV, rtol=1e-5, atol=1e-7
  )
  assert np.abs(kept_NVV[-1] - table_VV).max() > 0.1
