"""V2 where nothing is observed, fitted to layers that are inferred.

Behind an occluder a layer is not what the classifier computes of a clean image
but what the layers above expect, a mean over many components. A map that was
fitted to clean layers finds too little ink in it. These maps are fitted to
training digits behind occluders of all sizes, each layer as it is inferred.
"""

import jax
import jax.numpy as jnp
import numpy as np

from rlhf_jax.data.composites import occluder_masks
from rlhf_jax.losses import spike_slab
from rlhf_jax.models.cnn import fit
from rlhf_jax.models.cnn.evidence import evidence
from rlhf_jax.models.cnn.render import render_slab
from rlhf_jax.models.cnn.share import observed_shares
from rlhf_jax.train.descend import descend
from rlhf_jax.train.optimiser import make_optimiser

TX = make_optimiser()
ROWS = 100  # images that are read at once
PERCENTS = (0, 20, 35, 50, 70, 100)  # of an image, hidden


def top_of(acts):
  """The dense layer alone."""
  return acts.value[3]


def in_parts(program, params, image_NHW, pick=lambda acts: acts):
  """Activations of many images, a few at a time, as arrays on the host.

  Args:
    program: Programs.
    params: of the classifier.
    image_NHW: images.
    pick: Activations -> what is kept of them.
  """
  parts = []
  for i in range(0, len(image_NHW), ROWS):
    acts = program.apply(params, image_NHW[i : i + ROWS, ..., None])
    parts.append(jax.device_get(pick(acts)))
  return joined(parts)


def joined(parts):
  """Arrays of several parts one after the other."""
  return jax.tree.map(lambda *x: np.concatenate(x), *parts)


def hidden(count, side, rng):
  """Masks [N, H, W], each of one of PERCENTS."""
  percent_N = rng.choice(PERCENTS, count)
  masks = [occluder_masks(1, side, percent, rng)[0] for percent in percent_N]
  return np.stack(masks)


def posterior(model, value_NHWC, share_NHW1, trust):
  """Posterior of all components of each image, [N, K]."""
  found_NK, _ = evidence(model, value_NHWC, share_NHW1, trust)
  return jax.nn.softmax(found_NK, axis=1)


def below(x, render):
  """Expected layer below under V2."""
  return spike_slab.expected(render_slab(x, render))


def _rows_of(function, *arrays):
  """A function of rows, a few at a time, on the host."""
  return joined(
    [
      np.asarray(function(*(x[i : i + ROWS] for x in arrays)))
      for i in range(0, len(arrays[0]), ROWS)
    ]
  )


def fit_unseen(config, program, params, train, rows, clean, model):
  """(layers of V2 where nothing is observed, {name: loss}).

  Args:
    config: of the stage.
    program: Programs.
    params: of the classifier.
    train: Digits.
    rows: of them, to which the layers are fitted.
    clean: Activations of these.
    model: V2 without them.
  """
  rng = np.random.default_rng([config['seed'], 23])
  key = jax.random.fold_in(jax.random.key(config['seed']), 23)
  mask_NHW = hidden(len(rows), config['side'], rng)
  share = observed_shares(jnp.asarray(mask_NHW), config['kernel'])
  acts = in_parts(program, params, train.image_NHW[rows] * mask_NHW)
  weigh = lambda *x: program.posterior(model, *x, config['trust'])
  counted = np.asarray(share[2]) * config['upper']
  weight_NK = _rows_of(weigh, acts.value[2], counted)
  mean = weight_NK @ np.asarray(model.prior.mean_KD)
  found, losses = {}, {}
  for layer in (3, 2, 1):
    target = clean.value[layer - 1]
    data = fit.partly_pair(acts, target, mean, layer, share[layer])
    start = model.layers[layer - 1]
    given = {'steps': config['fit_steps'], 'peak': config['fit_rate']}
    args = program.fit_slab, TX, start, data, jax.random.fold_in(key, layer)
    fitted, loss = descend(*args, **given)
    found[layer], losses[f'unseen_layer{layer}'] = (
      fit.finished(fitted),
      float(loss),
    )
    render = lambda x, own=found[layer]: program.below(x, own)
    mean = _rows_of(render, np.asarray(fit.without_reading(mean, layer)))
    mean = mean.reshape(target.shape)
  return tuple(found[layer] for layer in (1, 2, 3)), losses
