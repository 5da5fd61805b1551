"""Other ways from the classes of a CNN back to its pixels.

Three of them send a signal down from a class's logit. They differ in what a
ReLU lets through, u being its input in the forward pass and r the signal:

    gradient   r 1[u > 0]           back-propagation
    deconv     max(r, 0)            Zeiler and Fergus 2014 (arXiv:1311.2901)
    guided     max(r, 0) 1[u > 0]   Springenberg et al. 2015 (arXiv:1412.6806)

All put the signal of a pooled unit back at its stored switch and go through
transposed kernels.
"""

import jax
import jax.numpy as jnp
from flax import linen as nn

from rlhf_jax.models.cnn.network import Activations, kernel_of
from rlhf_jax.models.cnn.pooling import switches, unpool
from rlhf_jax.models.cnn.render import conv, transposed

RULES = ('gradient', 'deconv', 'guided')
MAPS = ('deconv', 'guided', 'gradient_times_input')  # of the baselines


def _through_relu(rule, signal, pre):
  if rule != 'gradient':
    signal = jnp.maximum(signal, 0.0)
  return signal if rule == 'deconv' else signal * (pre > 0)


def backward_signal(params, acts: Activations, class_B, rule):
  """The signal that reaches the pixels from a class's logit.

  Args:
    params: of the classifier.
    acts: of B images.
    class_B: whose logit is sent down.
    rule: one of RULES; 'gradient' is the derivative of the logit.

  Returns:
    [B, H, W].

  Raises:
    ValueError: if there is no such rule.
  """
  if rule not in RULES:
    raise ValueError(f'no rule {rule!r}: one of {", ".join(RULES)}')
  kernel_DY = params['params']['logits']['kernel']
  signal = kernel_DY.T[class_B]
  signal = _through_relu(rule, signal, acts.pre[2])
  signal = signal @ transposed(kernel_of(params, 3))
  signal = signal.reshape(acts.value[2].shape)
  for layer in (2, 1):
    pre = acts.pre[layer - 1]
    signal = unpool(signal, switches(pre))
    signal = _through_relu(rule, signal, pre)
    signal = conv(signal, transposed(kernel_of(params, layer)))
  return signal[..., 0]


def gradient_times_input(params, acts: Activations, class_B):
  """Derivative of a class's logit times the pixels, [B, H, W]."""
  signal = backward_signal(params, acts, class_B, 'gradient')
  return signal * acts.value[0][..., 0]


class Decoder(nn.Module):
  """Pixels from the dense layer: the upper half of an autoencoder.

  Its lower half is the frozen classifier; two nearest-neighbour enlargements
  with a convolution after each.

  Attributes:
    side: of the image.
    channels: of its first map.
    kernel: side of the convolutions.
  """

  side: int
  channels: int = 16
  kernel: int = 5

  @nn.compact
  def __call__(self, top_BD):
    """[B, D] to [B, H, W], in (0, 1)."""
    low = self.side // 4
    x = nn.relu(nn.Dense(low * low * self.channels, name='dense')(top_BD))
    x = x.reshape(-1, low, low, self.channels)
    for name, width in (('conv2', self.channels), ('conv1', 1)):
      x = x.repeat(2, axis=1).repeat(2, axis=2)
      x = nn.Conv(width, (self.kernel, self.kernel), name=name)(x)
      x = nn.relu(x) if name == 'conv2' else jax.nn.sigmoid(x)
    return x[..., 0]


def class_means(image_NHW, label_N, classes):
  """Mean image of each class, [Y, H, W]; 0 of one without images."""
  one_NY = jax.nn.one_hot(label_N, classes)
  sums = jnp.einsum('ny,nhw->yhw', one_NY, image_NHW)
  return sums / jnp.maximum(one_NY.sum(axis=0), 1.0)[:, None, None]
