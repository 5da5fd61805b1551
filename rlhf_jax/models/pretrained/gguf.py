"""Weights from a GGUF file of llama.cpp, the llama architecture.

Reference: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import re

import numpy as np

from rlhf_jax.models.config import TransformerConfig
from rlhf_jax.models.pretrained.llama_tree import (
  check_shapes,
  half_rotation,
  llama_leaves,
  llama_shapes,
)
from rlhf_jax.models.pretrained.placing import Pretrained, place_leaves
from rlhf_jax.text.checked import Checked, shown
from rlhf_jax.text.gguf_file import field, fields_below, open_gguf
from rlhf_jax.text.tokenizer_files import need

WHOLE = {
  'embed': 'token_embd.weight',
  'final_norm': 'output_norm.weight',
  'lm_head': 'output.weight',
}
EPSILON = 'attention.layer_norm_rms_epsilon'
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


_CHANGES = re.compile(r'rope|scal|window|softcap|expert')
_READ = ('rope.freq_base', 'rope.dimension_count', 'rope.scaling.type')


def _layers_alike(read, key, n_layers):
  """A number that may be written once a layer, if all layers have the same.

  Raises:
    ValueError: if they have not, or it is no such number.
  """
  found = read.value(key)
  if isinstance(found, list):
    if len(found) != n_layers or len(set(found)) != 1:
      read.fail(
        f'wanted the same {key} in each of {n_layers} layers, got '
        f'{shown(found)}: models whose layers differ are not known here'
      )
    read = read.inner(key, {key: found[0]})
  return read.whole(key)


def _nothing_hides(read):
  """Refuses what changes the numbers and is not done here."""
  for key in read:
    value = read.value(key)
    if _CHANGES.search(key) and key not in _READ:
      if value not in (0, False, 'none', 1.0 if 'factor' in key else 0):
        read.fail(
          f'{key} is {shown(value)}, which is not done here; import the '
          'Hugging Face folder of this model instead'
        )
  if 'attention.causal' in read and not read.flag('attention.causal'):
    read.fail('wanted a causal model, got one that looks at later tokens')
  scaling = read.text('rope.scaling.type')
  if scaling != 'none':
    read.fail(
      f'wanted rotary angles without scaling, got {shown(scaling)}; import '
      'the Hugging Face folder of this model instead'
    )


def config_of(reader, path, dtype='float32') -> TransformerConfig:
  """The shape of the model, from the file's header.

  Raises:
    ValueError: if it is no llama, one with a scaling of rotary angles, or a
      number has a wrong type or is more than the file has room for.
  """
  kind = field(reader, 'general.architecture')
  if kind != 'llama':
    raise ValueError(
      f'{path}: wanted a GGUF file of the architecture llama, got '
      f'{shown(kind)}; import the Hugging Face folder of this model instead'
    )
  embedding = {t.name: t for t in reader.tensors}.get(WHOLE['embed'])
  rows = embedding.shape.tolist()[-1] if embedding else 0
  read = Checked(
    fields_below(reader, 'llama.'),
    path,
    defaults={
      'rope.freq_base': 10000.0,
      'rope.scaling.type': 'none',
      'vocab_size': rows,
    },
  )
  _nothing_hides(read)
  n_layers = read.whole('block_count')
  if n_layers > len(reader.tensors):
    read.fail(
      f'its header speaks of {n_layers} layers, it holds '
      f'{len(reader.tensors)} tensors; download or convert it again'
    )
  heads = _layers_alike(read, 'attention.head_count', n_layers)
  width, kv = read.whole('embedding_length'), 'attention.head_count_kv'
  either = lambda key, default: read.whole(key) if key in read else default
  head_size = either('attention.key_length', width // heads)
  try:
    return TransformerConfig(
      vocab_size=read.whole('vocab_size'),
      n_layers=n_layers,
      d_model=width,
      n_heads=heads,
      n_kv_heads=_layers_alike(read, kv, n_layers) if kv in read else heads,
      head_size=head_size,
      d_mlp=_layers_alike(read, 'feed_forward_length', n_layers),
      max_length=read.whole('context_length'),
      # The header's float32 1e-5 is not the number 1e-5.
      norm_eps=float(f'{read.positive(EPSILON):.6g}'),
      rope_theta=read.positive('rope.freq_base'),
      rotary_size=either('rope.dimension_count', head_size),
      activation='swiglu',
      tied=all(t.name != WHOLE['lm_head'] for t in reader.tensors),
      embed_scale=1.0,
      dtype=dtype,
    )
  except ValueError as error:
    text = str(error)
    raise ValueError(
      text if str(path) in text else f'{path}: {text}'
    ) from error


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
    try:
      plain = dequantize(tensor.data, tensor.tensor_type)
    except NotImplementedError:
      raise ValueError(
        f'{path}: {tensor.name} has the type {tensor.tensor_type.name}, which '
        'the package gguf does not read; convert the model to another'
      ) from None
    found = np.asarray(plain, np.float32)
    return half_rotation(found, heads[name]) if name in heads else found

  return Pretrained(
    config, place_leaves(llama_leaves(config, read), shardings_of)
  )
