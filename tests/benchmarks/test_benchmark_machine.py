"""The machine's own rates, and steps on as many devices as share the rows."""

import json
import os
import pathlib
import subprocess
import sys

import jax
import numpy as np
import pytest

from benchmarks import common, machine, subjects
from benchmarks.shapes import SHAPES

TINY = SHAPES['tiny']
FOUR = """
import json

from benchmarks import common, decode, machine, pm_step, subjects
from benchmarks.shapes import SHAPES

machine.CUBE = 16
shape = SHAPES['tiny']
found = {}
for name, module in (('pm_step', pm_step), ('decode', decode)):
  made = getattr(subjects, name)(shape)
  mesh = common.mesh_of(made)
  lines = module.measure(shape, 1, 1)
  rates = machine.rate_calls(shape, made.products_tokens, made.logits, mesh)
  found[name] = {
    'devices': mesh.size,
    'lines': {metric: value for metric, value, _ in lines},
    'flops': {rate: flops for rate, (_, flops) in rates.items()},
    'ends': [list(x.shape) for x in rates['products'][0]()],
    'at_once': len(rates['products'][0]()[0].sharding.device_set),
  }
print(json.dumps(found))
"""


def test_chained_products_do_the_products_that_they_count():
  call, flops = machine.chained_products([(2, 3, 2)], 4, 'float32')
  assert flops == 2 * (2 * 4 * 2 * 3 + 2 * 4 * 3 * 2)
  normal = lambda *shape: jax.random.normal(jax.random.key(0), shape)
  w, v = (normal(*shape) / (2**0.5 + 3**0.5) for shape in ((2, 3), (3, 2)))
  x = np.ones((4, 2))
  for _ in range(2):
    x = x @ np.asarray(w) @ np.asarray(v)
  np.testing.assert_allclose(call()[0], x, rtol=1e-5)


@pytest.mark.parametrize(
  ('rows', 'parts', 'devices', 'count'),
  [
    (64, 16, 2, 2),
    (64, 16, 8, 4),  # 4 pairs a microbatch: 8 devices cannot share them
    (64, 16, 3, 2),
    (64, 1, 6, 4),
    (64, 1, 1, 1),
    (4, 2, 4, 2),
    (6, 4, 8, 1),  # not even on one device
  ],
)
def test_as_many_devices_as_share_the_rows_of_each_part(
  rows, parts, devices, count
):
  assert common.device_count(rows, parts, devices) == count


@pytest.mark.parametrize('shared', [False, True])
def test_products_have_the_rows_that_a_part_of_a_preference_step_has(shared):
  """Of four sequences, two pairs: a prompt of 8 and two replies of 8 each."""
  subject = subjects.pm_step(TINY, shared=shared)
  columns = 8 + 2 * 8 if shared else 2 * (8 + 8)
  if shared:  # rounded up to whole sixteens
    columns = -(-columns // 16) * 16
  assert subject.parts == 2
  assert subject.products_tokens == 2 * columns


@pytest.mark.slow  # four faked devices
def test_four_devices_run_the_tiny_shape_and_its_products_at_once():
  """Two share the pairs of a part, four the replies."""
  variables = {'JAX_PLATFORMS': 'cpu', 'JAX_NUM_CPU_DEVICES': '4'}
  done = subprocess.run(
    [sys.executable, '-c', FOUR],
    cwd=pathlib.Path(common.__file__).parents[1],
    env=os.environ | variables,
    capture_output=True,
    text=True,
  )
  assert done.returncode == 0, done.stderr
  found = json.loads(done.stdout.splitlines()[-1])
  assert {name: one['devices'] for name, one in found.items()} == {
    'pm_step': 2,
    'decode': 4,
  }
  config = common.config_of(TINY)
  for name, rows in (('pm_step', 2 * 32), ('decode', 4)):
    one = found[name]
    made = machine.products(config, name == 'decode')
    assert one['at_once'] == one['devices']
    assert one['ends'] == [[rows, K] for K, _, _ in made]
    assert one['flops'] == {
      'products': sum(4 * rows * K * N * n for K, N, n in made),
      'cube': one['devices'] * 4 * 16**3,
    }
    assert min(one['lines'].values()) > 0
