"""Our tree of parameters from the matrices of a Llama, one leaf at a time.

Used by the readers of files that are not safetensors: GGUF and llama2.c.
"""

import numpy as np


def llama_shapes(config):
  """{(name, layer or None): shape} of a Llama's arrays, matrices [out, in].

  Names: embed, final_norm, lm_head (where it is not the embedding), and of each
  layer attention_norm, q, k, v, out, mlp_norm, gate, up, down.
  """
  D, M, K = config.d_model, config.d_mlp, config.head_size
  H, G = config.n_heads, config.n_kv_heads
  layer = {
    'attention_norm': (D,),
    'q': (H * K, D),
    'k': (G * K, D),
    'v': (G * K, D),
    'out': (D, H * K),
    'mlp_norm': (D,),
    'gate': (M, D),
    'up': (M, D),
    'down': (D, M),
  }
  shapes = {('embed', None): (config.vocab_size, D), ('final_norm', None): (D,)}
  if not config.tied:
    shapes['lm_head', None] = (config.vocab_size, D)
  for i in range(config.n_layers):
    shapes |= {(name, i): shape for name, shape in layer.items()}
  return shapes


def half_rotation(rows_ND, heads):
  """Puts rows of interleaved rotary pairs in the order of the half rotation.

  Pair i of a head, rows 2 i and 2 i + 1, becomes rows i and i + K / 2.

  Args:
    rows_ND: [heads K, D], of queries or keys.
    heads: number of heads.
  """
  N, D = rows_ND.shape
  pairs = rows_ND.reshape(heads, N // heads // 2, 2, D)
  return pairs.swapaxes(1, 2).reshape(N, D)


def llama_leaves(config, read):
  """Yields (path, float32 array) of every leaf of {'trunk'}.

  Args:
    config: TransformerConfig of a Llama.
    read: (name, layer or None) -> array of `llama_shapes`, queries and keys in
      the order of the half rotation. Called once for each, as leaves are taken.
  """
  joined = lambda names, i: np.concatenate(
    [read(name, i).T for name in names], 1
  )
  yield ('trunk', 'embed'), read('embed', None)
  if not config.tied:
    yield ('trunk', 'lm_head'), read('lm_head', None)
  yield ('trunk', 'final_norm', 'scale'), read('final_norm', None)
  for i in range(config.n_layers):
    at = ('trunk', f'layer_{i}')
    for norm in ('attention_norm', 'mlp_norm'):
      yield (*at, norm, 'scale'), read(norm, i)
    yield (*at, 'attention', 'qkv', 'kernel'), joined(('q', 'k', 'v'), i)
    yield (*at, 'attention', 'out', 'kernel'), joined(('out',), i)
    yield (*at, 'mlp', 'in', 'kernel'), joined(('gate', 'up'), i)
    yield (*at, 'mlp', 'out', 'kernel'), joined(('down',), i)


def check_shapes(path, wanted, found):
  """Compares {name: shape} of a file with what its header announces.

  Raises:
    ValueError: naming the first tensor that is missing, extra or misshapen.
  """
  for name, shape in wanted.items():
    if name not in found:
      raise ValueError(
        f'{path}: wanted the tensor {name} of shape {shape}, got a file '
        'without; download or convert it again'
      )
    if tuple(found[name]) != shape:
      raise ValueError(
        f'{path}: wanted the tensor {name} of shape {shape}, got '
        f'{tuple(found[name])}; download or convert it again'
      )
  for name in found:
    if name not in wanted:
      raise ValueError(
        f'{path}: wanted a plain Llama, got the tensor {name} besides, which '
        'this model has no place for; convert the model without it'
      )
