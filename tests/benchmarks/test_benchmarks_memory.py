"""Memory of compiled steps: it grows with the chunk, not with T x V."""

import json

import pytest

from benchmarks import memory
from rlhf_jax.models.build import build
from rlhf_jax.models.config import TransformerConfig

pytestmark = pytest.mark.slow  # compiles the benchmarks

B, V, SHORT, LONG = 2, 16384, 32, 64
LOGITS_A_TOKEN = 4 * B * V  # bytes


@pytest.fixture(scope='module')
def found():
  """{(program, T, chunk): bytes} of a model that is nearly all vocabulary."""
  config = TransformerConfig(vocab_size=V, n_layers=1, d_model=4, n_heads=1)
  model = build(config)
  return {
    (program, T, chunk): memory.temp_bytes(program, model, B, T, chunk)
    for program in memory.PROGRAMS
    for T, chunk in [
      (SHORT, 4),
      (LONG, 4),
      (LONG, 16),
      (SHORT, None),
      (LONG, None),
    ]
  }


@pytest.mark.parametrize('program', list(memory.PROGRAMS))
def test_in_chunks_memory_does_not_grow_with_all_logits(found, program):
  """Twice the tokens: nothing like their logits more, unlike dense."""
  more = (LONG - SHORT) * LOGITS_A_TOKEN
  assert found[program, LONG, 4] - found[program, SHORT, 4] < 0.1 * more
  assert found[program, LONG, None] - found[program, SHORT, None] > more


@pytest.mark.parametrize('program', list(memory.PROGRAMS))
def test_memory_grows_with_the_chunk(found, program):
  """By the logits of the positions that the chunk has more, at least."""
  more = (16 - 4) * LOGITS_A_TOKEN
  assert found[program, LONG, 16] - found[program, LONG, 4] >= more
  assert found[program, LONG, 16] < found[program, LONG, None] / 2


def test_the_command_prints_a_table_and_writes_rows(tmp_path, capsys):
  file = tmp_path / 'rows' / 'memory.json'
  flags = '--size 3K --vocabulary 64 --batch 2 --lengths 8 --chunks 2'
  memory.main([*flags.split(), '--json', str(file)])
  assert '| lm_step | 8 |' in capsys.readouterr().out
  rows = json.loads(file.read_text())
  assert len(rows) == 4  # two programs, one chunk and dense
  assert {row['metric'] for row in rows} == {
    'lm_step_temp_bytes',
    'ppo_update_temp_bytes',
  }
  assert {row['shape'].split('chunk=')[1] for row in rows} == {'2', 'dense'}
  for row in rows:
    assert row['value'] > 0 and row['unit'] == 'bytes'
