from types import SimpleNamespace

import jax
import numpy as np
import pytest
from models_twin import random_params

from rlhf_jax.models.build import build
from rlhf_jax.models.config import TransformerConfig
from rlhf_jax.models.heads import ScalarHead
from rlhf_jax.models.transformer import Transformer

B, T, V = 4, 9, 16


@pytest.fixture(scope='session')
def tiny():
  """One grouped-query model with a score head; its programs compile once."""
  config = TransformerConfig(
    vocab_size=V, n_layers=2, d_model=16, n_heads=4, n_kv_heads=2
  )
  model = build(config)
  params = random_params(model.init, seed=1)
  params['head'] = random_params(model.init_head, seed=2)

  def by_mask(params, tokens_BT, mask_BT):
    """(logits, scalar) at every position, for pads on either side."""
    trunk = {'params': params['trunk']}
    hidden = Transformer(config).apply(
      trunk, tokens_BT, mask_BT, method='hidden'
    )
    logits = Transformer(config).apply(trunk, hidden, method='unembed')
    scalar = ScalarHead(16).apply({'params': params['head']}, hidden)
    return logits, scalar

  return SimpleNamespace(
    config=config,
    model=model,
    params=params,
    logits=jax.jit(model.logits_fn),
    score=jax.jit(model.score_fn),
    value=jax.jit(model.value_fn),
    both=jax.jit(model.logits_and_value_fn),
    by_mask=jax.jit(by_mask),
  )


@pytest.fixture(scope='session')
def batch():
  """Ragged right-padded rows: (tokens_BT, length_B)."""
  rng = np.random.default_rng(0)
  tokens_BT = rng.integers(0, V, (B, T)).astype(np.int32)
  return tokens_BT, np.array([9, 4, 1, 6], np.int32)
