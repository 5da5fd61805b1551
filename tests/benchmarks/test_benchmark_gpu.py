"""The GPU suite on a CPU at tiny shapes; nothing here asserts a speed."""

import json
import math

import pytest

from benchmarks import common, gpu, machine
from benchmarks.shapes import SHAPES
from configs.ppo import get_config as ppo_config
from configs.reproduce import get_config as study_config
from rlhf_jax.models import ladder
from rlhf_jax.models.cost import parameter_counts

pytestmark = pytest.mark.slow  # runs the suite on a CPU

TINY = SHAPES['tiny']
KEYS = {'benchmark', 'device', 'shape', 'metric', 'value', 'unit', 'commit'}
KEYS |= {'processor', 'extensions'}  # of a CPU


def run_tiny(name, folder):
  flags = ['--rounds', '1', '--warmups', '1', '--results', str(folder)]
  rows = gpu.main(['--chunk', name, '--tiny', *flags])
  path = folder / common.device_name() / f'{name}.json'
  assert json.loads(path.read_text()) == rows
  return rows


@pytest.mark.parametrize('name', list(gpu.CHUNKS))
def test_every_chunk_runs_on_a_cpu_and_writes_rows_with_versions(
  name, tmp_path, monkeypatch
):
  monkeypatch.setattr(machine, 'CUBE', 64)
  rows = run_tiny(name, tmp_path)
  for row in rows:
    assert set(row) == KEYS | {'versions'}
    assert row['benchmark'] == name
    assert math.isfinite(row['value'])
    assert {'jax', 'jaxlib', 'platform'} <= set(row['versions'])
  assert {row['shape'] for row in rows} == {*gpu.CHUNKS[name].tiny}
  found = {row['metric'] for row in rows}
  if name == 'members':
    assert {'pm_vmapped_2_speedup', 'ppo_vmapped_2_peak_bytes'} <= found
  elif name == 'parity':
    assert found == {
      f'{way}_{dtype}_error'
      for way in ('chunked', 'decode')
      for dtype in ('bfloat16', 'float32')
    }
  else:
    assert {*gpu.CHUNKS[name].headlines, 'peak_bytes'} <= found


def test_without_a_gpu_nothing_is_written_and_all_is_not_measured(
  tmp_path, monkeypatch, capsys
):
  monkeypatch.setattr(gpu, 'RESULTS', tmp_path)
  assert gpu.main([]) == []
  assert list(tmp_path.iterdir()) == []
  lines = capsys.readouterr().out.splitlines()
  assert len(lines) == sum(
    len(chunk.shapes) * len(chunk.headlines) for chunk in gpu.CHUNKS.values()
  )
  assert all('not measured: no GPU' in line for line in lines)
  targets = [line for line in lines if 'target' in line]
  assert [line.split()[:3] for line in targets] == [
    ['pm_step', '810M', 'share_of_products_rate'],
    ['decode', '810M', 'share_of_bandwidth_floor'],
  ]


def test_a_chunk_that_is_killed_keeps_what_it_had(tmp_path, monkeypatch):
  def measure(shape, effort):
    yield [('first', 1.0, 's'), ('elsewhere', None, 's')]
    raise KeyboardInterrupt

  monkeypatch.setitem(gpu.CHUNKS, 'decode', gpu.Chunk(measure, (), ()))
  with pytest.raises(KeyboardInterrupt):
    run_tiny('decode', tmp_path)
  (path,) = tmp_path.glob('*/decode.json')
  assert [row['metric'] for row in json.loads(path.read_text())] == ['first']


def test_a_row_with_a_target_names_it():
  row = {'benchmark': 'decode', 'metric': 'share_of_bandwidth_floor'}
  assert gpu.with_versions({**row, 'shape': '810M'})['target'] == 0.5
  assert 'target' not in gpu.with_versions({**row, 'shape': '13M'})


@pytest.mark.parametrize('name', gpu.RUNGS)
def test_gpu_shapes_are_the_rungs_of_those_names(name):
  config = ladder.config_for(name, 32768, dtype='bfloat16')
  assert common.config_of(SHAPES[name]) == config


def test_the_smallest_policy_of_the_headline_is_that_of_its_preset():
  study, shape = study_config('headline'), SHAPES['headline']
  size = study.linear.sizes[0]
  assert common.config_of(shape) == ladder.config_for(
    size, study.text.vocab_size
  )
  assert shape.pm == study.linear.pm_size
  rl = study.rl
  asked = rl.batch_size, rl.max_prompt, rl.max_reply, rl.passes
  assert asked == (
    *(shape.batch, shape.prompt_length, shape.reply_length, shape.passes),
  )
  assert rl.minibatch_size == shape.batch // shape.minibatches


def test_the_real_model_has_the_batch_of_its_preset():
  config, shape = ppo_config('smollm2'), SHAPES['SmolLM2']
  asked = config.batch_size, config.max_prompt, config.max_reply
  assert asked == (shape.batch, shape.prompt_length, shape.reply_length)
  assert config.minibatch_size == shape.batch and config.passes == 1
  parameters = parameter_counts(common.config_of(shape))['total']
  assert 134e6 < parameters < 135e6


def test_a_member_has_ten_million_parameters():
  shape = SHAPES['10M']
  assert 9.5e6 < 12 * shape.n_layers * shape.d_model**2 < 10.5e6


@pytest.mark.parametrize(('dtype', 'size'), [('bfloat16', 2), ('float32', 4)])
def test_bytes_of_decoding_are_counted_token_by_token(dtype, size):
  """Each step reads each matrix, then keys and values of each row so far."""
  shape = TINY._replace(dtype=dtype)
  D, P, R, B = 16, 8, 8, 4
  norms = 2 * D
  layer = D * 3 * D + D * D + D * 2 * 32 + 32 * D + norms
  total = 0
  for token in range(P + 2, P + R + 1):  # tokens seen in the steps 2 ... R
    total += 2 * layer * size + 64 * D * 4
    total += B * 2 * token * 2 * D * size
  assert gpu.decode_bytes(shape) == total


def test_a_copy_counts_what_it_reads_and_what_it_writes():
  call, moved = machine.copy_call(4000)
  assert moved == 8000
  assert call().shape == (1000,)
