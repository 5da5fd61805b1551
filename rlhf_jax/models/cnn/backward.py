"""One backward pass for all three models, and its iteration.

From the top layer to the pixels, for each hypothesis (a class, or none), the
prediction m of a layer from the one above is fused with the classifier's
reading v of it. V0 and V1 take the mean that weighs both by their precisions,

    h = (s k v + m) / (s k + 1)

s being the observed share of the receptive field and k the trust in a reading;
V2 first asks whose a reading is (`losses/spike_slab.py`):

    w = o / (1 + o),   h = w (s k v + m) / (s k + 1)

Readings above the pixels count less (`Options.upper`). ReLU states and
positions are decided again on the way down (`states`). The layers so found,
down to the image, are what the classifier reads in the next iteration; the
pixels are always compared with the image that was given.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from rlhf_jax.losses import spike_slab
from rlhf_jax.losses.spike_slab import Slab
from rlhf_jax.models.cnn import states
from rlhf_jax.models.cnn.evidence import (
  ANY,
  Generative,
  Options,
  choose,
  evidence,
  is_slab,
)
from rlhf_jax.models.cnn.pooling import PLACES, unpool
from rlhf_jax.models.cnn.prior import mixed
from rlhf_jax.models.cnn.render import (
  affine,
  between,
  render_gaussian,
  render_slab,
)
from rlhf_jax.models.cnn.share import observed_shares


class Query(NamedTuple):
  """Question put to images.

  Attributes:
    image_BHW: pixels.
    mask_BHW: 1 where they are observed.
    clamp_KB: class of each of K hypotheses; None: one, of any class.
    options: Options.
  """

  image_BHW: jax.Array
  mask_BHW: jax.Array
  clamp_KB: jax.Array | None
  options: Options


class Found(NamedTuple):
  """Result of a pass, for K hypotheses on B images.

  Attributes:
    image_KBHW: the object's pixels.
    own_KBHW: P(a pixel is the object's), of V2; 1 of V0 and V1.
    predicted_KBHW: the pixels by the layers above alone.
    class_KB: of each hypothesis.
    evidence_KB: of its best component, nats times `Options.upper`, against the
      background (V2) or up to a constant.
  """

  image_KBHW: jax.Array
  own_KBHW: jax.Array
  predicted_KBHW: jax.Array
  class_KB: jax.Array
  evidence_KB: jax.Array


def fuse_gaussian(value, mean, share, trust):
  """(h, w) of V0 and V1: the mean by precision; all of it is the object's."""
  weight = share * trust
  return (weight * value + mean) / (weight + 1), jnp.ones_like(value)


def fuse_slab(value, slab, behind, share, options, first):
  """(h, w) of V2; the leading axis are hypotheses."""
  odds = spike_slab.log_odds(value, slab, behind, share, options.trust)
  shared = spike_slab.explain_away(odds)
  own = jnp.where(options.together * first > 0, shared, jax.nn.sigmoid(odds))
  return own * spike_slab.fused(value, slab, share, options.trust), own


def _either(options, slab, behind):
  """The prediction, or without top-down information the background."""
  pick = lambda x, y: jnp.where(options.top_down > 0, x, y)
  return Slab(*(pick(x, y) for x, y in zip(slab, behind, strict=True)))


def _layer(model, layer, source, value, share, counted, options, first):
  """(h, w, m) of the layer that is rendered from `source`.

  Args:
    model: Generative.
    layer: 1, 2 or 3, whose render is used.
    source: [K B, ...] of `states`, what it renders from.
    value: readings v of the layer, [K, B, H, W, C].
    share: s of what is observed, [B, H, W, 1].
    counted: s of what is compared with readings, likewise.
    options: Options.
    first: 1 where hypotheses share their readings.
  """
  render, behind = model.layers[layer - 1], model.background[layer - 1]
  shape, counted = value.shape, counted * options.bottom_up
  if is_slab(model):
    slab = _slab(source, render, shape)
    if model.unseen:
      unseen = _slab(source, model.unseen[layer - 1], shape)
      slab = between(slab, unseen, share)
    slab = _either(options, slab, behind)
    h, own = fuse_slab(value, slab, behind, counted, options, first)
    return h, own, jnp.broadcast_to(spike_slab.expected(slab), shape)
  mean, _ = render_gaussian(source, render)
  flat = jax.nn.sigmoid(behind.logit) * behind.mean
  mean = jnp.where(options.top_down > 0, mean.reshape(shape), flat)
  return (*fuse_gaussian(value, mean, counted, options.trust), mean)


def _slab(source, render, shape) -> Slab:
  """Slab of a layer of that shape; its sd is of channels, on top of units."""
  slab = render_slab(source, render)
  maps = [x.reshape(shape) for x in (slab.logit, slab.mean)]
  sd = slab.sd if slab.sd.size == shape[-1] else slab.sd.reshape(shape[2:])
  return Slab(*maps, sd)


def _top(model, value, chosen, share, options, first):
  """h_3 of each hypothesis: its components, fused with what is read."""
  behind, share = model.background[3], share * options.bottom_up
  found, mean_ND = mixed(model.prior, chosen.components_NM, chosen.weight_NM)
  if is_slab(model):
    slab = Slab(*(x.reshape(value.shape) for x in found))
    slab = _either(options, slab, behind)
    return fuse_slab(value, slab, behind, share, options, first)[0]
  flat = jax.nn.sigmoid(behind.logit) * behind.mean
  mean = jnp.where(options.top_down > 0, mean_ND.reshape(value.shape), flat)
  return fuse_gaussian(value, mean, share, options.trust)[0]


def _source(model, layer, h, pre, share, options):
  """Values at their places, from which a layer renders: [K B, ...]."""
  K, B = h.shape[:2]
  flat = h.reshape(K * B, *h.shape[2:])
  share = jnp.concatenate([share * options.bottom_up] * K)
  if layer == 3:
    on = states.decide_dense(flat, pre, share)
    return flat if is_slab(model) else flat * on
  on, place = states.decide(flat, pre, share)
  place = jnp.where(options.switches > 0, place, 1 / PLACES)
  return unpool(flat if is_slab(model) else flat * on, place)


def one_pass(apply, kernel, model, query, guess_KBHW, first):
  """One pass from the top layer to the pixels.

  Args:
    apply: image [N, H, W, 1] -> Activations, the frozen classifier.
    kernel: side of its convolutions.
    model: Generative.
    query: Query.
    guess_KBHW: what the classifier reads now.
    first: 1 in the first iteration, in which hypotheses read the same image.

  Returns:
    Found.
  """
  K, B, H, W = guess_KBHW.shape
  options = query.options
  image_BHW = query.image_BHW * query.mask_BHW
  shares = observed_shares(query.mask_BHW, kernel)
  acts = apply(guess_KBHW.reshape(K * B, H, W, 1))
  value = [x.reshape(K, B, *x.shape[1:]) for x in acts.value]
  value[0] = jnp.broadcast_to(image_BHW[None, ..., None], value[0].shape)
  if query.clamp_KB is None:
    clamp_N, wanted_N = None, jnp.full(K * B, ANY)
  else:
    clamp_N = wanted_N = query.clamp_KB.reshape(-1)
  counted = [shares[0], *(x * options.upper for x in shares[1:])]
  share2 = jnp.concatenate([counted[2]] * K)
  weighed = evidence(model, acts.value[2], share2, options.trust, clamp_N)
  chosen = choose(model, weighed, acts.logits_BY, wanted_N, options)
  h = _top(model, value[3], chosen, counted[3], options, first)
  for layer in (3, 2, 1):
    read = h, acts.pre[layer - 1], shares[layer], options
    source = _source(model, layer, *read)
    # Pixels are those of the one image in every iteration.
    shared = jnp.float32(1) if layer == 1 else first
    both = shares[layer - 1], counted[layer - 1]
    args = value[layer - 1], *both, options, shared
    h, own, mean = _layer(model, layer, source, *args)
  return Found(
    h[..., 0],
    own[..., 0],
    mean[..., 0],
    (chosen.component_N // model.prior.components).reshape(K, B),
    chosen.best_N.reshape(K, B),
  )


def infer(pass_of, query: Query, iterations):
  """Passes one after another; each reads what the one before has found.

  A loop of Python and not of XLA, whose convolutions are several times slower
  inside a loop on a CPU.

  Args:
    pass_of: (query, guess_KBHW, first) -> Found, `one_pass` of a model.
    query: Query.
    iterations: 1 or more.

  Returns:
    Found of the last pass.
  """
  K = 1 if query.clamp_KB is None else query.clamp_KB.shape[0]
  seen_BHW = query.image_BHW * query.mask_BHW
  guess_KBHW = jnp.broadcast_to(seen_BHW, (K, *seen_BHW.shape))
  for iteration in range(iterations):
    first = jnp.float32(iteration == 0)
    found = pass_of(query, guess_KBHW, first)
    guess_KBHW = found.image_KBHW
  return found


def render_down(model: Generative, top_ND):
  """Pixels of top layers without any reading, positions unknown: [N, H, W]."""
  slab = is_slab(model)
  channels = model.layers[1].mean.kernel.shape[2]

  def mean_of(x, render):
    if slab:
      return spike_slab.expected(render_slab(x, render))
    return jnp.maximum(affine(x, render.mean), 0.0)

  x = mean_of(top_ND, model.layers[2])
  side = round((x.shape[1] // channels) ** 0.5)
  x = x.reshape(-1, side, side, channels)
  for render in model.layers[1::-1]:
    place = jnp.full((*x.shape[:3], PLACES, x.shape[3]), 1 / PLACES)
    x = mean_of(unpool(x, place), render)
  return x[..., 0]
