"""Our own benchmarks, at the tiny shape; nothing here asserts a speed."""

import json
import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import (
  common,
  data_rate,
  decode,
  guards,
  logging_cost,
  machine,
  pm_step,
  ppo_iteration,
  subjects,
  vmapped_sweep,
)
from benchmarks.shapes import SHAPES
from rlhf_jax.models import ladder
from rlhf_jax.models.attention import query_blocks
from rlhf_jax.models.cost import forward_flops

pytestmark = pytest.mark.slow  # runs the benchmarks

TINY = SHAPES['tiny']
KEYS = {'benchmark', 'device', 'shape', 'metric', 'value', 'unit', 'commit'}
KEYS |= {'processor', 'extensions'}  # of a CPU
LIBRARY = r'(numpy|torch)_\d+x\d+_gflops_per_s'  # libraries at hand
RATES = {
  'gflops_per_s',
  'products_gflops_per_s',
  'cube_gflops_per_s',
  'best_products_gflops_per_s',
  'share_of_best_products_rate',
  'share_of_products_rate',
  'share_of_cube_rate',
  'compile_s',
  'peak_bytes',
}


@pytest.fixture(autouse=True)
def small_machine_product(monkeypatch):
  monkeypatch.setattr(machine, 'CUBE', 64)


def run(name, module, path):
  arguments = ['--shape', 'tiny', '--rounds', '2', '--warmups', '1']
  common.main(name, module.measure, [*arguments, '--json', str(path)])
  return json.loads(path.read_text())


@pytest.mark.parametrize(
  ('name', 'module', 'samples', 'tokens'),
  [
    ('pm_step', pm_step, 'pm_pairs_per_s', 'pm_tokens_per_s'),
    ('decode', decode, 'decode_replies_per_s', 'decode_tokens_per_s'),
    ('ppo_iteration', ppo_iteration, 'ppo_samples_per_s', 'ppo_tokens_per_s'),
  ],
)
def test_a_benchmark_prints_a_table_and_writes_valid_rows(
  name, module, samples, tokens, tmp_path, capsys
):
  rows = run(name, module, tmp_path / 'new' / 'rows.json')
  value = {row['metric']: row['value'] for row in rows}
  libraries = {name for name in value if re.fullmatch(LIBRARY, name)}
  assert any(name.startswith('numpy') for name in libraries)
  assert set(value) - libraries == RATES | {
    samples, f'{samples}_best', tokens, f'{tokens}_best'
  }  # fmt: skip
  for row in rows:
    assert set(row) == KEYS
    assert math.isfinite(row['value']) and row['value'] > 0
    assert (row['benchmark'], row['shape']) == (name, 'tiny')
    assert row['device'] == common.device_name()
  per_sample = {'pm_step': 32, 'decode': 8, 'ppo_iteration': 16}[name]
  np.testing.assert_allclose(value[tokens], per_sample * value[samples])
  assert value[f'{samples}_best'] >= value[samples]
  out = capsys.readouterr().out
  assert all(row['metric'] in out for row in rows)


def test_several_shapes_go_to_one_file(tmp_path, capsys):
  path = tmp_path / 'rows.json'
  measure = lambda shape, rounds, warmups: [('layers', shape.n_layers, 'n')]
  flags = ['--shape', 'S', 'tiny', '--json', str(path)]
  assert common.main('any', measure, flags) == json.loads(path.read_text())
  rows = [(r['shape'], r['value']) for r in json.loads(path.read_text())]
  assert rows == [('S', 4.0), ('tiny', 2.0)]
  assert 'any, shape tiny' in capsys.readouterr().out


def test_the_sweep_benchmark_compiles_one_program_for_all_runs(
  tmp_path, monkeypatch
):
  monkeypatch.setattr(vmapped_sweep, 'MEMBERS', (2,))
  monkeypatch.setattr(vmapped_sweep, 'RUNS', 2)
  rows = run('vmapped_sweep', vmapped_sweep, tmp_path / 'rows.json')
  value = {row['metric']: row['value'] for row in rows}
  assert value['sweep_programs'] == 1
  for kind in ('pm', 'ppo'):
    name = f'{kind}_vmapped'
    np.testing.assert_allclose(
      value[f'{name}_2_speedup'],
      value[f'{name}_2_per_s'] / value[f'{name}_1_per_s'],
    )
  assert all(set(row) == KEYS for row in rows)
  assert value['sweep_ratio'] > 0


def test_the_data_benchmark_counts_pairs_and_tokens(tmp_path, monkeypatch):
  monkeypatch.setattr(data_rate, 'ROWS', 64)
  rows = run('data_rate', data_rate, tmp_path / 'rows.json')
  value = {row['metric']: row['value'] for row in rows}
  np.testing.assert_allclose(
    value['batch_tokens_per_s'], 32 * value['batch_pairs_per_s']
  )
  longest = 2 * TINY.length * value['encode_pairs_per_s']
  assert value['encode_pairs_per_s'] < value['encode_tokens_per_s'] < longest


