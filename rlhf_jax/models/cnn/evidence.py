"""A whole model of activations, and which component an image speaks for."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rlhf_jax.losses import spike_slab
from rlhf_jax.losses.spike_slab import Slab
from rlhf_jax.models.cnn.prior import Prior
from rlhf_jax.models.cnn.render import (
  SpikeSlab,
  render_gaussian,
  render_slab,
)

ANY = -1  # of a hypothesis whose class is not clamped
AT_ONCE = 16  # images whose components are weighed together


class Generative(NamedTuple):
  """A model of activations.

  Attributes:
    layers: of h_0 given h_1, h_1 given h_2, h_2 given h_3: GaussianLayer or
      SpikeSlab.
    prior: of h_3 given the class.
    background: a Slab of the channels of h_0, h_1, h_2 and the units of h_3.
    unseen: of V2 the same layers where nothing is observed, so that the layer
      above is itself inferred; (): as `layers`.
  """

  layers: tuple
  prior: Prior
  background: tuple
  unseen: tuple = ()


class Options(NamedTuple):
  """Settings of a pass; scalars that are traced.

  Attributes:
    trust: k, precision of a reading over that of a prediction.
    upper: in [0, 1]: what a reading of h_1, h_2 or h_3 counts beside one of a
      pixel. All of them come from the same pixels, so that each unit's is no
      evidence of its own: it is tempered, as one of which a share is observed.
    bottom_up: 1, or 0: readings count for nothing.
    top_down: 1, or 0: predictions are those of the background, everywhere.
    switches: 1, or 0: every position of a window is as likely.
    together: 1: hypotheses explain each other away, or 0: each is alone.
  """

  trust: Any = 1.0
  upper: Any = 1.0
  bottom_up: Any = 1.0
  top_down: Any = 1.0
  switches: Any = 1.0
  together: Any = 0.0


def is_slab(model: Generative) -> bool:
  """Whether it is V2."""
  return isinstance(model.layers[0], SpikeSlab)


def evidence(model: Generative, value_NHWC, share_NHW1, trust, class_N=None):
  """Evidence for components in h_2, the last layer that has places.

    V0, V1: sum_i s_i log N(v_i; m_i, sd_i^2 (1 + 1 / k)), without constants
    V2:     sum_i of `spike_slab.read_logp`

  m being what the component's mean renders.

  Args:
    model: Generative.
    value_NHWC: v of N images.
    share_NHW1: s.
    trust: k.
    class_N: whose components are weighed; None: those of all classes.

  Returns:
    (evidence, components), [N, M] of the class or [N, K] of all; the log of
    the components' weights is included.
  """
  N, H, W, C = value_NHWC.shape
  v_NF = value_NHWC.reshape(N, -1)
  s_NF = jnp.broadcast_to(share_NHW1, value_NHWC.shape).reshape(N, -1)
  score = _scorer(model, H * W, trust)
  every_K = jnp.arange(len(model.prior.classes))
  if class_N is None:
    components_NM = jnp.broadcast_to(every_K, (N, len(every_K)))
    each = lambda x: score(every_K, *x)
    found_NM = jax.lax.map(each, (v_NF, s_NF), batch_size=AT_ONCE)
  else:
    size = model.prior.components
    components_NM = class_N[:, None] * size + jnp.arange(size)
    args = components_NM, v_NF, s_NF
    each = lambda x: score(*x)
    found_NM = jax.lax.map(each, args, batch_size=AT_ONCE)
  return found_NM + model.prior.log_weights[components_NM], components_NM


def _scorer(model, places, trust):
  """(components [M], v [F], s [F]) -> evidence [M], renders made once."""
  top_KD = model.prior.mean_KD
  if is_slab(model):
    every = render_slab(top_KD, model.layers[2])
    behind = Slab(*(jnp.tile(x, places) for x in model.background[2]))

    def score(component_M, v_F, s_F):
      logit_MF, mean_MF = (x[component_M] for x in every[:2])
      slab = Slab(logit_MF, mean_MF, every.sd)
      v_MF = jnp.broadcast_to(v_F, mean_MF.shape)
      return spike_slab.read_logp(v_MF, slab, behind, s_F, trust).sum(axis=1)

    return score
  mean_KF, sd_F = render_gaussian(top_KD, model.layers[2])
  wide_F = sd_F * jnp.sqrt(1 + 1 / trust)
  return lambda component_M, v_F, s_F: (
    -(0.5 * s_F * ((v_F - mean_KF[component_M]) / wide_F) ** 2).sum(axis=1)
  )


class Chosen(NamedTuple):
  """Posterior of components, of which M are in question for each image.

  Attributes:
    component_N: the one with most evidence.
    best_N: that evidence.
    components_NM: the numbers of all.
    weight_NM: their posterior, which sums to 1.
  """

  component_N: jax.Array
  best_N: jax.Array
  components_NM: jax.Array
  weight_NM: jax.Array


def choose(model: Generative, weighed, logits_NY, clamp_N, options) -> Chosen:
  """The posterior of components of each image, within the clamped class.

  Without readings it is the prior of the class, which the classifier says where
  none is clamped.

  Args:
    model: Generative.
    weighed: of `evidence`, of the clamped classes or of all.
    logits_NY: of the classifier.
    clamp_N: classes, or ANY.
    options: Options.
  """
  found_NM, components_NM = weighed
  said_N = jnp.where(clamp_N == ANY, jnp.argmax(logits_NY, axis=1), clamp_N)
  prior_NM = model.prior.log_weights[components_NM]
  own_NM = model.prior.classes[components_NM] == said_N[:, None]
  silent_NM = jnp.where(own_NM, prior_NM, -jnp.inf)
  found_NM = jnp.where(options.bottom_up > 0, found_NM, silent_NM)
  best_N1 = jnp.argmax(found_NM, axis=1)[:, None]
  pick = lambda x_NM: jnp.take_along_axis(x_NM, best_N1, axis=1)[:, 0]
  weight_NM = jax.nn.softmax(found_NM, axis=1)
  return Chosen(pick(components_NM), pick(found_NM), components_NM, weight_NM)
