"""Where imported arrays go."""

from typing import Any, NamedTuple

import jax

from rlhf_jax.models.config import TransformerConfig


class Pretrained(NamedTuple):
  """An imported model: its shape and its parameters, {'trunk'}."""

  config: TransformerConfig
  params: Any


def place_leaves(leaves, mesh=None):
  """A tree of device arrays from (path, array) pairs, as they come."""
  if mesh is not None:
    raise ValueError('no mesh yet')
  tree = {}
  for path, array in leaves:
    at = tree
    for name in path[:-1]:
      at = at.setdefault(name, {})
    at[path[-1]] = jax.device_put(array)
  return tree
