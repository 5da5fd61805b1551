"""Fits to the activations of clean single digits.

Layer by layer: pairs of a layer and the one below it, never an error that is
sent through the stack. The classifier's weights are read and not changed.
"""

import jax
import jax.numpy as jnp

from rlhf_jax.losses.spike_slab import Slab, slab_logp
from rlhf_jax.models.cnn.network import Activations, kernel_of
from rlhf_jax.models.cnn.pooling import PLACES, switches, unpool
from rlhf_jax.models.cnn.render import (
  Affine,
  GaussianLayer,
  SpikeSlab,
  affine,
  conv,
  render_slab,
  transposed,
)

RIDGE = 1e-3  # of least squares, times the number of rows
LEAST_SD = 0.02


def layer_pair(acts: Activations, layer, known_B=None):
  """(x, target) of a layer: what is rendered from, and what is below.

    x = z unpool(h_l, t), of clean activations; the dense layer has no t

  Args:
    acts: of B images.
    layer: 1, 2 or 3.
    known_B: 1 where the positions t are known; elsewhere each of the four has
      weight 1 / 4, as where nothing is observed. None: all are.

  Returns:
    (x, target): maps, or for layer 3 [B, D] and [B, N].
  """
  value, below = acts.value[layer], acts.value[layer - 1]
  if layer == 3:
    return value, below.reshape(below.shape[0], -1)
  place = switches(acts.pre[layer - 1])
  if known_B is not None:
    known = known_B[:, None, None, None, None]
    place = jnp.where(known > 0, place, 1 / PLACES)
  return unpool(value, place), below


def partly_pair(acts: Activations, below, mean, layer, share):
  """(x, target) of a layer that is itself inferred where nothing is observed.

    h = s v + (1 - s) m,   x = unpool(h, s t + (1 - s) / 4)

  Args:
    acts: of what is observed: v, and the positions t.
    below: the clean layer below, [B, H, W, C].
    mean: m, what the layers above expect of this one.
    layer: 1, 2 or 3.
    share: s of this layer, [B, h, w, 1], or [B, 1] of the dense one.
  """
  h = share * acts.value[layer] + (1 - share) * mean
  if layer == 3:
    return h, below.reshape(below.shape[0], -1)
  share = share[:, :, :, None]
  place = share * switches(acts.pre[layer - 1]) + (1 - share) / PLACES
  return unpool(h, place), below


def without_reading(mean, layer):
  """Source of a layer that is expected and not read: x of `layer_pair`."""
  if layer == 3:
    return mean
  shape = (*mean.shape[:3], PLACES, mean.shape[3])
  return unpool(mean, jnp.full(shape, 1 / PLACES))


def patches(x_BHWC, kernel):
  """Neighbourhoods [N, k k C] of all pixels, in the order of a kernel."""
  found = jax.lax.conv_general_dilated_patches(
    x_BHWC,
    (kernel, kernel),
    (1, 1),
    'SAME',
    dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
  )
  C = x_BHWC.shape[-1]
  found = found.reshape(-1, C, kernel * kernel)  # channels come first
  return found.transpose(0, 2, 1).reshape(-1, kernel * kernel * C)


def gram(x, target, kernel):
  """Sums that least squares needs, of some images.

  Args:
    x: [B, H, W, C], or [B, D].
    target: [B, H, W, E], or [B, N].
    kernel: side; 0 of a dense layer.

  Returns:
    (A^T A, A^T Y, sum Y^2, rows), A being neighbourhoods and a column of ones.
  """
  a = patches(x, kernel) if kernel else x
  a = jnp.concatenate([a, jnp.ones_like(a[:, :1])], axis=1)
  y = target.reshape(a.shape[0], -1)
  return a.T @ a, a.T @ y, (y**2).sum(axis=0), jnp.float32(a.shape[0])


