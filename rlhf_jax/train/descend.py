"""Adam on random batches of arrays that fit into memory, as one program."""

import jax
import jax.numpy as jnp

from rlhf_jax.train.optimiser import apply_updates


def make_descent(loss_fn, tx, *, batch_size):
  """Builds a whole fit; its learning rate falls linearly to 0.

    rate of step t of T = peak (1 - t / T)

  Args:
    loss_fn: (params, batch, *frozen) -> scalar.
    tx: optimiser of `make_optimiser`.
    batch_size: rows of a step, drawn without repetition in one of them.

  Returns:
    descend(params, data, rng, steps, peak, *frozen) -> (params, last loss):
    pure; `data` is a pytree of arrays with rows first, `steps` and `peak` are
    traced.
  """

  def descend(params, data, rng, steps, peak, *frozen):
    rows = len(jax.tree.leaves(data)[0])

    def body(t, carry):
      params, state, _ = carry
      key = jax.random.fold_in(rng, t)
      pick = jax.random.choice(key, rows, (batch_size,), replace=False)
      batch = jax.tree.map(lambda x: x[pick], data)
      loss, grads = jax.value_and_grad(loss_fn)(params, batch, *frozen)
      updates, state = tx.update(grads, state, params)
      rate = peak * (1 - t / steps)
      return apply_updates(params, updates, rate), state, loss

    start = params, tx.init(params), jnp.float32(0)
    params, _, loss = jax.lax.fori_loop(0, steps, body, start)
    return params, loss

  return descend
