from types import SimpleNamespace

import jax
import numpy as np
import pytest

from rlhf_jax.models.build import build
from rlhf_jax.models.config import TransformerConfig
from rlhf_jax.rollout.generate import SamplingConfig, make_collect
from rlhf_jax.types import Prompts

V, P, R = 24, 5, 7
SAMPLING = SamplingConfig(max_reply=R, stop_ids=(3, 4, 17), pad_id=0)


@pytest.fixture(scope='session')
def lm():
  """A tiny Transformer and its jitted samplers; each compiles once."""
  config = TransformerConfig(
    vocab_size=V, n_layers=2, d_model=16, n_heads=4, n_kv_heads=2
  )
  model = build(config)
  rng = np.random.default_rng(1)
  shapes = jax.eval_shape(model.init, jax.random.key(0))
  params = jax.tree.map(
    lambda x: rng.normal(0, 0.3, x.shape).astype(np.float32), shapes
  )
  cached = dict(prefill_fn=model.prefill_fn, decode_fn=model.decode_fn)

  def sampler(functions, **changes):
    return jax.jit(make_collect(SAMPLING._replace(**changes), **functions))

  return SimpleNamespace(
    params=params,
    logits=jax.jit(model.logits_fn),
    samplers={
      1.0: sampler(cached),
      0.7: sampler(cached, temperature=0.7),
      'greedy': sampler(cached, greedy=True),
      'recompute': sampler({'logits_fn': model.logits_fn}),
    },
  )


@pytest.fixture(scope='session')
def prompts():
  """Ragged prompts, rows named 10 ... 15."""
  rng = np.random.default_rng(0)
  return Prompts(
    tokens_BP=rng.integers(0, V, (6, P)).astype(np.int32),
    length_B=np.array([5, 1, 3, 2, 5, 4], np.int32),
    row_B=np.arange(10, 16, dtype=np.int32),
  )
