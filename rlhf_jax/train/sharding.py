"""Places of arrays on a mesh: one table from paths to mesh axes.

    data   rows of the batch; parameters are repeated
    fsdp   rows of the batch; parameters and optimiser state are cut
    model  heads, hidden width of the MLP and vocabulary are cut

Optimiser state and averages carry the paths of the parameters that they belong
to, so one rule places all of them.
"""

import math
import re
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import mesh_utils, multihost_utils
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from rlhf_jax.train import hosts

AXES = ('data', 'fsdp', 'model')

# (end of the path, one entry a dimension); the first that matches counts.
RULES = (
  ('embed', P('model', 'fsdp')),
  ('position_embed', P(None, 'fsdp')),
  ('lm_head', P('model', 'fsdp')),
  ('attention/qkv/kernel', P('fsdp', 'model')),
  ('attention/qkv/bias', P('model')),
  ('attention/out/kernel', P('model', 'fsdp')),
  ('attention/out/bias', P()),
  ('attention/[qk]_norm/scale', P()),
  ('mlp/in/kernel', P('fsdp', 'model')),
  ('mlp/in/bias', P('model')),
  ('mlp/out/kernel', P('model', 'fsdp')),
  ('mlp/out/bias', P()),
  ('(attention|mlp|final)_norm/(scale|bias)', P()),
  ('head/(kernel|bias)', P()),
  # Adapters (models/lora.py) are cut as the kernel that they belong to, their
  # rank whole.
  (r'(qkv|in)/kernel/\w+/a', P('fsdp', None)),
  (r'(qkv|in)/kernel/\w+/b', P(None, 'model')),
  (r'out/kernel/\w+/a', P('model', None)),
  (r'out/kernel/\w+/b', P(None, 'fsdp')),
)


class Fallback(NamedTuple):
  """A dimension that its rule wanted cut and that is repeated instead.

  Attributes:
    path: of the leaf.
    dimension: which one, from 0.
    size: of the dimension.
    parts: devices it was to be cut over; they do not divide the size.
  """

  path: str
  dimension: int
  size: int
  parts: int


def make_mesh(devices=None, *, data=1, fsdp=1, model=1):
  """A mesh of the axes data, fsdp and model over all the devices given.

  Args:
    devices: default: all devices of all processes.
    data: size of the axis; -1 on one of the three means what is left.
    fsdp: as `data`.
    model: as `data`.

  Raises:
    ValueError: if the sizes do not multiply to the number of devices.
  """
  devices = list(jax.devices() if devices is None else devices)
  sizes = [data, fsdp, model]
  if sizes.count(-1) == 1:
    known = -math.prod(sizes)
    sizes[sizes.index(-1)] = len(devices) // known if known > 0 else 0
  if min(sizes) < 1 or math.prod(sizes) != len(devices):
    raise ValueError(
      f'a mesh of data={data}, fsdp={fsdp}, model={model} does not fit '
      f'{len(devices)} devices: wanted sizes with that product (-1 on one axis '
      'for the rest), or other `devices`'
    )
  # Auto: the compiler places what lies between arguments and results.
  types = (AxisType.Auto,) * len(AXES)
  try:
    return jax.make_mesh(sizes, AXES, axis_types=types, devices=devices)
  except NotImplementedError:  # 256 x 2 on a torus of 8 x 8 x 8 cuts a ring
    grid = mesh_utils.create_device_mesh(
      sizes, devices, allow_split_physical_axes=True
    )
    return jax.sharding.Mesh(grid, AXES, axis_types=types)


def _rule(path, shape, rules):
  """The PartitionSpec of the first rule whose pattern ends the path."""
  for pattern, spec in rules:
    if re.search(f'(^|/)({pattern})$', path):
      if len(spec) not in (0, len(shape)):
        raise ValueError(
          f'the rule {pattern!r} is for {len(spec)} dimensions, {path} has '
          f'shape {shape}: put a rule for it before'
        )
      return spec
  raise ValueError(
    f'no sharding rule matches {path} of shape {shape}: add (end of the path, '
    'PartitionSpec) to the rules'
  )


def _place(path, leaf, mesh, rules):
  """(PartitionSpec that divides every dimension, [Fallback])."""
  path = jax.tree_util.keystr(path, simple=True, separator='/')
  shape = np.shape(leaf)
  if not shape:
    return P(), []
  axes, fallbacks = [], []
  for dimension, axis in enumerate(_rule(path, shape, rules)):
    size, parts = shape[dimension], 1 if axis is None else mesh.shape[axis]
    if size % parts:
      fallbacks.append(Fallback(path, dimension, size, parts))
      axis = None
    axes.append(axis)
  return P(*axes), fallbacks


