"""Adam without a learning rate: the rate is a traced argument of the step."""

import math

import jax
import jax.numpy as jnp
import optax

from rlhf_jax.mapping import over_data, parts_of_device, split_rows


def make_optimiser(
  *, b1=0.9, b2=0.98, eps=1e-8, weight_decay=0.0, max_grad_norm=1.0
):
  """Gradient clipping by global norm, Adam, decoupled weight decay.

    g <- g min(1, max_grad_norm / |g|)   over the union of all trees
    u = mhat / (sqrt(vhat) + eps) + weight_decay * w

  The step multiplies u by -learning_rate (`apply_updates`), so that runs with
  different rates share one compiled program. Defaults: Adam betas of the micro
  study; the paper states none.
  """
  parts = []
  if max_grad_norm:
    parts.append(optax.clip_by_global_norm(max_grad_norm))
  parts.append(optax.scale_by_adam(b1=b1, b2=b2, eps=eps))
  if weight_decay:
    parts.append(optax.add_decayed_weights(weight_decay))
  return optax.chain(*parts)


def apply_updates(params, updates, learning_rate):
  """Takes learning_rate * updates from params; a rate for all or a tree."""
  if isinstance(learning_rate, dict):
    return {
      name: apply_updates(params[name], updates[name], learning_rate[name])
      for name in params
    }
  return jax.tree.map(
    lambda w, u: (w - learning_rate * u).astype(w.dtype), params, updates
  )


def learning_rate_at(
  step, *, peak, total, warmup=0, shape='constant', final=0.0
):
  """Learning rate of one step: linear warm-up, then a shape.

    step < warmup: peak (step + 1) / warmup
    'constant': peak
    'linear', 'cosine': from peak to `final` of it at `total`

  With 'linear' to 0 the rate of the last step (total - 1) is peak / (total -
  warmup), and 0 right after it: it is never spent on a zero step.

  Raises:
    ValueError: if the shape is unknown.
  """
  if shape not in ('constant', 'linear', 'cosine'):
    raise ValueError(
      f"shape must be 'constant', 'linear' or 'cosine', got {shape!r}"
    )
  left = 1.0 - (step - warmup) / max(total - warmup, 1)
  left = min(max(left, 0.0), 1.0)
  if step < warmup:
    return peak * (step + 1) / warmup
  if shape == 'constant':
    return peak
  if shape == 'cosine':
    left = 0.5 * (1.0 - math.cos(math.pi * left))
  return peak * (final + (1.0 - final) * left)


def accumulate_gradients(
  loss_fn, params, batch, weight_fn, microbatches, *frozen
):
  """Gradient of a mean over the batch, one microbatch at a time.

    loss = sum_m w_m loss(batch_m) / sum_m w_m,  w_m = weight_fn(batch_m)

  which is exactly the whole batch's mean when `weight_fn` counts what the loss
  averages over (tokens for a token mean, rows for a row mean), ragged or not.
  Metrics are averaged in the same way. On a mesh each device of the axis `data`
  accumulates over its own rows, and gradients are summed once, at the end.

  Args:
    loss_fn: (params, batch, *frozen) -> (loss, metrics dict of scalars).
    params: pytree.
    batch: pytree of arrays with one leading batch axis.
    weight_fn: batch -> [] how many tokens or rows count.
    microbatches: static int that divides the rows; devices share them, see
      `parts_of_device`.
    *frozen: weights that the loss reads and that get no gradient; it may close
      over traced scalars, but not over arrays.

  Returns:
    (gradients, metrics with 'loss').
  """
  total = jnp.maximum(weight_fn(batch), 1)  # nothing counts: 0, not NaN

  grad_fn = jax.value_and_grad(loss_fn, has_aux=True)

  def weighted(part, params, total, *frozen):
    (loss, metrics), grads = grad_fn(params, part, *frozen)
    share = weight_fn(part) / total
    return jax.tree.map(lambda x: share * x, (grads, {**metrics, 'loss': loss}))

  parts = parts_of_device(jax.tree.leaves(batch)[0].shape[0], microbatches)

  def summed(part, *weights):
    if parts == 1:
      return weighted(part, *weights)
    split = split_rows(part, parts)
    first = jax.tree.map(lambda x: x[0], split)
    shapes = jax.eval_shape(weighted, first, *weights)
    zeros = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
    add = lambda carry, micro: (
      jax.tree.map(jnp.add, carry, weighted(micro, *weights)),
      None,
    )
    return jax.lax.scan(add, zeros, split)[0]

  return over_data(summed, batch, params, total, *frozen, total=True)
