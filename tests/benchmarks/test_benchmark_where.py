"""Where the time of a step goes: what is read from a program, and its sums."""

import json
import math

import jax
import jax.numpy as jnp
import pytest

from benchmarks import common, where

PROGRAM = """HloModule jit_step

%fused_computation.7 (param_0: f32[6,4], param_1: f32[4,8]) -> f32[6,8] {
  %param_0 = f32[6,4]{1,0} parameter(0)
  %param_1 = f32[4,8]{1,0} parameter(1)
  ROOT %dot_general.1 = f32[6,8]{1,0} dot(%param_0, %param_1), OVER_ONE
}

ENTRY %main (x: f32[6,4], w: f32[4,8]) -> f32[4,8] {
  %x = f32[6,4]{1,0} parameter(0)
  %w = f32[4,8]{1,0} parameter(1)
  %ynn_fusion.7 = f32[6,8]{1,0} fusion(%x, %w), calls=%fused_computation.7, KIND
  %add.3 = f32[6,8]{1,0} add(%ynn_fusion.7, %ynn_fusion.7)
  ROOT %dot.2 = f32[4,8]{1,0} dot(%x, %add.3), OVER_BOTH
}
"""
WORDS = {
  'OVER_ONE': 'lhs_contracting_dims={1}, rhs_contracting_dims={0}',
  'OVER_BOTH': 'lhs_contracting_dims={0}, rhs_contracting_dims={0}',
  'KIND': 'backend_config={"fusion_config":{"kind":"__ynn_fusion"}}',
}
for word, words in WORDS.items():
  PROGRAM = PROGRAM.replace(word, words)


def test_products_are_read_with_their_shapes_and_libraries():
  found = where.operations_of(PROGRAM)
  assert found['ynn_fusion.7'] == {'kind': 'ynn', 'product': (1, 6, 4, 8)}
  assert found['dot.2'] == {'kind': 'eigen', 'product': (1, 4, 6, 8)}
  assert found['add.3'] == {'kind': 'other', 'product': None}


def test_shares_and_rates_are_those_of_the_times():
  spent = {'ynn_fusion.7': (2.0, 10), 'dot.2': (1.0, 10), 'add.3': (1.0, 10)}
  lines = where.lines_of(where.operations_of(PROGRAM), spent)
  found = {metric: value for metric, value, _ in lines}
  flops = 2 * 6 * 4 * 8
  assert found == pytest.approx(
    {
      'share_ynn': 0.5,
      'share_eigen': 0.25,
      'share_other': 0.25,
      'ynn_6x4x8_gflops': flops * 10 / 2e9,
      'ynn_6x4x8_share': 0.5,
      'eigen_4x6x8_gflops': flops * 10 / 1e9,
      'eigen_4x6x8_share': 0.25,
    }
  )


def test_the_products_of_a_batch_are_all_counted():
  a, b = jnp.ones((3, 4, 5)), jnp.ones((3, 5, 7))
  text = jax.jit(jnp.matmul).lower(a, b).compile().as_text()
  products = [x['product'] for x in where.operations_of(text).values()]
  assert math.prod((3, 4, 5, 7)) in [math.prod(x) for x in products if x]


@pytest.mark.slow  # compiles a step and traces it
def test_a_step_is_traced_and_all_of_its_time_is_somewhere(tmp_path):
  file = tmp_path / 'where.json'
  words = ['--subject', 'pm_step', '--shape', 'tiny', '--rounds', '1']
  rows = where.main([*words, '--json', str(file)])
  assert json.loads(file.read_text()) == rows
  found = {row['metric']: row['value'] for row in rows}
  shares = [x for name, x in found.items() if name.startswith('share_')]
  assert sum(shares) == pytest.approx(1)
  assert found['share_other'] > 0 and len(found) > 5
  assert all(row['device'] == common.device_name() for row in rows)
