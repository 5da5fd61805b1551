"""Several replies to each prompt: the prompt comes several times."""

import jax
import jax.numpy as jnp


def repeat_prompts(prompts, group):
  """Repeats each prompt k times in a row, with numbers of their own.

  Args:
    prompts: Prompts of B rows.
    group: k.

  Returns:
    Prompts of B k rows; row i of prompt b is named row_B[b] k + i.
  """
  repeated = jax.tree.map(lambda x: jnp.repeat(x, group, axis=0), prompts)
  own = jnp.tile(jnp.arange(group), prompts.row_B.shape[0])
  return repeated._replace(row_B=repeated.row_B * group + own)


def grouped(collect, group):
  """A sampler of k replies to each prompt, a row each.

  Args:
    collect: (params, prompts, rng) -> Rollout.
    group: k; None: one reply, and `collect` as it is.
  """
  if group is None:
    return collect
  return lambda params, prompts, rng: collect(
    params, repeat_prompts(prompts, group), rng
  )