def shardings_of(tree, mesh, rules=RULES):
  """A NamedSharding for every leaf, by the end of its path.

  Scalars are repeated everywhere, and so is a dimension that its axis does not
  divide; `fallbacks` lists those.

  Args:
    tree: arrays or shapes: parameters, optimiser state, a TrainState, an
      AveragedState, PPO's Frozen, ...
    mesh: of `make_mesh`.
    rules: (regular expression for the end of the path, PartitionSpec) pairs.

  Raises:
    ValueError: naming the path, if no rule matches a leaf that is no scalar,
      or if its rule is for another number of dimensions (P() is for any).
  """
  return jax.tree.map_with_path(
    lambda path, leaf: NamedSharding(mesh, _place(path, leaf, mesh, rules)[0]),
    tree,
  )


def fallbacks(tree, mesh, rules=RULES):
  """[Fallback] of every dimension that is repeated against its rule."""
  leaves = jax.tree_util.tree_leaves_with_path(tree)
  return sum((_place(*leaf, mesh, rules)[1] for leaf in leaves), [])


def batch_sharding(mesh):
  """Rows over data and fsdp: for any array whose first axis is the batch."""
  return NamedSharding(mesh, P(('data', 'fsdp')))


def replicated(mesh):
  """The whole array on every device."""
  return NamedSharding(mesh, P())


def in_pieces(x):
  """Whether other processes hold parts of an array that this one lacks."""
  if not isinstance(x, jax.Array):
    return False
  return not (x.is_fully_addressable or x.is_fully_replicated)


def whole(x):
  """An array as NumPy's, also if other processes hold parts of it.

  All processes ask together.
  """
  if in_pieces(x):
    x = multihost_utils.process_allgather(x, tiled=True)
  return np.asarray(x)


def shard(tree, shardings):
  """Puts values on the mesh, also if other processes own parts of it.

  Every shard is a copy of its own, so a step may donate the result and the
  tree stays whole.

  Args:
    tree: arrays with equal values in every process, each whole in all of them,
      or in pieces on a mesh of the same devices.
    shardings: of `shardings_of`; one sharding may stand for a whole subtree.
  """

  def place(sharding, leaf):
    if in_pieces(leaf):
      return jax.jit(jnp.copy, out_shardings=sharding)(leaf)
    host = np.asarray(leaf)
    return jax.make_array_from_callback(
      host.shape, sharding, lambda index: np.array(host[index])
    )

  return jax.tree.map(
    lambda sharding, part: jax.tree.map(lambda x: place(sharding, x), part),
    shardings,
    tree,
  )


def local_rows(batch_size, mesh):
  """Rows of a global batch that this process loads: its devices' rows.

  Processes that differ in the model axis only load the same rows.

  Returns:
    Ascending row numbers, int array.

  Raises:
    ValueError: if data x fsdp does not divide the batch.
  """
  parts = mesh.shape['data'] * mesh.shape['fsdp']
  if batch_size % parts:
    raise ValueError(
      f'data x fsdp = {parts} does not divide a batch of {batch_size} rows'
    )
  place = batch_sharding(mesh).addressable_devices_indices_map((batch_size,))
  rows_B = np.arange(batch_size)
  return np.unique(np.concatenate([rows_B[index] for index in place.values()]))


def spans(mesh):
  """Whether a mesh has devices of several processes; None has not."""
  return hosts.count() > 1 and mesh is not None and mesh.is_multi_process


def joined(batch, mesh):
  """One global batch from the rows that every process has loaded.

  As `global_batch`, where the processes load equally many.

  Args:
    batch: pytree of NumPy arrays: the `local_rows` of this process.
    mesh: of `make_mesh`.
  """
  where = batch_sharding(mesh)
  return jax.tree.map(
    lambda x: jax.make_array_from_process_local_data(where, x), batch
  )


def placed(tree, mesh):
  """NumPy's arrays in a tree put on the mesh, as rows; others as they are.

  Each process takes the rows of its devices out of all. Where data x fsdp does
  not divide the rows, every device gets them all.
  """
  parts = mesh.shape['data'] * mesh.shape['fsdp']

  def place(x):
    if not isinstance(x, np.ndarray) or not x.ndim:
      return x
    fits = len(x) % parts == 0
    where = batch_sharding(mesh) if fits else replicated(mesh)
    return jax.make_array_from_callback(x.shape, where, lambda index: x[index])

  return jax.tree.map(place, tree)


def global_batch(batch, mesh, batch_size):
  """One global batch from the rows that every process has loaded.

  Args:
    batch: pytree of NumPy arrays: the rows `local_rows(batch_size, mesh)`.
    mesh: of `make_mesh`.
    batch_size: rows of all processes together.

  Raises:
    ValueError: if there are more or fewer rows than that.
  """
  rows_N, sharding = local_rows(batch_size, mesh), batch_sharding(mesh)

  def join(local):
    if len(local) != len(rows_N):
      raise ValueError(
        f'this process holds {len(rows_N)} of {batch_size} rows, got '
        f'{len(local)}: load the rows of `local_rows`'
      )

    def part(index):
      start, stop, _ = index[0].indices(batch_size)
      first = np.searchsorted(rows_N, start)
      return local[first : first + stop - start]

    shape = (batch_size, *local.shape[1:])
    return jax.make_array_from_callback(shape, sharding, part)

  return jax.tree.map(join, batch)
