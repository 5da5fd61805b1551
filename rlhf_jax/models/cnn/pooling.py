"""Windows of 2 x 2, and where in them the largest value stands."""

import jax
import jax.numpy as jnp

PLACES = 4


def windows(x_BHWC):
  """The four values of each window: [B, H/2, W/2, 4, C], row by row."""
  B, H, W, C = x_BHWC.shape
  x = x_BHWC.reshape(B, H // 2, 2, W // 2, 2, C).transpose(0, 1, 3, 2, 4, 5)
  return x.reshape(B, H // 2, W // 2, PLACES, C)


def unwindows(x_BHWPC):
  """The map whose windows these are: [B, 2 H, 2 W, C]."""
  B, H, W, _, C = x_BHWPC.shape
  x = x_BHWPC.reshape(B, H, W, 2, 2, C).transpose(0, 1, 3, 2, 4, 5)
  return x.reshape(B, 2 * H, 2 * W, C)


def max_pool(x_BHWC):
  """Largest value of each window: [B, H/2, W/2, C]."""
  return windows(x_BHWC).max(axis=3)


def switches(x_BHWC):
  """1 at the largest value of each window, the first of equals: [..., 4, C]."""
  place = jnp.argmax(windows(x_BHWC), axis=3)
  return jax.nn.one_hot(place, PLACES, axis=3)


def unpool(value_BHWC, place_BHWPC):
  """Values put back at their places.

    out[2 i + a, 2 j + b] = value[i, j] place[i, j, 2 a + b]

  Args:
    value_BHWC: of each window.
    place_BHWPC: weight of each of its four places; sums to 1.

  Returns:
    [B, 2 H, 2 W, C].
  """
  return unwindows(value_BHWC[:, :, :, None] * place_BHWPC)
