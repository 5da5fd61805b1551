"""A function mapped over the rows of a batch: by devices, and part by part.

What every row goes through without looking at the others (sampling, scoring,
the gradient of a sum over rows) needs no communication between the devices of a
mesh. Left to itself the compiler puts some into every turn of a loop: one sum
of gradients a microbatch, one question a token whether all rows are done.
`over_data` takes the axis `data` out of its hands: each device works on its own
rows, alone. `map_microbatches` goes through a device's rows in turn.
"""

import math

import jax
from jax.sharding import AxisType, PartitionSpec

DATA = 'data'
ROWS = (DATA, 'fsdp')  # mesh axes that cut the rows of a batch


def _sizes():
  """{axis: size} of the mesh in use, but for axes that are out of its hands."""
  mesh = jax.sharding.get_abstract_mesh()
  return {
    name: size
    for name, size, kind in zip(
      mesh.axis_names, mesh.axis_sizes, mesh.axis_types, strict=True
    )
    if kind != AxisType.Manual
  }


def on_rows(x):
  """Cuts the first axis of x over the mesh axes of rows, data and fsdp.

  Without it the compiler may take the cut of a weight's columns over fsdp for
  that of the activations, and then every device works on every row. Where no
  mesh is in use, or the axes do not divide the rows, x is left as it is.
  """
  sizes = _sizes()
  axes = tuple(axis for axis in ROWS if axis in sizes)
  parts = math.prod(sizes[axis] for axis in axes)
  if parts <= 1 or x.shape[0] % parts:
    return x
  return jax.lax.with_sharding_constraint(x, PartitionSpec(axes))


def on_every_device(x):
  """Copies x to every device of a mesh in use: all count over all rows."""
  if math.prod(_sizes().values()) <= 1:
    return x
  return jax.lax.with_sharding_constraint(x, PartitionSpec())


def data_parts(count):
  """Number of devices that share `count` rows in `over_data`; 1: none does.

  The axis `data` has to be the only one of several devices: where weights are
  cut as well, the partitioner of JAX 0.10 fails on a loop of which one axis is
  taken out of its hands (a check inside XLA, seen on a mesh of 2 x 2 x 2).
  """
  sizes = _sizes()
  alone = sizes.get(DATA, 1) == math.prod(sizes.values())
  return sizes.get(DATA, 1) if alone and count % sizes.get(DATA, 1) == 0 else 1


def over_data(function, rows, *whole, total=False):
  """Calls function(rows, *whole), each device of `data` on its own rows.

    result = function(rows of all)          rows in, rows out
    result = sum_d function(rows of d)      with `total`: one sum, at the end

  Where `data_parts` is 1 it is called as it is.

  Args:
    function: of rows and `whole`; weights have to be in `whole`, it may close
      over traced scalars.
    rows: pytree of arrays with one leading axis of rows.
    *whole: pytrees.
    total: whether the results are sums over rows in place of rows.
  """
  if data_parts(jax.tree.leaves(rows)[0].shape[0]) == 1:
    return function(rows, *whole)
  cut, everywhere = PartitionSpec(DATA), PartitionSpec()

  def local(rows, *whole):
    out = function(rows, *whole)
    return jax.lax.psum(out, DATA) if total else out

  return jax.shard_map(
    local,
    in_specs=(cut, *(everywhere for _ in whole)),
    out_specs=everywhere if total else cut,
    check_vma=False,  # sums are ours: gradients inside stay a device's own
  )(rows, *whole)


def parts_of_device(rows, microbatches):
  """Parts in which a device goes through its share of `rows` rows.

  A part has rows / microbatches rows at most, on any number of devices: the
  batch is cut into microbatches before devices share it, so that each of d
  devices has the least number of equal parts that is microbatches / d or more.

  Raises:
    ValueError: if `microbatches` does not divide the rows.
  """
  if rows % microbatches:
    raise ValueError(
      f'{microbatches} microbatches do not divide a batch of {rows} rows'
    )
  devices = data_parts(rows)
  own = rows // devices
  least = -(-microbatches // devices)
  return next(n for n in range(least, own + 1) if own % n == 0)


def split_rows(batch, parts):
  """Every array [B, ...] of the batch as [parts, B / parts, ...].

  Raises:
    ValueError: if `parts` does not divide B.
  """
  size = jax.tree.leaves(batch)[0].shape[0]
  if size % parts:
    raise ValueError(f'{size} rows cannot be cut into {parts} equal parts')
  return jax.tree.map(
    lambda x: x.reshape(parts, size // parts, *x.shape[1:]), batch
  )


def map_microbatches(fn, batch, microbatches, *weights):
  """Calls fn(part, *weights) for parts of the batch, in turn; rejoins rows.

  On a mesh each device of the axis `data` does so with its own rows, see
  `parts_of_device`.
  """
  count = parts_of_device(jax.tree.leaves(batch)[0].shape[0], microbatches)

  def joined(batch, *weights):
    one = lambda part: fn(part, *weights)
    if count == 1:
      return one(batch)
    parts = jax.lax.map(one, split_rows(batch, count))
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), parts)

  return over_data(joined, batch, *weights)
