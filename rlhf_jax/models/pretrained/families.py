"""One table a family: names of its arrays, names of its settings.

Names of arrays are those of `leaves`. Settings are those of config.json, with
the values that `transformers` takes where a file leaves them out.
"""

from typing import NamedTuple

from rlhf_jax.models.pretrained.leaves import (
  GPT2_LEAVES,
  LLAMA_LEAVES,
  NEOX_LEAVES,
  UNGATED,
)


class Family(NamedTuple):
  """Names and settings of one architecture of Hugging Face.

  Attributes:
    model_type: its name in config.json.
    causal: class of the language model.
    classifier: class of the model with one score, a preference model's.
    prefix: what stands before the names of the body.
    head: name of the next-token head where it is not the embedding.
    leaves: our path, inside a layer or outside -> (names, Layout).
    keys: our field -> the setting.
    defaults: setting -> value where config.json has none.
    fixed: our field -> its value in this family.
    biases: our field -> a setting, or the value in this family.
    act: the setting that names the activation.
    activations: its values -> ours; the first of each of ours is written.
    window: 'none', 'all' (layers alike) or 'upper' (layers above a bound).
    partial: whether part of a head may be turned.
    buffers: regular expressions of arrays that are no weights.
  """

  model_type: str
  causal: str
  classifier: str
  prefix: str
  head: str
  leaves: dict
  keys: dict
  defaults: dict
  fixed: dict
  biases: dict
  act: str
  activations: dict
  window: str = 'none'
  partial: bool = False
  buffers: tuple = (r'rotary_emb\.inv_freq$',)


_TANH = ('gelu_pytorch_tanh', 'gelu_new', 'gelu_fast')
_GELU = {name: 'gelu' for name in _TANH} | {'gelu': 'gelu_exact'}
_SWIGLU = {'silu': 'swiglu', 'swish': 'swiglu'}

_SIZES = {
  'vocab_size': 'vocab_size',
  'n_layers': 'num_hidden_layers',
  'd_model': 'hidden_size',
  'n_heads': 'num_attention_heads',
  'd_mlp': 'intermediate_size',
  'max_length': 'max_position_embeddings',
  'tied': 'tie_word_embeddings',
}
_RMS = {
  'norm': 'rms',
  'positions': 'rotary',
  'parallel_residual': False,
  'qk_norm': False,
}
_LAYER_NORM = {'norm': 'layer', 'qk_norm': False}

