"""Placing of imported arrays: one leaf at a time, each under its sharding."""

from typing import Any, NamedTuple

import jax
import numpy as np

from rlhf_jax.models.config import TransformerConfig


class PretrainedError(ValueError):
  """A folder or a file that is not what it should be, in one line."""


class Pretrained(NamedTuple):
  """An imported model.

  Attributes:
    config: its shape.
    params: {'trunk'}, and 'head' where the folder holds a preference model.
    settings: what config.json says, as it stands; None where there is none.
  """

  config: TransformerConfig
  params: Any
  settings: Any = None


def _nested(path, value):
  for name in reversed(path):
    value = {name: value}
  return value


def place_leaves(leaves, shardings_of=None):
  """A tree of device arrays from (path, array) pairs, as they come.

  No more than one leaf is held on the host beside what has been placed.

  Args:
    leaves: of (path, NumPy array), a path being a tuple of names.
    shardings_of: a function from a tree to the shardings of its leaves, as
      `train.sharding.shardings_of` with a mesh; None: the default device.
  """
  tree = {}
  for path, host in leaves:
    at = tree
    for name in path[:-1]:
      at = at.setdefault(name, {})
    at[path[-1]] = _placed(path, host, shardings_of)
    del host
  return tree


def _placed(path, host, shardings_of):
  if shardings_of is None:
    return jax.block_until_ready(jax.numpy.array(host))
  shape = jax.ShapeDtypeStruct(host.shape, host.dtype)
  (sharding,) = jax.tree.leaves(shardings_of(_nested(path, shape)))
  # A callback, so that other processes may own parts of it.
  return jax.make_array_from_callback(
    host.shape, sharding, lambda index: np.array(host[index])
  )
