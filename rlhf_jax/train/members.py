"""Several runs in one compiled program: K members along a leading axis."""

import jax
import jax.numpy as jnp


def stack(members):
  """One pytree with a leading axis [K] from K pytrees of equal shapes.

  Works on states, batches, random keys and hyper-parameters (NamedTuples of
  Python numbers) alike.

  Raises:
    ValueError: if there are no members, or their structures differ.
  """
  if not members:
    raise ValueError('no members to stack')
  return jax.tree.map(
    lambda *x: jnp.stack([jnp.asarray(v) for v in x]), *members
  )


def unstack(stacked):
  """The list of K pytrees of `stack`."""
  K = jax.tree.leaves(stacked)[0].shape[0]
  return [jax.tree.map(lambda x, k=k: x[k], stacked) for k in range(K)]


def vmap_members(step, *, shared=()):
  """K runs of a step in one program.

    members(states, ...)[k] = step(states[k], ...[k])

  Seeds (the keys), learning rates, clip and lambda_KL are arguments of a step,
  so members may differ in all of them; shapes, and so sizes, are common. Where
  one small model leaves an accelerator idle, K of them fill it; two CPU cores
  are full already, and gain nothing (benchmarks/vmapped_sweep.py).

  Args:
    step: (state, ...) -> (state, metrics), such as `make_pm_step` or
      `make_ppo_iteration` build.
    shared: positions of the arguments that all members read alike (1: the
      batch of a PM step, or the frozen models of a PPO iteration); they have no
      leading axis.

  Returns:
    The function; every other argument and both results have a leading axis
    [K]. Not jitted.
  """

  def members(*arguments):
    axes = tuple(None if i in shared else 0 for i in range(len(arguments)))
    return jax.vmap(step, in_axes=axes)(*arguments)

  return members
