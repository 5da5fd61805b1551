"""Weights from a checkpoint of llama2.c, its first ("legacy") format.

Reference: https://github.com/karpathy/llama2.c, `legacy_export` in export.py.
"""

import dataclasses
import math
import struct
from pathlib import Path

import numpy as np

from rlhf_jax.models.config import TransformerConfig
from rlhf_jax.models.pretrained.llama_tree import (
  half_rotation,
  llama_leaves,
  llama_shapes,
)
from rlhf_jax.models.pretrained.placing import Pretrained, place_leaves

HEADER = struct.Struct('<7i')
# In the file's order; each name holds the arrays of all layers.
ORDER = ('attention_norm', 'q', 'k', 'v', 'out')
ORDER += ('mlp_norm', 'gate', 'down', 'up')


def config_of(path, data, dtype='float32') -> TransformerConfig:
  """The shape of the model, from the seven numbers of the header.

  Raises:
    ValueError: if they are not those of a model.
  """
  if len(data) < HEADER.size:
    raise ValueError(
      f'{path}: wanted a llama2.c checkpoint, got {len(data)} bytes; download '
      'it again'
    )
  width, hidden, layers, heads, kv_heads, vocab, length = HEADER.unpack_from(
    data
  )
  sizes = (width, hidden, layers, heads, kv_heads, abs(vocab), length)
  wrong = min(sizes) < 1 or max(sizes) > 10**7
  if wrong or width % (2 * heads) or heads % kv_heads:
    raise ValueError(
      f'{path}: wanted the header of a llama2.c checkpoint in the legacy '
      f'format, got the numbers {HEADER.unpack_from(data)}; give the path of '
      'such a .bin file'
    )
  return TransformerConfig(
    vocab_size=abs(vocab),
    n_layers=layers,
    d_model=width,
    n_heads=heads,
    n_kv_heads=kv_heads,
    d_mlp=hidden,
    max_length=length,
    activation='swiglu',
    tied=vocab > 0,  # a negative number says that the head is its own
    embed_scale=1.0,
    dtype=dtype,
  )


def _unused(config):
  """Numbers of the two rotary tables, which nobody reads."""
  return config.max_length * config.head_size


def _check_size(path, config):
  """Raises ValueError unless the file is as long as its header says.

  One layer tells of all: nothing is done for each before the size is known.
  """
  total = _unused(config)
  shapes = llama_shapes(dataclasses.replace(config, n_layers=1))
  for (_, layer), shape in shapes.items():
    total += math.prod(shape) * (1 if layer is None else config.n_layers)
  wanted, found = HEADER.size + 4 * total, path.stat().st_size
  if found != wanted:
    raise ValueError(
      f'{path}: wanted {wanted} bytes for the model of its header, got '
      f'{found}; download it again'
    )


def load_llama2c(path, *, shardings_of=None, dtype='float32') -> Pretrained:
  """Reads a model; queries and keys go to the order of the half rotation.

  Args:
    path: of the .bin file.
    shardings_of: of `place_leaves`; None: one device.
    dtype: computation type of the config.

  Raises:
    FileNotFoundError: if there is no such file.
    ValueError: if its header or its size is not that of a checkpoint.
  """
  path = Path(path)
  with path.open('rb') as file:
    config = config_of(path, file.read(HEADER.size), dtype)
  _check_size(path, config)
  shapes, places, at = llama_shapes(config), {}, HEADER.size
  order = [('embed', None)]
  order += [(name, i) for name in ORDER for i in range(config.n_layers)]
  order += [('final_norm', None)]
  for key in order:
    places[key] = at
    at += 4 * int(np.prod(shapes[key]))
  at += 4 * _unused(config)
  if not config.tied:
    places['lm_head', None] = at
  heads = {'q': config.n_heads, 'k': config.n_kv_heads}

  def read(name, layer):
    shape = shapes[name, layer]
    found = np.fromfile(
      path, '<f4', int(np.prod(shape)), offset=places[name, layer]
    ).reshape(shape)
    return half_rotation(found, heads[name]) if name in heads else found

  return Pretrained(
    config, place_leaves(llama_leaves(config, read), shardings_of)
  )
