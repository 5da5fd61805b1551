"""Rules by path, rows of processes, and eight devices against one."""

import json
import os
import pathlib
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sharded_toy as toy
import train_fixture as fixture
from jax.sharding import AbstractMesh
from jax.sharding import PartitionSpec as P

from rlhf_jax.models.build import build
from rlhf_jax.models.config import TransformerConfig
from rlhf_jax.train import sharding
from rlhf_jax.train.averaging import AveragedState
from rlhf_jax.train.sharded import jit_sharded
from rlhf_jax.train.steps import init_state

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parents[1]
MESH = AbstractMesh((2, 2, 2), sharding.AXES)
MESHES = ('8,1,1', '2,2,2', '1,4,2')


def printed(script):
  """The JSON that a script prints on eight faked devices."""
  process = subprocess.run(
    [sys.executable, HERE / script],
    env=os.environ
    | {
      'PYTHONPATH': os.pathsep.join([str(ROOT), str(HERE)]),
      'XLA_FLAGS': '--xla_force_host_platform_device_count=8 '
      + os.environ.get('XLA_FLAGS', ''),  # of conftest: compiles sooner
    },
    capture_output=True,
    text=True,
    check=False,
  )
  assert process.returncode == 0, process.stderr
  return json.loads(process.stdout)


@pytest.fixture(scope='module')
def eight():
  """What eight_devices.py prints: one device, and each mesh of eight."""
  return printed('eight_devices.py')


@pytest.fixture(scope='module')
def compiled():
  """What rows_of_devices.py prints of programs for eight devices."""
  return printed('rows_of_devices.py')


@pytest.mark.slow  # eight faked devices
def test_devices_with_rows_of_their_own_talk_once_a_step(compiled):
  """Gradients of all microbatches are summed at the end; sampling is silent."""
  inside, outside = compiled['sums']
  assert inside == 0
  assert outside > 0
  assert compiled['sampler'] == [0, 0]


@pytest.mark.slow  # eight faked devices
def test_eight_devices_share_the_arithmetic(compiled):
  """An eighth of the FLOPs each; 1.13 of it where rows are not kept apart."""
  shares = compiled['shares']
  assert set(shares) == {'8,1,1', '1,8,1', '1,4,2'}
  for mesh, share in shares.items():
    assert share < 1.06, mesh


def close(a, b):
  np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.slow  # eight faked devices
@pytest.mark.parametrize('mesh', MESHES)
def test_eight_devices_train_the_same_preference_model(eight, mesh):
  """Two steps, gradients accumulated over two parts (checklist 68)."""
  losses = eight['one']['pm']
  assert len(losses) == 2
  assert abs(losses[0] - losses[1]) > 1e-3  # the first step moved it
  close(eight[mesh]['pm'], losses)


@pytest.mark.slow  # eight faked devices
def test_eight_devices_train_the_same_adapters(eight):
  """Two steps over a base: whole on each device, and cut on 2 x 2 x 2."""
  one, *meshes = eight['adapters']
  assert abs(one[0] - one[1]) > 1e-3
  assert len(meshes) == 2
  for losses in meshes:
    close(losses, one)


@pytest.mark.slow  # eight faked devices
@pytest.mark.parametrize('mesh', MESHES)
def test_eight_devices_run_the_same_ppo_iteration(eight, mesh):
  """Sampling, reward, penalty and four updates (checklist 68)."""
  one = eight['one']['ppo']
  assert {'policy_loss', 'value_loss', 'grad_norm'} <= set(one)
  assert set(eight[mesh]['ppo']) == set(one)
  for name, value in one.items():
    np.testing.assert_allclose(
      eight[mesh]['ppo'][name], value, rtol=1e-5, atol=1e-5, err_msg=name
    )


@pytest.mark.slow  # eight faked devices
def test_eight_devices_run_the_same_ppo_iteration_of_adapters(eight):
  """The base is on all of them; each scores its rows in two parts."""
  one, cut = eight['tuned']
  assert abs(one['kl_k1']) > 1e-3 and one['grad_norm'] > 1e-3
  assert set(cut) == set(one)
  for name, value in one.items():
    np.testing.assert_allclose(
      cut[name], value, rtol=1e-5, atol=1e-5, err_msg=name
    )


