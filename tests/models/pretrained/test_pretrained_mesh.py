"""Placement leaf by leaf: on eight faked devices, and one leaf at a time."""

import json
import os
import pathlib
import subprocess
import sys
import weakref

import jax
import numpy as np
import pytest

from rlhf_jax.models.pretrained import folder, layouts
from rlhf_jax.models.pretrained.placing import place_leaves

pytestmark = pytest.mark.slow  # eight faked devices

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parents[2]


def test_a_folder_placed_on_eight_devices_gives_the_same_logits(imported):
  process = subprocess.run(
    [sys.executable, HERE / 'eight_devices_import.py', imported('llama').path],
    env=os.environ
    | {
      'PYTHONPATH': str(ROOT),
      'XLA_FLAGS': '--xla_force_host_platform_device_count=8',
    },
    capture_output=True,
    text=True,
    check=False,
  )
  assert process.returncode == 0, process.stderr
  found = json.loads(process.stdout)
  np.testing.assert_allclose(found['mesh'], found['one'], atol=1e-5)
  assert found['spec'] == ['fsdp', 'model']
  assert found['parts'] == [[16, 48]] * 8  # of [32, 96]
  whole, part = found['bytes']
  assert part < 0.3 * whole  # a quarter, and what is repeated


def test_leaves_are_placed_before_the_next_is_read():
  """So that the host holds one leaf, and what was placed before."""
  placed = []

  def shardings_of(tree):
    placed.append(list(tree)[0])
    device = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    return jax.tree.map(lambda _: device, tree)

  def leaves():
    for i in range(3):
      assert len(placed) == i
      yield (f'leaf_{i}', 'kernel'), np.full(2, i, np.float32)

  tree = place_leaves(leaves(), shardings_of)
  assert placed == ['leaf_0', 'leaf_1', 'leaf_2']
  np.testing.assert_array_equal(tree['leaf_2']['kernel'], [2, 2])


def test_the_host_holds_the_arrays_of_one_leaf(imported, monkeypatch):
  """What was read for the leaf before is gone when the next one is begun."""
  read, alive, most = folder.Arrays.read, [], []

  def watched(self, name):
    most.append(sum(x().nbytes for x in alive if x() is not None))
    array = read(self, name)
    alive.append(weakref.ref(array))
    return array

  monkeypatch.setattr(folder.Arrays, 'read', watched)
  model = imported('llama')
  folder.load_folder(model.path)
  assert len(most) == 21
  gate_and_up = model.params['trunk']['layer_0']['mlp']['in']['kernel'].nbytes
  assert max(most) <= gate_and_up


def test_a_placed_leaf_is_a_copy():
  host = np.ones(1000, np.float32)
  tree = place_leaves([(('x',), host)])
  host[:] = 0
  np.testing.assert_array_equal(tree['x'], np.ones(1000))


class Config:
  n_heads, n_kv_heads, head_size, d_mlp = 4, 2, 3, 5


@pytest.mark.parametrize(
  ('layout', 'shape'),
  [
    (layouts.SAME, (7, 4)),
    (layouts.TURNED, (7, 4)),
    (layouts.QKV, (7, 24)),
    (layouts.QKV, (24,)),
    (layouts.GATE_UP, (7, 10)),
    (layouts.GATE_UP, (10,)),
    (layouts.HEAD_BY_HEAD, (7, 36)),
    (layouts.HEAD_BY_HEAD, (36,)),
  ],
)
def test_layouts_go_there_and_back(layout, shape):
  ours = np.random.default_rng(0).normal(size=shape)
  theirs = layout.split(ours, Config)
  assert [x.shape for x in theirs] == layouts.their_shapes(
    layout, shape, Config
  )
  np.testing.assert_array_equal(layout.join(theirs, Config), ours)


def test_neox_rows_are_head_by_head():
  """Row (head, kind, feature) is our column (kind, head, feature)."""
  ours = np.random.default_rng(0).normal(size=(7, 36))
  (rows,) = layouts.HEAD_BY_HEAD.split(ours, Config)
  for head in range(4):
    for kind in range(3):
      for k in range(3):
        np.testing.assert_array_equal(
          rows[(head * 3 + kind) * 3 + k], ours[:, (kind * 4 + head) * 3 + k]
        )
