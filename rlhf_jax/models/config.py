"""The shape of a decoder-only Transformer, by config."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class TransformerConfig:
  """One decoder-only Transformer.

  Attributes:
    vocab_size: V.
    n_layers: L.
    d_model: D.
    n_heads: H query heads.
    n_kv_heads: key/value heads; H must be a multiple (grouped queries).
    head_size: K; 0 means D / H.
    d_mlp: hidden width of the MLP; 0 means 4 D.
    max_length: longest sequence when positions are learned.
    norm: 'rms' or 'layer'.
    norm_eps: epsilon inside the norm.
    positions: 'rotary' or 'learned'.
    rope_theta: base of the rotary angles.
    activation: 'gelu' (two matrices) or 'swiglu' (three).
    tied: whether the output head is the embedding.
    parallel_residual: attention and MLP read the same input and add together.
    use_bias: biases on the projections.
    dtype: computation type; parameters, norms, softmax and heads are float32.
    remat: whether the backward pass computes each block again instead of
      keeping what it computed on the way; the numbers stay the same.
  """

  vocab_size: int
  n_layers: int
  d_model: int
  n_heads: int
  n_kv_heads: int = 0
  head_size: int = 0
  d_mlp: int = 0
  max_length: int = 1024
  norm: str = 'rms'
  norm_eps: float = 1e-5
  positions: str = 'rotary'
  rope_theta: float = 10000.0
  activation: str = 'gelu'
  tied: bool = True
  parallel_residual: bool = False
  use_bias: bool = False
  dtype: str = 'float32'
  remat: bool = False

  def __post_init__(self):
    kv_heads = self.n_kv_heads or self.n_heads
    object.__setattr__(self, 'n_kv_heads', kv_heads)
    if not self.head_size:
      if self.d_model % self.n_heads:
        raise ValueError(
          f'd_model {self.d_model} is not a multiple of n_heads '
          f'{self.n_heads}: set head_size'
        )
      object.__setattr__(self, 'head_size', self.d_model // self.n_heads)
    if not self.d_mlp:
      object.__setattr__(self, 'd_mlp', 4 * self.d_model)
    if self.n_heads % kv_heads:
      raise ValueError(
        f'n_heads {self.n_heads} is not a multiple of n_kv_heads {kv_heads}'
      )
    if self.positions == 'rotary' and self.head_size % 2:
      raise ValueError(
        f'rotary positions need an even head size, got {self.head_size}'
      )
    for name, allowed in (
      ('norm', ('rms', 'layer')),
      ('positions', ('rotary', 'learned')),
      ('activation', ('gelu', 'swiglu')),
      ('dtype', ('float32', 'bfloat16')),
    ):
      if getattr(self, name) not in allowed:
        raise ValueError(
          f'{name} must be one of {", ".join(allowed)}, '
          f'got {getattr(self, name)!r}'
        )