LLAMA = Family(
  model_type='llama',
  causal='LlamaForCausalLM',
  classifier='LlamaForSequenceClassification',
  prefix='model.',
  head='lm_head.weight',
  leaves=LLAMA_LEAVES,
  keys=_SIZES
  | {
    'n_kv_heads': 'num_key_value_heads',
    'head_size': 'head_dim',
    'norm_eps': 'rms_norm_eps',
  },
  defaults={
    'max_position_embeddings': 2048,
    'tie_word_embeddings': False,
    'num_key_value_heads': None,
    'head_dim': None,
    'rms_norm_eps': 1e-6,
    'attention_bias': False,
    'mlp_bias': False,
    'hidden_act': 'silu',
  },
  fixed=_RMS,
  biases={
    'qkv_bias': 'attention_bias',
    'out_bias': 'attention_bias',
    'mlp_bias': 'mlp_bias',
  },
  act='hidden_act',
  activations=_SWIGLU,
)
MISTRAL = LLAMA._replace(
  model_type='mistral',
  causal='MistralForCausalLM',
  classifier='MistralForSequenceClassification',
  defaults=LLAMA.defaults
  | {
    'max_position_embeddings': 131072,
    'num_key_value_heads': 8,
    'sliding_window': 4096,
  },
  biases={'qkv_bias': False, 'out_bias': False, 'mlp_bias': False},
  window='all',
)
_WINDOWS = {
  'use_sliding_window': False,
  'sliding_window': 4096,
  'max_window_layers': 28,
  'layer_types': None,
}
QWEN2 = LLAMA._replace(
  model_type='qwen2',
  causal='Qwen2ForCausalLM',
  classifier='Qwen2ForSequenceClassification',
  defaults=LLAMA.defaults
  | {'max_position_embeddings': 32768, 'num_key_value_heads': 32}
  | _WINDOWS,
  biases={'qkv_bias': True, 'out_bias': False, 'mlp_bias': False},
  window='upper',
)
QWEN3 = QWEN2._replace(
  model_type='qwen3',
  causal='Qwen3ForCausalLM',
  classifier='Qwen3ForSequenceClassification',
  defaults=QWEN2.defaults | {'head_dim': 128},
  fixed=_RMS | {'qk_norm': True},
  biases=LLAMA.biases | {'mlp_bias': False},
)
ARCEE = LLAMA._replace(  # a Llama without a gate: what our ladder fits into
  model_type='arcee',
  causal='ArceeForCausalLM',
  classifier='ArceeForSequenceClassification',
  leaves=LLAMA_LEAVES | UNGATED,
  defaults=LLAMA.defaults
  | {
    'max_position_embeddings': 4096,
    'rms_norm_eps': 1e-5,
    'hidden_act': 'relu2',
  },
  activations=_GELU,
)
GPT_NEOX = Family(
  model_type='gpt_neox',
  causal='GPTNeoXForCausalLM',
  classifier='GPTNeoXForSequenceClassification',
  prefix='gpt_neox.',
  head='embed_out.weight',
  leaves=NEOX_LEAVES,
  keys=_SIZES
  | {
    'norm_eps': 'layer_norm_eps',
    'parallel_residual': 'use_parallel_residual',
  },
  defaults={
    'max_position_embeddings': 2048,
    'tie_word_embeddings': False,
    'layer_norm_eps': 1e-5,
    'use_parallel_residual': True,
    'attention_bias': True,
    'hidden_act': 'gelu',
  },
  fixed=_LAYER_NORM | {'positions': 'rotary'},
  biases={
    'qkv_bias': 'attention_bias',
    'out_bias': 'attention_bias',
    'mlp_bias': True,
  },
  act='hidden_act',
  activations=_GELU,
  partial=True,
  buffers=(
    r'rotary_emb\.inv_freq$',
    r'layers\.\d+\.attention\.(bias|masked_bias)$',
  ),
)
GPT2 = Family(
  model_type='gpt2',
  causal='GPT2LMHeadModel',
  classifier='GPT2ForSequenceClassification',
  prefix='transformer.',
  head='lm_head.weight',
  leaves=GPT2_LEAVES,
  keys={
    'vocab_size': 'vocab_size',
    'n_layers': 'n_layer',
    'd_model': 'n_embd',
    'n_heads': 'n_head',
    'd_mlp': 'n_inner',
    'max_length': 'n_positions',
    'norm_eps': 'layer_norm_epsilon',
    'tied': 'tie_word_embeddings',
  },
  defaults={
    'n_inner': None,
    'n_positions': 1024,
    'layer_norm_epsilon': 1e-5,
    'tie_word_embeddings': True,
    'activation_function': 'gelu_new',
  },
  fixed=_LAYER_NORM | {'positions': 'learned', 'parallel_residual': False},
  biases={'qkv_bias': True, 'out_bias': True, 'mlp_bias': True},
  act='activation_function',
  activations={'gelu_new': 'gelu'} | _GELU,
  buffers=(r'h\.\d+\.attn\.(bias|masked_bias)$',),
)

# In the order in which an export tries them.
FAMILIES = {
  family.model_type: family
  for family in (LLAMA, MISTRAL, QWEN2, QWEN3, ARCEE, GPT_NEOX, GPT2)
}


def names_of(family, path):
  """(their names without prefix, Layout) of our leaf of the trunk.

  Args:
    family: Family.
    path: names, such as ('layer_3', 'mlp', 'in', 'kernel').

  Raises:
    KeyError: if the family has no such leaf.
  """
  first, *rest = path
  if not first.startswith('layer_'):
    return family.leaves['/'.join(path)]
  names, layout = family.leaves['/'.join(rest)]
  i = first.removeprefix('layer_')
  return tuple(name.format(i=i) for name in names), layout
