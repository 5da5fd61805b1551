"""Bytes that a Transformer config needs, by part: an estimate, no compile.

Used where nothing can be compiled for the device at hand. Parameters, their
gradients and Adam's moments are float32, activations have the config's type.
"""

import numpy as np

from rlhf_jax.models.cost import parameter_counts

FLOAT32 = 4


def _itemsize(config):
  return 2 if config.dtype == 'bfloat16' else np.dtype(config.dtype).itemsize


def _mlp_in(config):
  return (2 if config.activation == 'swiglu' else 1) * config.d_mlp


def trained_bytes(config):
  """Bytes of a model in training: 20 a parameter.

  Parameters, gradients, the running sum of accumulated gradients and Adam's
  two moments, all float32.
  """
  return 5 * FLOAT32 * parameter_counts(config)['total']


def frozen_bytes(config):
  """Bytes of a model that is only read: float32 parameters."""
  return FLOAT32 * parameter_counts(config)['total']


def saved_bytes(config, rows, T):
  """Bytes that rematerialisation keeps: each block's input."""
  return config.n_layers * rows * T * config.d_model * _itemsize(config)


def block_bytes(config, rows, T):
  """Working set of one block's backward pass.

    rows T (qkv + H K + mlp_in + d_mlp + 3 D)   activations,
    rows H T^2                                  float32 and compute type,

  each with its gradient, and the block's weights in the compute type, twice
  (the next block's are on their way).
  """
  H, K, D = config.n_heads, config.head_size, config.d_model
  size, mlp_in = _itemsize(config), _mlp_in(config)
  qkv = (H + 2 * config.n_kv_heads) * K
  features = qkv + H * K + mlp_in + config.d_mlp + 3 * D
  activations = 2 * rows * T * features * size
  scores = 2 * rows * H * T * T * (FLOAT32 + size)
  weights = D * qkv + H * K * D + D * mlp_in + config.d_mlp * D
  return activations + scores + 2 * weights * size


def logits_bytes(config, tokens):
  """Float32 logits of `tokens` positions, their softmax and its gradient."""
  return 3 * FLOAT32 * tokens * config.vocab_size


def cache_bytes(config, rows, slots):
  """Keys and values of all layers for `rows` sequences of `slots` tokens."""
  per_token = 2 * config.n_layers * config.n_kv_heads * config.head_size
  return rows * slots * per_token * _itemsize(config)