@pytest.mark.slow  # eight faked devices
def test_eight_devices_evaluate_a_policy_alike(eight):
  """The rows come back in their order."""
  one, cut = eight['evaluated']
  assert np.ptp(one['kl']) > 1e-3 and np.ptp(one['score_0']) > 1e-3
  for name, rows in one.items():
    close(cut[name], rows)


@pytest.mark.slow  # eight faked devices
@pytest.mark.parametrize('mesh', MESHES)
def test_eight_devices_decode_the_same_tokens(eight, mesh):
  """A row's sample does not depend on the devices (checklist 68)."""
  tokens_BT = np.array(eight['one']['tokens'])
  assert len(np.unique(tokens_BT)) > 5
  np.testing.assert_array_equal(eight[mesh]['tokens'], tokens_BT)
  close(eight[mesh]['logp'], eight['one']['logp'])


@pytest.mark.slow  # eight faked devices
@pytest.mark.parametrize(
  ('mesh', 'parts'), [('one', 1), ('8,1,1', 1), ('2,2,2', 4), ('1,4,2', 8)]
)
def test_a_device_holds_its_part_of_the_optimiser(eight, mesh, parts):
  """Counted by hand: two moments of every parameter, one counter."""
  D, V = toy.CONFIG.d_model, toy.CONFIG.vocab_size
  cut = V * D + 3 * D * D + D * D + 4 * D * D + 4 * D * D
  whole = 3 * D + D + 1  # norms and head
  assert eight[mesh]['bytes'] == 4 * (2 * (cut // parts + whole) + 1)


@pytest.mark.slow  # eight faked devices
def test_a_state_is_the_same_cut_or_made_in_pieces(eight):
  assert eight['shard_difference'] <= 1e-6


def abstract_params(config):
  functions = build(config)
  init = lambda rng: functions.init(rng) | {'head': functions.init_head(rng)}
  return jax.eval_shape(init, jax.random.key(0))


def specs(tree, mesh=MESH):
  """{path: PartitionSpec}."""
  leaves = jax.tree_util.tree_leaves_with_path(
    sharding.shardings_of(tree, mesh)
  )
  name = lambda path: jax.tree_util.keystr(path, simple=True, separator='/')
  return {name(path): leaf.spec for path, leaf in leaves}


def test_every_parameter_has_the_place_that_the_table_gives():
  config = TransformerConfig(
    vocab_size=16,
    n_layers=1,
    d_model=8,
    n_heads=2,
    norm='layer',
    positions='learned',
    activation='swiglu',
    tied=False,
    use_bias=True,
    qk_norm=True,
  )
  columns, rows, whole = P('fsdp', 'model'), P('model', 'fsdp'), P()
  layer = {
    'attention/qkv/kernel': columns,
    'attention/qkv/bias': P('model'),
    'attention/out/kernel': rows,
    'attention/out/bias': whole,
    'attention/q_norm/scale': whole,
    'attention/k_norm/scale': whole,
    'attention_norm/scale': whole,
    'attention_norm/bias': whole,
    'mlp/in/kernel': columns,
    'mlp/in/bias': P('model'),
    'mlp/out/kernel': rows,
    'mlp/out/bias': whole,
    'mlp_norm/scale': whole,
    'mlp_norm/bias': whole,
  }
  expected = {f'trunk/layer_0/{name}': spec for name, spec in layer.items()}
  expected |= {
    'trunk/embed': rows,
    'trunk/lm_head': rows,
    'trunk/position_embed': P(None, 'fsdp'),
    'trunk/final_norm/scale': whole,
    'trunk/final_norm/bias': whole,
    'head/kernel': whole,
    'head/bias': whole,
  }
  assert specs(abstract_params(config)) == expected


def test_moments_and_averages_lie_where_their_parameters_lie():
  params = abstract_params(toy.CONFIG)
  joint = {'policy': params, 'value': params}
  start = lambda params: AveragedState(
    init_state(params, toy.optimiser()), params
  )
  found = specs(jax.eval_shape(start, joint))
  own = specs(params)
  for path, spec in own.items():
    twins = [other for other in found if other.endswith(f'/{path}')]
    assert len(twins) == 8  # two networks: weights, average, two moments
    assert {found.pop(other) for other in twins} == {spec}
  assert sorted(path.split('/')[-1] for path in found) == ['count', 'step']
  assert set(found.values()) == {P()}


def test_a_leaf_without_a_rule_is_an_error():
  tree = {'trunk': {'layer_3': {'router': jnp.zeros((4, 4))}}}
  with pytest.raises(ValueError, match='trunk/layer_3/router') as error:
    sharding.shardings_of(tree, MESH)
  assert '\n' not in str(error.value)
  rules = (('router', P('model', None)), *sharding.RULES)
  placed = sharding.shardings_of(tree, MESH, rules)
  assert placed['trunk']['layer_3']['router'].spec == P('model', None)


def test_a_name_that_only_ends_alike_is_no_match():
  with pytest.raises(ValueError, match='no sharding rule matches my_embed'):
    sharding.shardings_of({'my_embed': jnp.zeros((4, 4))}, MESH)


def test_a_rule_for_other_dimensions_is_an_error():
  """As for members stacked along a leading axis."""
  with pytest.raises(ValueError, match='is for 2 dimensions, embed has shape'):
    sharding.shardings_of({'embed': jnp.zeros((3, 4, 4))}, MESH)


def test_a_dimension_that_does_not_divide_is_repeated_and_reported():
  tree = {'trunk': {'embed': jnp.zeros((9, 8))}, 'lm_head': jnp.zeros((8, 8))}
  assert specs(tree)['trunk/embed'] == P(None, 'fsdp')
  assert sharding.fallbacks(tree, MESH) == [('trunk/embed', 0, 9, 2)]
  assert sharding.fallbacks({'lm_head': tree['lm_head']}, MESH) == []


def test_a_mesh_uses_every_device():
  mesh = sharding.make_mesh(fsdp=-1)
  assert dict(mesh.shape) == {'data': 1, 'fsdp': jax.device_count(), 'model': 1}
  devices = jax.devices() * 8  # only their number is looked at
  for sizes in (
    {},
    {'data': 3},
    {'data': -1, 'fsdp': -1},
    {'data': -1, 'model': 3},
    {'data': -1, 'model': 0},
    {'data': -2, 'model': -4},
  ):
    with pytest.raises(ValueError, match='does not fit'):
      sharding.make_mesh(devices, **sizes)


def test_one_process_loads_every_row():
  mesh = sharding.make_mesh(data=-1)
  np.testing.assert_array_equal(sharding.local_rows(6, mesh), range(6))
  batch = {'a': np.arange(12).reshape(6, 2), 'b': np.arange(6)}
  joined = sharding.global_batch(batch, mesh, 6)
  fixture.assert_close(joined, batch, rtol=0)
  with pytest.raises(ValueError, match='holds 6 of 6 rows, got 5'):
    sharding.global_batch({'b': np.arange(5)}, mesh, 6)


def test_a_batch_that_cannot_be_cut_is_an_error():
  with pytest.raises(ValueError, match='data x fsdp = 4 does not divide'):
    sharding.local_rows(6, MESH)


def test_a_donated_shard_leaves_the_original_whole():
  mesh = sharding.make_mesh(data=-1)
  state = jax.jit(toy.pm_state)(toy.rng())
  before = fixture.digest(state)
  placed = sharding.shard(state, sharding.shardings_of(state, mesh))
  step_fn = jit_sharded(toy.pm_step(), mesh, state)
  batch = toy.first_pairs(toy.B)
  after, _ = step_fn(placed, batch, toy.rng(), toy.PM_HYPER)
  assert int(after.step) == 1
  assert fixture.digest(state) == before


def test_one_sharding_may_stand_for_a_subtree():
  mesh = sharding.make_mesh(data=-1)
  tree = {'a': {'x': np.ones(2), 'y': np.zeros((2, 3))}, 'b': np.float32(1.5)}
  placed = sharding.shard(
    tree, {'a': sharding.batch_sharding(mesh), 'b': sharding.replicated(mesh)}
  )
  fixture.assert_close(placed, tree, rtol=0)
  assert placed['a']['y'].sharding == sharding.batch_sharding(mesh)
