"""Arrays and programs on one device, and on a mesh of it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import shared_fixture as tiny

from experiments.shared import devices
from rlhf_jax.train import ledger
from rlhf_jax.train.run import save_params

ONE = {'data': 1, 'fsdp': 1, 'model': 1}


@pytest.fixture(params=['no mesh', 'a mesh'])
def mesh(request):
  """None; or a mesh of the one device that tests have."""
  if request.param == 'no mesh':
    return None
  return devices.mesh_from(ONE | {'data': len(jax.devices())} | {'model': -1})


def head(*numbers):
  """A tree whose paths have a sharding rule: the head of a model."""
  return {'head': {'kernel': np.array(numbers, np.float32)}}


def test_all_ones_are_no_mesh_and_what_is_left_is_told():
  assert devices.mesh_from(ONE) is None
  mesh = devices.mesh_from(ONE | {'data': -1})
  assert dict(mesh.shape) == {'data': len(jax.devices()), 'fsdp': 1, 'model': 1}
  with pytest.raises(ValueError, match='does not fit'):
    devices.mesh_from(ONE | {'model': len(jax.devices()) + 1})


def test_rows_are_cut_over_data_and_fsdp_but_not_over_model():
  assert devices.row_parts(None) == 1
  shape = {'data': 2, 'fsdp': 3, 'model': 5}
  assert devices.row_parts(tiny.namespace(shape=shape)) == 6


def test_spread_makes_copies_that_a_step_may_donate(mesh):
  """Neither the original's end nor a change of it is seen in the copy."""
  ours = head(1.0, 2.0)
  copy = devices.spread(ours, mesh)
  ours['head']['kernel'][0] = 9
  np.testing.assert_array_equal(copy['head']['kernel'], [1, 2])
  again = devices.spread(copy, mesh)
  jax.tree.map(lambda x: x.delete(), copy)
  np.testing.assert_array_equal(again['head']['kernel'], [1, 2])
  assert isinstance(again['head']['kernel'], jax.Array)


def test_what_is_spread_is_bound_to_the_mesh_and_else_to_nothing(mesh):
  """An array that is bound to one device is compiled for once more."""
  copy = devices.spread(head(1.0, 2.0), mesh)['head']['kernel']
  assert copy.committed == bool(mesh)
  if mesh:
    assert copy.sharding.mesh == mesh


def test_parameters_of_a_run_come_back_wherever_they_live(mesh, tmp_path):
  save_params(tmp_path, jax.tree.map(jnp.asarray, head(1.0, 2.0)))
  init = lambda rng: {'head': {'kernel': jax.random.normal(rng, (2,))}}
  found = devices.restored(tmp_path, init, mesh)['head']['kernel']
  np.testing.assert_array_equal(found, [1, 2])
  assert found.committed == bool(mesh)
  wider = lambda rng: {'head': {'kernel': jax.random.normal(rng, (3,))}}
  with pytest.raises(Exception, match=r'wanted shape \(3,\) of head/kernel'):
    devices.restored(tmp_path, wider, mesh)


def test_what_is_made_is_the_same_with_a_mesh(mesh):
  init = lambda scale: {'head': {'kernel': scale * jnp.arange(3.0)}}
  found = devices.made(init, mesh, 2.0)['head']['kernel']
  np.testing.assert_array_equal(found, [0, 2, 4])
  assert not mesh or found.sharding.mesh == mesh


def test_a_program_has_a_name_in_the_ledger_and_says_what_differs():
  ledger.start()
  double = devices.jit_named(lambda rows, scale: rows * scale, 'test_double')
  np.testing.assert_array_equal(double(jnp.ones(2), 3.0), [3, 3])
  double(jnp.zeros(2), 4.0)
  assert ledger.count('test_double') == 1 and not ledger.shapes('test_double')
  double(jnp.ones(5), 3.0)
  assert ledger.count('test_double') == 2
  found = ledger.shapes('test_double')
  assert found == 'rows: float32[2] | float32[5]'


def test_noting_changes_a_name_and_nothing_else():
  function = lambda a, b: a - b
  named = devices.noting(function, 'test_minus')
  assert named(5, 3) == 2
  assert named.__name__ == named.__qualname__ == 'test_minus'
  assert function.__name__ == '<lambda>'


def step(state, frozen, batch, rng, hyper):
  kernel = state['head']['kernel'] + hyper * batch.sum() * frozen['head']['x']
  return {'head': {'kernel': kernel}}, {'loss': batch.mean()}


def test_a_step_compiles_once_and_donates_its_state(mesh):
  name = f'test_step_{"mesh" if mesh else "one"}'
  frozen = devices.spread({'head': {'x': np.float32(10)}}, mesh)
  run = devices.jit_step(step, name, mesh)
  batch, rng = np.ones(4, np.float32), jax.random.key(0)
  with ledger.no_more_than(1, name):
    state = first = devices.spread(head(1.0, 2.0), mesh)
    for rate in (0.25, 0.5, 1.0):
      state, metrics = run(state, frozen, batch, rng, rate)
  np.testing.assert_allclose(state['head']['kernel'], [71, 72])
  assert float(metrics['loss']) == 1
  assert first['head']['kernel'].is_deleted()
  assert not frozen['head']['x'].is_deleted()
  assert ledger.count(name) == 1


def test_a_function_of_rows_compiles_once_and_keeps_its_parameters(mesh):
  name = f'test_rows_{"mesh" if mesh else "one"}'
  score = devices.jit_of_rows(
    lambda params, rows: rows * params['head']['kernel'][0], name, mesh
  )
  params = devices.spread(head(3.0, 0.0), mesh)
  with ledger.no_more_than(1, name):
    for number in (1, 2):
      found = score(params, np.full(4, number, np.float32))
      np.testing.assert_array_equal(found, [3 * number] * 4)
  assert ledger.count(name) == 1
  assert not params['head']['kernel'].is_deleted()
