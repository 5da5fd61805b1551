"""Real programs of a plan, compiled for a TPU that is not there."""

import importlib.util

import jax
import jax.numpy as jnp
import pytest
from capacity_fixture import settings

from experiments.capacity import estimates, programs
from experiments.capacity.job import model_config
from rlhf_jax.train.sharding import make_mesh, replicated

pytestmark = pytest.mark.skipif(
  importlib.util.find_spec('libtpu') is None,
  reason='libtpu, the TPU compiler, is not installed: make test-plan',
)
TOPOLOGY = 'v5p:2x2x1'
JOB = settings()['job'] | dict(
  vocab_size=512,
  pm_pairs=16,
  pm_length=64,  # one block of queries: little to compile
  prompts=32,  # a product with one row a chip would be counted otherwise
  prompt_length=48,
  reply_length=16,
)


@pytest.fixture(scope='module')
def devices():
  return programs.devices_of(TOPOLOGY)


def _measured(build, name, depth, mesh):
  shapes = programs.Shapes(model_config(name, JOB, depth), JOB, mesh)
  return {
    key: programs.measure(program)
    for key, program in build(shapes).items()
    if key != 'iteration'
  }


@pytest.mark.parametrize('fsdp, model', [(4, 1), (2, 2)])
def test_xla_counts_the_flops_of_a_pm_step_that_we_do(devices, fsdp, model):
  """810M wide, one layer: within 5 % on either mesh; memory is cut by it."""
  mesh = make_mesh(devices, fsdp=fsdp, model=model)
  found = _measured(programs.pm_programs, '810M', 1, mesh)['pm_step']
  _, done = estimates.analytic_flops(model_config('810M', JOB, 1), JOB)[
    'pm_step'
  ]
  assert 4 * found['flops'] / done == pytest.approx(1, abs=0.05)
  state = 12 * 51e6 / 4  # parameters and moments, a quarter each
  assert state < found['memory'] < 10 * state


def test_a_loop_is_counted_once(devices):
  """collect is prefill and one decoding step of sixteen."""
  mesh = make_mesh(devices, fsdp=4)
  found = _measured(programs.ppo_programs, '810M', 1, mesh)
  flops = estimates.analytic_flops(model_config('810M', JOB, 1), JOB)
  one = flops['decode'][1] / JOB['reply_length']
  decode = 4 * (found['collect']['flops'] - found['prefill']['flops'])
  assert decode / one == pytest.approx(1, abs=0.05)


def test_the_step_takes_the_mesh_that_a_torus_has_no_rings_for():
  """512 chips as 256 x 2, neighbours in the pairs."""
  mesh = make_mesh(programs.devices_of('v5p:8x8x8'), fsdp=256, model=2)
  for first, second in mesh.devices.reshape(-1, 2):
    apart = [
      abs(a - b) for a, b in zip(first.coords, second.coords, strict=True)
    ]
    assert sorted(apart) == [0, 0, 1]


def test_what_has_no_room_is_said_not_raised(devices):
  mesh = make_mesh(devices, fsdp=4)
  huge = jax.ShapeDtypeStruct((2**36,), jnp.float32, sharding=replicated(mesh))
  found = programs.measure(programs.Program(lambda x: x + 1, (huge,), mesh))
  assert 'RESOURCE_EXHAUSTED' in found['no_room']


def test_a_topology_that_the_compiler_refuses_is_one_line():
  with pytest.raises(ValueError, match="no topology 'v5p:3x5x7'") as error:
    programs.devices_of('v5p:3x5x7')
  assert '\n' not in str(error.value)
