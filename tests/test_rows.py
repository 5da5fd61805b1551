"""Rows on one device; of several, see tests/train/test_train_sharding.py."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AbstractMesh, AxisType

from rlhf_jax.rows import data_parts, on_rows, over_data
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
