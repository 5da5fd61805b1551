"""The benchmark of a real model's decoding step, on a model of two layers."""

import jax
import pytest

from benchmarks import machine, real_decode
from rlhf_jax.models.build import build
from rlhf_jax.models.config import TransformerConfig


@pytest.mark.slow  # three programs, and a copy of what no cache holds
def test_each_way_of_keeping_weights_has_a_rate_and_a_share(monkeypatch):
  monkeypatch.setattr(real_decode, 'BEYOND_CACHES', 4096)
  config = TransformerConfig(vocab_size=64, n_layers=2, d_model=16, n_heads=2)
  functions = build(config)
  params = functions.init(jax.random.key(0))
  lines = real_decode.lines_of(functions, params, rows=2, rounds=2)
  values = {name: value for name, value, _ in lines}
  assert len(values) == len(lines) == 1 + 3 * len(real_decode.WAYS)
  assert all(value > 0 for value in values.values())
  assert values['decode_plain_2_speedup'] == 1
  rate = lambda way: values[f'decode_{way}_2_tokens_per_s']
  share = lambda way: values[f'decode_{way}_2_share_of_copy']
  read = lambda way: share(way) / rate(way)  # bytes a token
  assert read('turned') == pytest.approx(read('plain'))
  kept = sum(x.nbytes for x in jax.tree.leaves(params))
  rounded = real_decode.WAYS['turned_bf16'](params)
  halved = sum(x.nbytes for x in jax.tree.leaves(rounded)) / kept
  assert read('turned_bf16') == pytest.approx(halved * read('plain'))


def test_a_copy_goes_on_from_what_it_left():
  call, moved = machine.copy_call(4000)
  call()
  assert moved == 8000 and float(call()[0]) == 2.0
