"""Rotary positions: angles, their scaling for long texts, and the turn."""

import dataclasses
import math

import jax.numpy as jnp
import numpy as np


@dataclasses.dataclass(frozen=True)
class RopeScaling:
  """Scaling of the angles of a model for texts longer than it knew.

  Attributes:
    kind: 'linear' (every frequency divided by the factor) or 'llama3' (slow
      frequencies divided, fast ones left, those between blended).
    factor: by how much.
    low_freq_factor: llama3: wavelengths above original_length / this are slow.
    high_freq_factor: llama3: wavelengths below original_length / this are fast.
    original_length: llama3: tokens of the texts it was first trained on.
  """

  kind: str
  factor: float
  low_freq_factor: float = 1.0
  high_freq_factor: float = 4.0
  original_length: int = 8192

  def __post_init__(self):
    if self.kind not in ('linear', 'llama3'):
      raise ValueError(
        f"rotary scaling must be 'linear' or 'llama3', got {self.kind!r}"
      )
    if not self.factor > 0:
      raise ValueError(
        f'the factor of rotary scaling must be positive, got {self.factor}'
      )
    if self.kind == 'llama3' and not (
      0 < self.low_freq_factor < self.high_freq_factor
    ):
      raise ValueError(
        'llama3 scaling wants 0 < low_freq_factor < high_freq_factor, got '
        f'{self.low_freq_factor} and {self.high_freq_factor}'
      )


def rotary_frequencies(size, theta, scaling=None):
  """Radians per position of every pair: theta^(-2 i / R), scaled.

    llama3:  f' = f                                where w < N / high
             f' = f / factor                       where w > N / low
             f' = (1 - s) f / factor + s f         between,
             s = (N / w - low) / (high - low),  w = 2 pi / f, N original length

  Args:
    size: R, features that are turned.
    theta: base of the angles.
    scaling: RopeScaling or None.

  Returns:
    float64 [R / 2].
  """
  half = size // 2
  frequency = theta ** (-np.arange(half) / half)
  if scaling is None:
    return frequency
  if scaling.kind == 'linear':
    return frequency / scaling.factor
  low, high = scaling.low_freq_factor, scaling.high_freq_factor
  turns = scaling.original_length * frequency / (2 * math.pi)  # N / w
  keep = np.clip((turns - low) / (high - low), 0.0, 1.0)
  return frequency * (keep + (1.0 - keep) / scaling.factor)


def rotary_turns(position_BT, head_size, theta, limit, scaling=None):
  """Cosines and sines of every position, for all blocks and heads at once.

    cos a, (-sin a, sin a),  a = position * f_i,  i = 0 ... K/2 - 1

  with the frequencies f of `rotary_frequencies`.

  They are read from a table that is made before the program is compiled, in
  double precision: otherwise XLA computes them again for each block and head,
  which on a CPU took a seventh of a forward pass.

  Args:
    position_BT: int32, below `limit`.
    head_size: K, or the part of it that is turned.
    theta: base of the angles.
    limit: Python int, rows of the table.
    scaling: RopeScaling or None.

  Returns:
    float32 [B, T, 2, K]: cosines, and sines with the sign of the formula in
    `rotary`.
  """
  frequency = rotary_frequencies(head_size, theta, scaling)
  angle = np.arange(limit)[:, None] * frequency
  cos, sin = np.cos(angle), np.sin(angle)
  table = np.stack(
    [np.concatenate([cos, cos], -1), np.concatenate([-sin, sin], -1)], 1
  )
  return jnp.asarray(table, jnp.float32)[position_BT]


def rotary(x_BTHK, turns_BT2K):
  """Rotates pairs of features by an angle proportional to the position.

    (x1, x2) -> (x1 cos a - x2 sin a, x2 cos a + x1 sin a)   (half-rotation)

  written as x cos + roll(x) (-sin, sin), which a CPU runs in half the time of
  two halves joined again. Features beyond those of the turns stay as they are.

  Reference: Su et al. 2021 (arXiv:2104.09864), section 3.2.2.
  """
  size = turns_BT2K.shape[-1]
  if size < x_BTHK.shape[-1]:
    turned = rotary(x_BTHK[..., :size], turns_BT2K)
    return jnp.concatenate([turned, x_BTHK[..., size:]], -1)
  cos, sin = turns_BT2K[:, :, :1], turns_BT2K[:, :, 1:]
  x = x_BTHK.astype(jnp.float32)
  rotated = x * cos + jnp.roll(x, size // 2, -1) * sin
  return rotated.astype(x_BTHK.dtype)