def test_shape_197k_is_the_rung_of_that_name():
  assert common.config_of(SHAPES['197K']) == ladder.config_for('197K', 1024)


@pytest.mark.parametrize('name', list(SHAPES))
def test_products_and_attention_are_all_of_the_forward_flops(name):
  shape, T = SHAPES[name], SHAPES[name].length
  config = common.config_of(shape)
  found = machine.products(config, logits=True)
  weights = sum(2 * T * K * N * count for K, N, count in found)
  looked_at = sum((end - first) * end for first, end in query_blocks(T))
  width = config.n_heads * config.head_size
  attention = 4 * looked_at * width * shape.n_layers
  assert weights + attention == forward_flops(config, T)


def test_what_is_donated_counts_once_in_the_peak():
  x = jnp.zeros(1000)
  kept = common.compile_program(lambda x: x + 1, x)
  donated = common.compile_program(lambda x: x + 1, x, donate=0)
  assert (kept.peak_bytes, donated.peak_bytes) == (8000, 4000)


def test_rounds_are_taken_in_turns_after_the_warm_ups():
  seen = []
  calls = {name: lambda name=name: seen.append(name) for name in 'AB'}
  seconds = common.time_in_turns(calls, rounds=3, warmups=2)
  assert ''.join(seen) == 'ABABABABAB'
  assert {name: len(times) for name, times in seconds.items()} == dict(A=3, B=3)


def test_the_state_goes_from_call_to_call_and_the_first_one_stays():
  first = jnp.int32(5)
  program = common.compile_program(lambda s, x: (s + x, s), first, 2, donate=0)
  call = common.threaded(program.call, first, 2)
  assert [int(call()[1]) for _ in range(3)] == [5, 7, 9]
  assert int(first) == 5


def test_every_reply_has_the_forced_length():
  subject = subjects.decode(TINY)
  calls, rollout = jax.jit(subject.function)(subject.state, *subject.args)
  assert calls == 1
  assert (np.asarray(rollout.length_B) == TINY.length).all()
  assert not np.asarray(rollout.ended_B).any()
  assert (np.asarray(rollout.tokens_BT) < TINY.vocab_size).all()


def test_useful_flops_of_decoding_are_counted_token_by_token():
  config = common.config_of(TINY)
  P, T = TINY.prompt_length, TINY.length
  weights = sum(2 * K * N * n for K, N, n in machine.products(config, False))
  head = 2 * TINY.d_model * TINY.vocab_size
  attention = 4 * TINY.d_model * TINY.n_layers  # one query, one slot
  total = head  # the prompt's last position
  layers, keys_values = TINY.n_layers, 4 * TINY.d_model**2
  for t in range(P):
    total += (weights + P * attention) * (layers - 1) // layers
    last = (weights + P * attention) // layers
    total += last if t == P - 1 else keys_values  # only one of them is read
  for _ in range(P, T):
    total += weights + T * attention + head
  assert subjects.decode(TINY).flops == TINY.batch * total


def test_members_of_a_vmapped_sweep_equal_runs_one_by_one():
  function, state, args = vmapped_sweep.members(subjects.pm_step, TINY, 2)
  many, metrics = jax.jit(function)(state, *args)
  for seed in range(2):
    one = subjects.pm_step(TINY, seed)
    alone, own = jax.jit(one.function)(one.state, *one.args)
    member = jax.tree.map(lambda x, seed=seed: x[seed], many)
    np.testing.assert_allclose(metrics['loss'][seed], own['loss'], rtol=1e-5)
    jax.tree.map(  # Adam's means: of a zero gradient the step is noise
      lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-7),
      member.opt_state,
      alone.opt_state,
    )


def test_guards_are_timed_in_turns_and_have_an_interval(tmp_path, capsys):
  rows = run('guards', guards, tmp_path / 'rows.json')
  value = {row['metric']: row['value'] for row in rows}
  for name in ('checks', 'saves', 'guards'):
    share = f'{name}_share_of_step'
    assert value[f'{share}_low'] <= value[share] <= value[f'{share}_high']
  total = value['checks_share_of_step'] + value['saves_share_of_step']
  assert value['guards_share_of_step'] == pytest.approx(total)
  assert value['look_s'] > 0 and value['digests_s'] > 0


def test_the_cost_of_logging_is_timed_in_turns_and_has_an_interval(
  tmp_path, capsys
):
  rows = run('logging_cost', logging_cost, tmp_path / 'rows.json')
  value = {row['metric']: row['value'] for row in rows}
  assert value['step_s'] > 0 and value['iteration_s'] > 0
  for share in ('logging_share_of_step', 'health_share_of_iteration'):
    assert value[f'{share}_low'] <= value[share] <= value[f'{share}_high']
  assert value['health_share_of_iteration'] > 0
