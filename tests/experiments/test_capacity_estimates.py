"""The arithmetic of a plan, by hand; no TPU compiler is needed."""

import math

import jax
import jax.numpy as jnp
import pytest
from capacity_fixture import settings

from experiments.capacity import estimates
from experiments.capacity.estimates import Measured
from experiments.capacity.job import model_config
from experiments.capacity.programs import TX
from rlhf_jax.models import footprint, ladder
from rlhf_jax.models.build import build
from rlhf_jax.models.config import TransformerConfig
from rlhf_jax.models.cost import parameter_counts
from rlhf_jax.train.steps import init_state, make_pm_step
from rlhf_jax.types import PairBatch, PMHyper

CONFIG = settings()
JOB = CONFIG['job']


def test_a_line_through_one_and_two_layers():
  one, two = Measured(10.0, 100.0, 7.0), Measured(13.0, 140.0, 9.0)
  assert estimates.extrapolate(one, two, 1) == one
  assert estimates.extrapolate(one, two, 2) == two
  assert estimates.extrapolate(one, two, 64) == (199.0, 2620.0, 133.0)


@pytest.mark.parametrize('name', list(ladder.PAPER))
def test_the_analytic_counts_lie_on_the_line_through_one_and_two(name):
  counts = lambda depth: estimates.analytic_flops(
    model_config(name, JOB, depth), JOB
  )
  n_layers = ladder.rung(name).n_layers
  one, two, whole = counts(1), counts(2), counts(n_layers)
  for phase in whole:
    for i in (0, 1):
      line = one[phase][i] + (n_layers - 1) * (two[phase][i] - one[phase][i])
      assert whole[phase][i] == line


def test_training_costs_six_flops_a_weight_and_token_and_repeats_a_third():
  """The largest rung, where products with weights are nearly all.

  Repeated is a forward pass but for each block's last product, 4 D^2 of 12 D^2.
  """
  model = model_config('52B', JOB)
  useful, done = estimates.analytic_flops(model, JOB)['pm_step']
  tokens = 2 * JOB['pm_pairs'] * JOB['pm_length']
  weights = parameter_counts(model)['blocks']
  assert useful / (6 * weights * tokens) == pytest.approx(1, abs=0.03)
  assert done / useful == pytest.approx(1 + 2 / 9, abs=0.01)


@pytest.mark.parametrize(
  'topology, chips', [('v5p:8x8x8', 512), ('v5e:16x16', 256), ('v4:2x2x1', 4)]
)
def test_a_topology_is_a_generation_and_a_torus(topology, chips):
  generation, dims = estimates.parse_topology(topology)
  assert generation in estimates.CHIPS and math.prod(dims) == chips


@pytest.mark.parametrize('name', ['v5p', 'v5p:8', 'v9:2x2', 'v5p:2x', ''])
def test_what_is_no_topology_is_named_with_what_is(name):
  with pytest.raises(ValueError, match='wanted GENERATION:AxB.*v5p') as error:
    estimates.parse_topology(name)
  assert repr(name) in str(error.value)


@pytest.mark.parametrize(
  'dims, heads, fsdp, model',
  [
    ((4, 4, 4), 128, 64, 1),  # 256 rows: no model shards are needed
    ((16, 16), 128, 256, 1),
    ((8, 8, 8), 128, 64, 8),  # 512 chips: one ring of the torus
    ((8, 8, 8), 12, 256, 2),  # 8 shards would pad 12 heads: a ring is split
    ((8, 8, 8), 20, 256, 2),
  ],
)
def test_a_mesh_cuts_rows_and_heads_evenly(dims, heads, fsdp, model):
  axes = estimates.mesh_axes(dims, JOB, heads)
  assert axes == {'data': 1, 'fsdp': fsdp, 'model': model}
  assert JOB['pm_pairs'] % fsdp == 0 and heads % model == 0


def test_a_mesh_that_cannot_be_is_an_error():
  with pytest.raises(ValueError, match='256 rows and 3 heads .* 512 chips'):
    estimates.mesh_axes((8, 8, 8), JOB, 3)


def test_the_slower_of_arithmetic_and_memory_binds():
  chip = estimates.Chip(hbm_bytes=1e9, bandwidth=100.0, flops=1000.0)
  assert estimates.seconds(Measured(5000, 400, 0), chip) == (5.0, 'FLOPs')
  assert estimates.seconds(Measured(5000, 700, 0), chip) == (7.0, 'bytes')


def test_hours_are_steps_times_seconds():
  study = {'pm_pairs': 1000, 'ppo_samples': 1025, 'share_of_bound': 0.5}
  hours = estimates.study_hours(
    JOB, study, pm_seconds=900.0, ppo_seconds=1200.0
  )
  assert hours == {'pm': 1.0, 'ppo': 1.0, 'at_share': 4.0}  # 4 and 3 steps


def test_eight_gpus_share_parameters_but_not_activations():
  model, gpu = model_config('810M', JOB), CONFIG['gpu']
  one, eight = (estimates.gpu_bytes(model, JOB, gpu, count) for count in (1, 8))
  trained = footprint.trained_bytes(model)
  frozen = footprint.frozen_bytes(model)
  assert trained == 20 * parameter_counts(model)['total']
  assert one['pm'] - eight['pm'] == pytest.approx(trained * 7 / 8)
  assert one['ppo'] - eight['ppo'] == pytest.approx(
    2 * (trained + frozen) * 7 / 8
  )
  assert one['ppo'] > one['pm'] > trained


@pytest.mark.slow  # compiles at full width
def test_the_gpu_estimate_is_near_what_a_compiled_step_takes():
  """A step of one pair, float32, compiled for the CPU: within 15 %.

  A CPU step accumulates no gradients, so it lacks 4 bytes a parameter.
  """
  job = {**JOB, 'pm_length': 256}
  config = TransformerConfig(
    vocab_size=512, n_layers=3, d_model=256, n_heads=4, remat=True
  )
  functions = build(config)
  key = jax.random.key(0)
  params = jax.eval_shape(
    lambda key: functions.init(key) | {'head': functions.init_head(key)}, key
  )
  state = jax.eval_shape(lambda p: init_state(p, TX), params)
  ints = lambda *shape: jax.ShapeDtypeStruct(shape, jnp.int32)
  batch = PairBatch(ints(1, 256), ints(1), ints(1, 256), ints(1))
  hyper = PMHyper(*(jnp.float32(0) for _ in PMHyper._fields))
  step = make_pm_step(functions.score_fn, TX)
  memory = (
    jax.jit(step, donate_argnums=0)
    .lower(state, batch, key, hyper)
    .compile()
    .memory_analysis()
  )
  compiled = (
    memory.argument_size_in_bytes
    + memory.output_size_in_bytes
    - memory.alias_size_in_bytes
    + memory.temp_size_in_bytes
  )
  gpu = {'train_rows': 2, 'decode_rows': 1}
  estimate = estimates.gpu_bytes(config, job, gpu, 1)['pm']
  estimate -= 4 * parameter_counts(config)['total']
  assert estimate / compiled == pytest.approx(1, abs=0.15)
