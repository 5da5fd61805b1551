"""Weights from a GGUF file of llama.cpp, the llama architecture.

Reference: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import numpy as np

from rlhf_jax.models.config import TransformerConfig
from rlhf_jax.models.pretrained.llama_tree import (
  check_shapes,
  half_rotation,
  llama_leaves,
  llama_shapes,
)
from rlhf_jax.models.pretrained.placing import Pretrained, place_leaves
from rlhf_jax.text.gguf_file import field, open_gguf
from rlhf_jax.text.tokenizer_files import need

WHOLE = {
  'embed': 'token_embd.weight',
  'final_norm': 'output_norm.weight',
  'lm_head': 'output.weight',
}
LAYER = {
  'attention_norm': 'attn_norm',
  'q': 'attn_q',
  'k': 'attn_k',
  'v': 'attn_v',
  'out': 'attn_output',
  'mlp_norm': 'ffn_norm',
  'gate': 'ffn_gate',
  'up': 'ffn_up',
  'down': 'ffn_down',
}


def tensor_name(name, layer):
  """Name in GGUF of an array of `llama_shapes`."""
  if layer is None:
    return WHOLE[name]
  return f'blk.{layer}.{LAYER[name]}.weight'


def config_of(reader, path, dtype='float32') -> TransformerConfig:
  """The shape of the model, from the file's header.

  Raises:
    ValueError: if it is no llama, or one with a scaling of rotary angles.
  """
  kind = field(reader, 'general.architecture')
  if kind != 'llama':
    raise ValueError(
      f'{path}: wanted a GGUF file of the architecture llama, got {kind!r}; '
      'import the Hugging Face folder of this model instead'
    )
  read = lambda key, default=None: field(reader, f'llama.{key}', default)
  scaling = read('rope.scaling.type', 'none')
  if scaling != 'none':
    raise ValueError(
      f'{path}: wanted rotary angles without scaling, got {scaling!r}; import '
      'the Hugging Face folder of this model instead'
    )
  heads, width = read('attention.head_count'), read('embedding_length')
  head_size = read('attention.key_length', width // heads)
  embedding = {t.name: t for t in reader.tensors}.get(WHOLE['embed'])
  rows = read('vocab_size', 0) or (embedding.shape[1] if embedding else 0)
  return TransformerConfig(
    vocab_size=int(rows),
    n_layers=read('block_count'),
    d_model=width,
    n_heads=heads,
    n_kv_heads=read('attention.head_count_kv', heads),
    head_size=head_size,
    d_mlp=read('feed_forward_length'),
    max_length=read('context_length'),
    # The header's float32 1e-5 is not the number 1e-5.
    norm_eps=float(f'{read("attention.layer_norm_rms_epsilon"):.6g}'),
    rope_theta=float(read('rope.freq_base', 10000.0)),
    rotary_size=read('rope.dimension_count', head_size),
    activation='swiglu',
    tied=all(t.name != WHOLE['lm_head'] for t in reader.tensors),
    embed_scale=1.0,
    dtype=dtype,
  )


def load_gguf(path, *, shardings_of=None, dtype='float32') -> Pretrained:
  """Reads a model, one tensor after the other.

  Quantised matrices become float32. Queries and keys, which llama.cpp keeps as
  interleaved rotary pairs, go back to the order of the half rotation.

  Args:
    path: of the .gguf file.
    shardings_of: of `place_leaves`: every tensor is cut as soon as it is read;
      None: one device.
    dtype: computation type of the config.

  Raises:
    FileNotFoundError: if there is no such file.
    ValueError: if it is no GGUF, is truncated, holds another architecture, or
      a tensor is missing, extra or misshapen.
  """
  reader = open_gguf(path)
  dequantize = need('gguf', 'gguf').dequantize
  config = config_of(reader, path, dtype)
  tensors = {tensor.name: tensor for tensor in reader.tensors}
  check_shapes(
    path,
    {tensor_name(*key): shape for key, shape in llama_shapes(config).items()},
    {name: t.shape[::-1].tolist() for name, t in tensors.items()},
  )
  heads = {'q': config.n_heads, 'k': config.n_kv_heads}

  def read(name, layer):
    tensor = tensors[tensor_name(name, layer)]
    found = np.asarray(dequantize(tensor.data, tensor.tensor_type), np.float32)
    return half_rotation(found, heads[name]) if name in heads else found

  return Pretrained(
    config, place_leaves(llama_leaves(config, read), shardings_of)
  )
