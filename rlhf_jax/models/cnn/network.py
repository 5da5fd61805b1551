"""A plain convolutional classifier that hands out its activations."""

from typing import NamedTuple

import jax.numpy as jnp
from flax import linen as nn

from rlhf_jax.models.cnn.pooling import max_pool

KERNELS = ('conv1', 'conv2', 'dense')  # of the layers below the logits


class Activations(NamedTuple):
  """Layers of a classifier on images, bottom first.

  Attributes:
    value: (h_0, h_1, h_2, h_3): image [B, H, W, 1], pooled maps
      [B, H/2, W/2, C], [B, H/4, W/4, E], dense layer [B, D].
    pre: (u_1, u_2, u_3) before ReLU and pooling: [B, H, W, C],
      [B, H/2, W/2, E], [B, D].
    logits_BY: of the classes.
  """

  value: tuple
  pre: tuple
  logits_BY: jnp.ndarray


class Classifier(nn.Module):
  """Two convolutions with max-pooling, a dense layer, logits.

    u_l = W_l * h_{l-1} + b_l,   h_l = maxpool2(max(u_l, 0)),   l = 1, 2
    u_3 = W_3 h_2 + b_3,         h_3 = max(u_3, 0)
    logits = W_4 h_3 + b_4

  Attributes:
    channels: of the two convolutions.
    dense: units of the dense layer.
    kernel: side of the convolutions, odd.
    classes: of the logits.
  """

  channels: tuple[int, int] = (16, 32)
  dense: int = 128
  kernel: int = 5
  classes: int = 10

  @nn.compact
  def __call__(self, image_BHW1) -> Activations:
    """Activations of images [B, H, W, 1], of which H and W are multiples of 4.

    Raises:
      ValueError: if a side is no multiple of 4.
    """
    if any(side % 4 for side in image_BHW1.shape[1:3]):
      raise ValueError(
        f'wanted sides that are multiples of 4, got {image_BHW1.shape[1:3]}'
      )
    values, pres, x = [image_BHW1], [], image_BHW1
    side = (self.kernel, self.kernel)
    for name, width in zip(KERNELS, self.channels, strict=False):
      pres.append(nn.Conv(width, side, name=name)(x))
      x = max_pool(nn.relu(pres[-1]))
      values.append(x)
    flat_BN = x.reshape(x.shape[0], -1)
    pres.append(nn.Dense(self.dense, name='dense')(flat_BN))
    values.append(nn.relu(pres[-1]))
    logits_BY = nn.Dense(self.classes, name='logits')(values[-1])
    return Activations(tuple(values), tuple(pres), logits_BY)


def kernel_of(params, layer):
  """Weights of layer 1, 2 ([k, k, in, out]) or 3 ([in, out])."""
  return params['params'][KERNELS[layer - 1]]['kernel']
