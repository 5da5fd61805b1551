"""The shape of a decoder-only Transformer, by config."""

import dataclasses

from rlhf_jax.models import matmul
from rlhf_jax.models.rotary import RopeScaling


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
    embed_scale: factor on the embeddings; None means sqrt(D).
    rope_theta: base of the rotary angles.
    rotary_size: features of a head that are turned, the first ones; 0 means K.
    rope_scaling: RopeScaling (or its fields as a dict), None: no scaling.
    sliding_window: tokens that a token looks at, itself included; 0: all.
    window_from: first layer that has the window; those below look at all.
    qk_norm: RMS norm of queries and keys, a head at a time, before the turn.
    activation: 'gelu' (the tanh form) or 'gelu_exact', of two matrices, or
      'swiglu', of three.
    tied: whether the output head is the embedding.
    parallel_residual: attention and MLP read the same input and add together.
    use_bias: biases on the projections; the default of the next three.
    qkv_bias: a bias on queries, keys and values; None means `use_bias`.
    out_bias: a bias on what attention gives out; None means `use_bias`.
    mlp_bias: biases on the MLP's projections; None means `use_bias`.
    dtype: computation type; parameters, norms, softmax and heads are float32.
    matmul: 'float32', products of what `dtype` says; 'bf16_f32', of inputs
      rounded to bfloat16, with float32 results (see `matmul`).
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
  embed_scale: float | None = None
  qkv_bias: bool | None = None
  out_bias: bool | None = None
  mlp_bias: bool | None = None
  rotary_size: int = 0
  rope_scaling: RopeScaling | None = None
  qk_norm: bool = False
  sliding_window: int = 0
  window_from: int = 0
  matmul: str = 'float32'

  def __post_init__(self):
    self._fill()
    self._check()

  @property
  def embed_factor(self):
    """Factor of the embeddings: `embed_scale`, or sqrt(D)."""
    return self.d_model**0.5 if self.embed_scale is None else self.embed_scale

  def _fill(self):
    """Puts the values that zeros and Nones stand for in their place."""
    fill = lambda name, value: object.__setattr__(self, name, value)
    fill('n_kv_heads', self.n_kv_heads or self.n_heads)
    if not self.head_size:
      if self.d_model % self.n_heads:
        raise ValueError(
          f'd_model {self.d_model} is not a multiple of n_heads '
          f'{self.n_heads}: set head_size'
        )
      fill('head_size', self.d_model // self.n_heads)
    fill('d_mlp', self.d_mlp or 4 * self.d_model)
    fill('rotary_size', self.rotary_size or self.head_size)
    for name in ('qkv_bias', 'out_bias', 'mlp_bias'):
      if getattr(self, name) is None:
        fill(name, self.use_bias)
    if isinstance(self.rope_scaling, dict):  # as read from JSON
      fill('rope_scaling', RopeScaling(**self.rope_scaling))

  def _check(self):
    """Raises ValueError for what no model can be."""
    if self.n_heads % self.n_kv_heads:
      raise ValueError(
        f'n_heads {self.n_heads} is not a multiple of n_kv_heads '
        f'{self.n_kv_heads}'
      )
    if self.positions == 'rotary' and self.rotary_size % 2:
      raise ValueError(
        'rotary positions need an even head size or rotary_size, got '
        f'{self.rotary_size}'
      )
    if self.rotary_size > self.head_size:
      raise ValueError(
        f'rotary_size {self.rotary_size} is more than the head size '
        f'{self.head_size}'
      )
    if self.sliding_window < 0 or self.window_from < 0:
      raise ValueError(
        'sliding_window and window_from must not be negative, got '
        f'{self.sliding_window} and {self.window_from}'
      )
    for name, allowed in (
      ('norm', ('rms', 'layer')),
      ('positions', ('rotary', 'learned')),
      ('activation', ('gelu', 'gelu_exact', 'swiglu')),
      ('dtype', ('float32', 'bfloat16')),
      ('matmul', matmul.CHOICES),
    ):
      if getattr(self, name) not in allowed:
        raise ValueError(
          f'{name} must be one of {", ".join(allowed)}, '
          f'got {getattr(self, name)!r}'
        )
    if self.matmul != 'float32' and self.dtype != 'float32':
      raise ValueError(
        f'matmul {self.matmul} is for dtype float32, got {self.dtype}: choose '
        'one of the two'
      )
