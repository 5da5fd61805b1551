"""Rendering: what a layer says of the layer below.

A render is a convolution (dense on top) from values put back at their places,
z unpool(g, t), to the layer below. Three nested models share it:

    V0  tied: the kernel is the classifier's, transposed, as in the neural
        rendering model; a gain, an offset and a variance of each channel are
        fitted, since a transposed kernel has no scale of its own
    V1  fitted: kernel, offset and variance by maximum likelihood
        h_{l-1} ~ N(K * (z unpool(g, t)) + c, s^2)
    V2  spike and slab: logits of being on, means and variances (Slab)
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from rlhf_jax.losses.spike_slab import Slab


class Affine(NamedTuple):
  """A linear map to the layer below.

  Attributes:
    kernel: [k, k, C, E] of a convolution, or [D, N] of a dense layer.
    offset: [E], or [N].
  """

  kernel: jax.Array
  offset: jax.Array


class GaussianLayer(NamedTuple):
  """V0 and V1 of one layer: an Affine mean, and sd of each unit or channel."""

  mean: Affine
  sd: jax.Array


class SpikeSlab(NamedTuple):
  """V2 of one layer: Affine logits and means, log sd of units or channels."""

  logit: Affine
  mean: Affine
  log_sd: jax.Array


def conv(x_BHWC, kernel):
  """Convolution with border 0 that keeps the size."""
  return jax.lax.conv_general_dilated(
    x_BHWC, kernel, (1, 1), 'SAME', dimension_numbers=('NHWC', 'HWIO', 'NHWC')
  )


def affine(x, map_: Affine):
  """The map of [B, H, W, C] or, if its kernel is a matrix, of [B, D]."""
  linear = conv(x, map_.kernel) if map_.kernel.ndim == 4 else x @ map_.kernel
  return linear + map_.offset


def transposed(kernel):
  """The kernel of the transpose of a layer.

    <conv(x, W), y> = <x, conv(y, transposed(W))>

  Args:
    kernel: [k, k, C, E] with odd k, or a matrix.
  """
  if kernel.ndim == 2:
    return kernel.T
  return kernel[::-1, ::-1].transpose(0, 1, 3, 2)


def render_gaussian(x, model: GaussianLayer):
  """(mean, sd) of the layer below under V0 or V1; the mean is at least 0."""
  return jnp.maximum(affine(x, model.mean), 0.0), model.sd


def render_slab(x, model: SpikeSlab) -> Slab:
  """Slab of the layer below under V2."""
  return Slab(
    affine(x, model.logit), affine(x, model.mean), jnp.exp(model.log_sd)
  )


def between(seen: Slab, unseen: Slab, share) -> Slab:
  """Slab of units of which a share of the receptive field is observed.

  s x + (1 - s) x',   of logits and of means; the sd is that of `seen`
  """
  mixed = lambda a, b: share * a + (1 - share) * b
  return Slab(
    mixed(seen.logit, unseen.logit), mixed(seen.mean, unseen.mean), seen.sd
  )
