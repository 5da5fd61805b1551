"""The shapes that every benchmark and every peer runs; imports no package."""

from typing import NamedTuple


class Shape(NamedTuple):
  """One model and one batch, all prompts and all replies of one length.

  Attributes:
    n_layers, d_model, n_heads, d_mlp, vocab_size: of a Llama-like model: RMS
      norm, rotary positions, no biases, tied embedding.
    activation: 'swiglu' (gate, up, down) or 'gelu' (two matrices).
    batch: prompts of a PPO iteration, and pairs of a preference-model step.
    prompt_length: tokens of each prompt, P.
    reply_length: tokens of each reply, R; both sides of a pair have P + R.
    microbatch_rows: sequences that our steps hold at a time.
    dtype: computation type.
    matmul: of `TransformerConfig`.
    n_kv_heads: 0: as many as n_heads.
    pm: name of the shape of the preference model; '': this one's.
    passes, minibatches: of a PPO iteration.
  """

  n_layers: int
  d_model: int
  n_heads: int
  d_mlp: int
  vocab_size: int
  activation: str
  batch: int = 64
  prompt_length: int = 64
  reply_length: int = 64
  microbatch_rows: int = 8  # about 1,000 tokens: what a CPU's cache holds
  dtype: str = 'float32'
  matmul: str = 'float32'
  n_kv_heads: int = 0
  pm: str = ''
  passes: int = 1
  minibatches: int = 1

  @property
  def length(self):
    """T = P + R."""
    return self.prompt_length + self.reply_length


_S = Shape(4, 256, 4, 1024, 2048, 'swiglu')
_197K = Shape(  # the rung of that name
  4, 64, 4, 256, 1024, 'gelu', microbatch_rows=16
)
SHAPES = {
  'S': _S,
  '197K': _197K,
  # Products of inputs rounded to bfloat16, with matrix units or without.
  'S-bf16': _S._replace(matmul='bf16_f32'),
  '197K-bf16': _197K._replace(matmul='bf16_f32'),
  'tiny': Shape(2, 16, 2, 32, 64, 'swiglu', 4, 8, 8, 4),
  'tiny-pm': Shape(
    *(2, 16, 2, 32, 64, 'swiglu', 8, 8, 8, 4),
    n_kv_heads=1,
    pm='tiny',
    passes=2,
    minibatches=2,
  ),
  # For a GPU: three rungs of the paper's ladder, and a member of a sweep.
  '13M': Shape(4, 512, 8, 2048, 32768, 'gelu', 64, 256, 256, 32, 'bfloat16'),
  '197M': Shape(
    10, 1280, 20, 5120, 32768, 'gelu', 64, 256, 256, 32, 'bfloat16'
  ),
  '810M': Shape(
    16, 2048, 32, 8192, 32768, 'gelu', 64, 256, 256, 16, 'bfloat16'
  ),
  '10M': Shape(4, 448, 7, 1792, 4096, 'gelu', 16, 64, 64, 16, 'bfloat16'),
  # The smallest policy of `configs/reproduce.py:headline`, under its PM.
  'headline': Shape(
    *(2, 24, 2, 96, 1024, 'gelu', 256, 40, 72, 64),
    pm='197K',
    passes=2,
    minibatches=4,
  ),
  # SmolLM2-135M and a batch of `configs/ppo.py:smollm2`.
  'SmolLM2': Shape(
    *(30, 576, 9, 1536, 49152, 'swiglu', 16, 64, 32, 16, 'bfloat16'),
    n_kv_heads=3,
  ),
}
