"""The running average of the parameters, against a naive twin."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from rlhf_jax.train.averaging import (
  AveragedState,
  polynomial_average,
  with_average,
)
from rlhf_jax.train.steps import init_state
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
