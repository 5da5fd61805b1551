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
  parts_of_device,
  split_rows,
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


@pytest.mark.parametrize(
  ('sizes', 'rows', 'microbatches', 'parts'),
  [
    ((1, 1, 1), 16, 16, 16),
    ((2, 1, 1), 16, 16, 8),  # one row a part, as on one device
    ((4, 1, 1), 16, 2, 1),  # a device has fewer rows than a microbatch
    ((2, 1, 1), 48, 16, 8),  # three rows a part
    ((3, 1, 1), 48, 16, 8),  # 16 / 3 and no fewer that divide 16 rows
    ((1, 4, 1), 16, 16, 16),  # weights are cut: rows are not a device's own
  ],
)
def test_devices_share_the_parts_of_a_batch(sizes, rows, microbatches, parts):
  """A part never has more than rows / microbatches rows."""
  with mesh_of(*sizes):
    assert parts_of_device(rows, microbatches) == parts
    own = rows // data_parts(rows)
  assert own % parts == 0
  assert own // parts <= rows // microbatches


def test_microbatches_have_to_divide_the_rows_of_all_devices():
  with mesh_of(2, 1, 1), pytest.raises(ValueError, match='16 .* of 8 rows'):
    parts_of_device(8, 16)


def test_rows_are_cut_into_equal_parts_alone():
  with pytest.raises(ValueError, match='8 rows cannot be cut into 3 equal'):
    split_rows(np.arange(8.0), 3)
