"""Rows on one device; of several, see tests/train/test_train_sharding.py."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AbstractMesh, AxisType

from rlhf_jax.mapping import (
  data_parts,
  map_microbatches,
  on_rows,
  over_data,
)
from rlhf_jax.train.sharded import on_mesh
from rlhf_jax.train.sharding import AXES, make_mesh


def mesh_of(*sizes):
  types = (AxisType.Auto,) * len(AXES)
  return jax.sharding.use_abstract_mesh(
    AbstractMesh(sizes, AXES, axis_types=types)
  )


def test_without_a_mesh_a_function_of_rows_is_called_as_it_is():
  seen = []

  def function(rows, whole):
    seen.append(rows)
    return rows * whole

  rows = jnp.arange(4.0)
  np.testing.assert_array_equal(over_data(function, rows, 2.0), 2 * rows)
  assert seen[0] is rows
  assert on_rows(rows) is rows


def test_a_mesh_of_one_device_changes_nothing():
  rows = jnp.arange(4.0)
  call = lambda rows: over_data(lambda x: x.sum(), rows, total=True)
  out = jax.jit(on_mesh(call, make_mesh(devices=jax.devices()[:1])))(rows)
  assert float(out) == 6.0


@pytest.mark.parametrize(
  ('sizes', 'rows', 'parts'),
  [
    ((4, 1, 1), 8, 4),
    ((4, 1, 1), 6, 1),  # 4 does not divide 6
    ((1, 4, 1), 8, 1),
    ((2, 2, 1), 8, 1),  # weights are cut: the compiler's
    ((2, 1, 2), 8, 1),
  ],
)
def test_rows_are_shared_out_where_data_is_the_only_axis(sizes, rows, parts):
  with mesh_of(*sizes):
    assert data_parts(rows) == parts


@pytest.mark.parametrize('parts', [1, 2, 4])
def test_microbatches_are_mapped_in_turn_and_joined_in_their_order(parts):
  """Each part is seen alone; any tree of rows comes back as rows."""
  batch = {'a': np.arange(8.0), 'b': np.arange(16.0).reshape(8, 2)}

  def fn(part, scale):
    total = jnp.broadcast_to(part['a'].sum(), part['a'].shape)
    return scale * part['b'], total

  scaled, total_B = map_microbatches(fn, batch, parts, 3.0)
  np.testing.assert_array_equal(scaled, 3.0 * batch['b'])
  expected = batch['a'].reshape(parts, -1).sum(1)
  np.testing.assert_array_equal(total_B, np.repeat(expected, 8 // parts))


def test_parts_that_do_not_divide_the_rows_are_an_error():
  with pytest.raises(ValueError, match='3 microbatches do not divide .* of 8'):
    map_microbatches(lambda part: part, np.arange(8.0), 3)
