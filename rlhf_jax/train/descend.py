"""Adam on random batches of arrays that fit into memory."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from rlhf_jax.train.optimiser import apply_updates
from rlhf_jax.types import TrainState


class Fall(NamedTuple):
  """A learning rate that falls linearly to 0: peak (1 - t / steps)."""

  peak: float
  steps: float


def make_descent(loss_fn, tx, *, batch_size):
  """Builds one step of a fit.

  Args:
    loss_fn: (params, batch) -> scalar.
    tx: optimiser of `make_optimiser`.
    batch_size: rows of a step, drawn without repetition in one of them.

  Returns:
    step(state, data, rng, fall) -> (state, loss): pure, to be jitted; `data` is
    a pytree of arrays with rows first, `fall` a Fall.
  """

  def step(state, data, rng, fall):
    rows = len(jax.tree.leaves(data)[0])
    key = jax.random.fold_in(rng, state.step)
    pick = jax.random.choice(key, rows, (batch_size,), replace=False)
    batch = jax.tree.map(lambda x: x[pick], data)
    loss, grads = jax.value_and_grad(loss_fn)(state.params, batch)
    updates, opt_state = tx.update(grads, state.opt_state, state.params)
    rate = fall.peak * (1 - state.step / fall.steps)
    params = apply_updates(state.params, updates, rate)
    return TrainState(state.step + 1, params, opt_state), loss

  return step


def descend(step, tx, params, data, rng, *, steps, peak):
  """A whole fit: (params, last loss).

  A loop of Python and not of XLA, whose convolutions are several times slower
  inside a loop on a CPU.

  Args:
    step: of `make_descent`, jitted.
    tx: its optimiser.
    params: to start from.
    data: arrays with rows first.
    rng: draws the batches.
    steps: of the fit, 1 or more.
    peak: first learning rate.
  """
  state = TrainState(jnp.int32(0), params, tx.init(params))
  fall = Fall(jnp.float32(peak), jnp.float32(steps))
  for _ in range(steps):
    state, loss = step(state, data, rng, fall)
  return state.params, loss
