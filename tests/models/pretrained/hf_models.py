"""Small models of `transformers` with random weights, and batches for them."""

import numpy as np
import torch
import transformers

transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()

V, T, LENGTHS = 29, 12, (12, 7, 5)
SIZES = dict(
  vocab_size=V,
  hidden_size=32,
  intermediate_size=48,
  num_hidden_layers=2,
  num_attention_heads=4,
  max_position_embeddings=64,
  bos_token_id=None,
  eos_token_id=None,
)
GROUPED = SIZES | {'num_key_value_heads': 2}
LLAMA3 = dict(
  rope_type='llama3',
  rope_theta=10000.0,
  factor=8.0,
  low_freq_factor=1.0,
  high_freq_factor=4.0,
  original_max_position_embeddings=48,
)
NEOX = SIZES | {'rotary_pct': 0.25}
CONFIGS = {
  'llama': lambda: transformers.LlamaConfig(**GROUPED, rope_scaling=LLAMA3),
  'llama_biases': lambda: transformers.LlamaConfig(
    **GROUPED,
    attention_bias=True,
    mlp_bias=True,
    tie_word_embeddings=True,
    rope_scaling=dict(rope_type='linear', factor=2.0),
  ),
  'mistral': lambda: transformers.MistralConfig(**GROUPED, sliding_window=3),
  'qwen2': lambda: transformers.Qwen2Config(
    **GROUPED,
    tie_word_embeddings=True,
    use_sliding_window=True,
    sliding_window=4,
    max_window_layers=1,
  ),
  'qwen3': lambda: transformers.Qwen3Config(**GROUPED, head_dim=16),
  'gpt_neox': lambda: transformers.GPTNeoXConfig(**NEOX),
  'gpt_neox_serial': lambda: transformers.GPTNeoXConfig(
    **NEOX, use_parallel_residual=False
  ),
  'gpt2': lambda: transformers.GPT2Config(
    vocab_size=V,
    n_embd=32,
    n_layer=2,
    n_head=4,
    n_positions=64,
    bos_token_id=None,
    eos_token_id=None,
  ),
  'arcee': lambda: transformers.ArceeConfig(
    **GROUPED, hidden_act='gelu_pytorch_tanh'
  ),
}


def make(name, seed=0):
  """A language model, no weight of which is 0 or 1 as norms and biases are."""
  torch.manual_seed(seed)
  model = transformers.AutoModelForCausalLM.from_config(CONFIGS[name]()).eval()
  with torch.no_grad():
    for parameter in model.parameters():
      parameter.copy_(torch.randn_like(parameter) * 0.3)
  return model


def right_and_left(lengths=LENGTHS, width=T, pad=0, seed=3):
  """[(tokens_BT, mask_BT)] of the same texts, padded right and left."""
  rng = np.random.default_rng(seed)
  texts = [rng.integers(1, V - 1, length) for length in lengths]
  found = []
  for side in ('right', 'left'):
    tokens_BT = np.full((len(texts), width), pad, np.int32)
    mask_BT = np.zeros((len(texts), width), bool)
    for b, text in enumerate(texts):
      at = slice(0, len(text)) if side == 'right' else slice(-len(text), None)
      tokens_BT[b, at], mask_BT[b, at] = text, True
    found.append((tokens_BT, mask_BT))
  return found


def positions(mask_BT):
  return torch.tensor(np.maximum(np.cumsum(mask_BT, 1) - 1, 0))


def torch_logits(model, tokens_BT, mask_BT):
  with torch.no_grad():
    return model(
      torch.tensor(tokens_BT).long(),
      attention_mask=torch.tensor(mask_BT).long(),
      position_ids=positions(mask_BT),
    ).logits.numpy()


def loaded(path):
  return transformers.AutoModelForCausalLM.from_pretrained(path).eval()