def least_squares(sums, shape) -> GaussianLayer:
  """V1 of a layer: the maximum of the likelihood, given states and positions.

    K, c = argmin sum |h_{l-1} - K * x - c|^2,   s^2 = mean squared residual

  Args:
    sums: of `gram`, added up.
    shape: of the kernel.
  """
  xx, xy, yy, rows = sums
  size = xx.shape[0]
  damp = RIDGE * rows * jnp.eye(size).at[-1, -1].set(0.0)
  solved = jnp.linalg.solve(xx + damp * jnp.trace(xx) / rows / size, xy)
  residual = yy - 2 * (solved * xy).sum(axis=0)
  residual += (solved * (xx @ solved)).sum(axis=0)
  sd = jnp.sqrt(jnp.maximum(residual / rows, LEAST_SD**2))
  return GaussianLayer(Affine(solved[:-1].reshape(shape), solved[-1]), sd)


def tied(params, layer, x, target) -> GaussianLayer:
  """V0 of a layer: the classifier's kernel, transposed.

    h_{l-1, c} ~ N(gain_c (W^T x)_c + offset_c, s_c^2)

  by least squares for each channel c.

  Args:
    params: of the classifier.
    layer: 1, 2 or 3.
    x: of `layer_pair`.
    target: likewise.
  """
  kernel = transposed(kernel_of(params, layer))
  plain = conv(x, kernel) if layer < 3 else x @ kernel
  channels = target.shape[-1]
  if layer == 3:  # units of a map are its channels, place by place
    channels = kernel_of(params, 2).shape[-1]
  each = lambda z: z.reshape(-1, channels)
  a, y = each(plain), each(target)
  centred = a - a.mean(axis=0)
  gain = (centred * y).mean(axis=0) / jnp.maximum(a.var(axis=0), 1e-12)
  offset = y.mean(axis=0) - gain * a.mean(axis=0)
  sd = (y - gain * a - offset).std(axis=0)
  sd = jnp.maximum(sd, LEAST_SD)
  if layer == 3:
    places = target.shape[-1] // channels
    gain, offset, sd = (jnp.tile(z, places) for z in (gain, offset, sd))
  return GaussianLayer(Affine(kernel * gain, offset), sd)


def first_slab(model: GaussianLayer, target) -> SpikeSlab:
  """Start of V2 of a layer: the means of V1, the same odds everywhere."""
  on = (target > 0).mean(axis=tuple(range(target.ndim - 1)))
  on = jnp.clip(on, 1e-3, 1 - 1e-3)
  logit = Affine(jnp.zeros_like(model.mean.kernel), jax.scipy.special.logit(on))
  return SpikeSlab(logit, model.mean, jnp.log(model.sd))


def slab_loss(model: SpikeSlab, batch):
  """Mean negative log-likelihood of a layer under V2, nats a unit.

    - mean log p(h_{l-1, i} | x),   p of `spike_slab.slab_logp`

  Args:
    model: SpikeSlab.
    batch: (x, target) of `layer_pair`.
  """
  x, target = batch
  slab = render_slab(x, model)
  slab = slab._replace(sd=jnp.maximum(slab.sd, LEAST_SD))
  return -slab_logp(target, slab).mean()


def finished(model: SpikeSlab) -> SpikeSlab:
  """The fitted V2 of a layer, its sd no smaller than in the loss."""
  least = jnp.log(LEAST_SD)
  return model._replace(log_sd=jnp.maximum(model.log_sd, least))


def background_of(value) -> Slab:
  """A background of a layer: one spike and slab a channel, by its moments.

  Args:
    value: activations of cluttered images, channels last.
  """
  each = value.reshape(-1, value.shape[-1])
  on = each > 0
  count = jnp.maximum(on.sum(axis=0), 1)
  mean = each.sum(axis=0) / count
  square = jnp.where(on, (each - mean) ** 2, 0.0).sum(axis=0) / count
  q = jnp.clip(on.mean(axis=0), 1e-3, 1 - 1e-3)
  sd = jnp.sqrt(jnp.maximum(square, LEAST_SD**2))
  return Slab(jax.scipy.special.logit(q), mean, sd)


def gaussian_logp(model: GaussianLayer, batch):
  """Mean log-likelihood of a layer under V0 or V1, nats a unit."""
  x, target = batch
  z = (target - affine(x, model.mean)) / model.sd
  return -(0.5 * z**2 + jnp.log(model.sd)).mean() - 0.5 * jnp.log(2 * jnp.pi)
