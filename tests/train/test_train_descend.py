"""A fit of arrays in memory, against a loop."""

import jax
import jax.numpy as jnp
import numpy as np

from rlhf_jax.train.descend import descend, make_descent
from rlhf_jax.train.optimiser import make_optimiser


def loss(params, batch):
  x, y = batch
  return ((x @ params['w'] - y) ** 2).mean()


def data():
  rng = np.random.default_rng(0)
  x = rng.normal(size=(32, 3)).astype(np.float32)
  return jnp.asarray(x), jnp.asarray(x @ np.array([1.0, -2.0, 0.5], np.float32))


def fitted(tx, start, steps, peak, batch_size):
  step = jax.jit(make_descent(loss, tx, batch_size=batch_size))
  args = step, tx, start, data(), jax.random.key(0)
  return descend(*args, steps=steps, peak=peak)


def test_a_fit_finds_the_line_through_all_rows():
  params, last = fitted(make_optimiser(), {'w': jnp.zeros(3)}, 300, 0.1, 8)
  np.testing.assert_allclose(params['w'], [1, -2, 0.5], atol=0.02)
  assert float(last) < 1e-3


def test_three_steps_are_those_of_a_loop_with_a_falling_rate():
  tx, params = make_optimiser(max_grad_norm=0), {'w': jnp.ones(3)}
  found, _ = fitted(tx, params, 3, 0.3, 32)
  state = tx.init(params)
  for rate in (0.3, 0.2, 0.1):  # every batch has all rows
    grads = jax.grad(loss)(params, data())
    updates, state = tx.update(grads, state, params)
    params = {'w': params['w'] - rate * updates['w']}
  np.testing.assert_allclose(found['w'], params['w'], rtol=1e-4)
