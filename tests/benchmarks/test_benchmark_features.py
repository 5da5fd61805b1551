"""The benchmark of pooled features, on a model of two layers."""

import jax
import numpy as np
import pytest

from benchmarks import features
from rlhf_jax.models.build import build
from rlhf_jax.models.config import TransformerConfig
from scripts.where_tables import features_table

CONFIG = TransformerConfig(
  vocab_size=64, n_layers=4, d_model=16, n_heads=2, max_length=260
)


def test_drawn_pairs_share_their_prompts():
  rows, prompt_N = features.drawn(6, 1000, np.random.default_rng(1))
  assert (np.asarray(rows.prefix_B) == prompt_N).mean() > 0.8
  longest = 1 + int(np.max(rows.last_B2))
  assert longest <= features.EDGES[-1]


def test_each_way_has_a_rate_and_all_read_the_same():
  params = build(CONFIG).init(jax.random.key(0))
  lines = features.measure(CONFIG, params, 5, 1)
  values = {name: value for name, value, _ in lines}
  ways = features.readers_of(CONFIG, params)
  assert len(values) == 2 * len(ways) and all(v > 0 for v in values.values())
  assert values['features_float32_widest_speedup'] == 1
  kept = [
    {'metric': name, 'value': x, 'shape': 'm', 'commit': 'c'}
    for name, x, _ in lines
  ]
  assert '| m | float32 | buckets |' in features_table(kept)
  rows, prompt_N = features.drawn(3, 64, np.random.default_rng(2))
  wide = np.pad(rows.tokens_BT, ((0, 0), (0, 260 - rows.tokens_BT.shape[1])))
  segments = np.pad(
    rows.segment_BT, ((0, 0), (0, 260 - rows.segment_BT.shape[1]))
  )
  padded = rows._replace(tokens_BT=wide, segment_BT=segments)
  read, _ = ways['float32_widest']
  for name, (other, _) in ways.items():
    near = 1e-5 if name.startswith('float32') else 0.1
    found = other(padded, prompt_N), read(padded, prompt_N)
    np.testing.assert_allclose(*found, atol=near, rtol=near, err_msg=name)


def test_a_file_of_weights_is_wanted():
  with pytest.raises(SystemExit):
    features.main([])
