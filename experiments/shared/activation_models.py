"""What the theme `activations` fits: a classifier, then models of it.

The classifier is trained first and never again: everything else takes its
parameters as they are (`digest` says whether they stayed so).
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.shared.activation_unseen import (
  ROWS,
  below,
  fit_unseen,
  in_parts,
  posterior,
  top_of,
)
from experiments.shared.devices import jit_named
from rlhf_jax import digests
from rlhf_jax.data.digits import CLASSES
from rlhf_jax.models.cnn import baselines, fit
from rlhf_jax.models.cnn.backward import one_pass
from rlhf_jax.models.cnn.baselines import Decoder, class_means
from rlhf_jax.models.cnn.evidence import Generative, evidence
from rlhf_jax.models.cnn.network import Classifier, kernel_of
from rlhf_jax.models.cnn.prior import fit_class, make_prior
from rlhf_jax.train.descend import descend, make_descent
from rlhf_jax.train.optimiser import make_optimiser

LAYERS = (1, 2, 3)
TX = make_optimiser()


class Fitted(NamedTuple):
  """Everything of a seed.

  Attributes:
    params: of the classifier.
    models: {'v0': Generative, 'v1': ..., 'v2': ...}.
    decoder: parameters of the autoencoder's upper half.
    means_YHW: mean image of each class.
    losses: {what was fitted: its last loss}.
  """

  params: dict
  models: dict
  decoder: dict
  means_YHW: jax.Array
  losses: dict


class Programs(NamedTuple):
  """Compiled functions of one architecture.

  Attributes:
    apply: (params, image_NHW1) -> Activations.
    train: a step of the classifier.
    backward: (params, model, query, guess, first) -> Found, one pass.
    decode: (params, top_BD) -> image_BHW.
    fit_decoder: a step of the decoder.
    fit_slab: a step of a layer of V2.
    fit_prior: mixtures of all classes.
    gram: sums of least squares.
    signal: {rule: (params, image_NHW, class_N) -> map} of baselines.
    weigh: (params, model, image_NHW, trust) -> (class_N, evidence_N).
    posterior: of `activation_unseen`, and
    below: likewise.
  """

  apply: object
  train: object
  backward: object
  decode: object
  fit_decoder: object
  fit_slab: object
  fit_prior: object
  gram: object
  signal: dict
  weigh: object
  posterior: object
  below: object


def classifier_loss(net, params, batch):
  """Mean cross-entropy of the labels, nats an image."""
  image_BHW, label_B = batch
  logits_BY = net.apply(params, image_BHW[..., None]).logits_BY
  picked_B = jax.nn.log_softmax(logits_BY)[jnp.arange(len(label_B)), label_B]
  return -picked_B.mean()


def decoder_loss(net, params, batch):
  """Mean squared error of a pixel."""
  top_BD, image_BHW = batch
  return ((net.apply(params, top_BD) - image_BHW) ** 2).mean()


def mixtures(h_YND, first_YM, steps):
  """`fit_class` of every class."""
  each = functools.partial(fit_class, steps=steps)
  return jax.vmap(each)(h_YND, first_YM)


def signal(net, rule, params, image_NHW, class_N):
  """What reaches the pixels from a class's logit by a rule of `baselines`."""
  acts = net.apply(params, image_NHW[..., None])
  if rule == 'gradient_times_input':
    return baselines.gradient_times_input(params, acts, class_N)
  return baselines.backward_signal(params, acts, class_N, rule)


def weigh(net, params, model, image_NHW, trust):
  """The class with most evidence in each image, and that evidence."""
  value = net.apply(params, image_NHW[..., None]).value[2]
  every = jnp.ones((*value.shape[:3], 1))
  found_NK, _ = evidence(model, value, every, trust)
  return model.prior.classes[found_NK.argmax(axis=1)], found_NK.max(axis=1)


@functools.cache
def programs(side, channels, dense, kernel, batch_size) -> Programs:
  """Programs of an architecture, compiled once in a process."""
  net = Classifier(tuple(channels), dense, kernel, CLASSES)
  decoder = Decoder(side, channels[0], kernel)
  descent = lambda loss, name: jit_named(
    make_descent(loss, TX, batch_size=batch_size), name
  )
  bound = lambda params, *rest: one_pass(
    functools.partial(net.apply, params), kernel, *rest
  )
  return Programs(
    apply=jit_named(net.apply, 'cnn_apply'),
    train=descent(functools.partial(classifier_loss, net), 'cnn_train'),
    backward=jit_named(bound, 'cnn_backward'),
    decode=jit_named(decoder.apply, 'cnn_decode'),
    fit_decoder=descent(
      functools.partial(decoder_loss, decoder), 'cnn_decoder'
    ),
    fit_slab=descent(fit.slab_loss, 'cnn_slab'),
    fit_prior=jit_named(mixtures, 'cnn_prior', static_argnums=2),
    gram=jit_named(fit.gram, 'cnn_gram', static_argnums=2),
    signal={
      rule: jit_named(functools.partial(signal, net, rule), f'cnn_{rule}')
      for rule in baselines.MAPS
    },
    weigh=jit_named(functools.partial(weigh, net), 'cnn_weigh'),
    posterior=jit_named(posterior, 'cnn_posterior'),
    below=jit_named(below, 'cnn_below'),
  )


def programs_of(config) -> Programs:
  """Programs of a config."""
  shape = ('side', 'channels', 'dense', 'kernel', 'batch_size')
  side, channels, *rest = (config[key] for key in shape)
  return programs(side, tuple(channels), *rest)


def count(side, channels, dense, kernel) -> int:
  """Parameters of a classifier."""
  first, second = channels
  flat = (side // 4) ** 2 * second
  convolutions = kernel**2 * (first + first * second) + first + second
  return convolutions + (flat + 1) * dense + (dense + 1) * CLASSES


def digest(params) -> str:
  """SHA-256 of parameters: their names, shapes and bytes."""
  parts = [
    f'{jax.tree_util.keystr(path)} {np.shape(x)} '.encode()
    + np.asarray(x).tobytes()
    for path, x in jax.tree_util.tree_leaves_with_path(params)
  ]
  return digests.of_bytes(b''.join(parts))


def train_classifier(config, program, train):
  """(parameters, last loss) of a classifier from fresh weights."""
  net = Classifier(
    tuple(config['channels']), config['dense'], config['kernel'], CLASSES
  )
  side = config['side']
  fresh, order = jax.random.split(jax.random.key(config['seed']))
  params = net.init(fresh, jnp.zeros((1, side, side, 1)))
  data = jnp.asarray(train.image_NHW), jnp.asarray(train.label_N)
  steps = config['epochs'] * len(train.label_N) // config['batch_size']
  args = program.train, TX, params, data, order
  return descend(*args, steps=steps, peak=config['learning_rate'])


def fit_v1(program, acts, layer, shape):
  """V1 of a layer, from sums over parts of the images."""
  kernel = shape[0] if layer < 3 else 0
  total = None
  for i in range(0, len(acts.logits_BY), ROWS):
    part = jax.tree.map(lambda x, i=i: x[i : i + ROWS], acts)
    sums = program.gram(*fit.layer_pair(part, layer), kernel)
    total = sums if total is None else jax.tree.map(jnp.add, total, sums)
  return fit.least_squares(total, shape)


def fit_v2(config, program, acts, layer, start, rng):
  """(V2 of a layer, last loss); positions are known of half of the images."""
  known_B = jnp.arange(len(acts.logits_BY)) % 2
  data = fit.layer_pair(acts, layer, known_B)
  model = fit.first_slab(start, data[1])
  given = {'steps': config['fit_steps'], 'peak': config['fit_rate']}
  args = program.fit_slab, TX, model, data, rng
  model, loss = descend(*args, **given)
  return fit.finished(model), loss


def fit_prior_of(config, program, top_ND, label_N, rng):
  """The prior of the top layer; every class has as many members."""
  rows = [np.flatnonzero(label_N == label) for label in range(CLASSES)]
  least = min(map(len, rows))
  first = [rng.permutation(least)[: config['components']] for _ in rows]
  members = np.stack([top_ND[own[:least]] for own in rows])
  slab, log_weight, _ = program.fit_prior(
    jnp.asarray(members), jnp.asarray(first), config['em_steps']
  )
  parts = [
    (jax.tree.map(lambda x, y=y: x[y], slab), log_weight[y])
    for y in range(CLASSES)
  ]
  return make_prior(parts)


def fit_models(config, program, params, images):
  """({'v0', 'v1', 'v2': Generative}, {name: loss})."""
  rng = np.random.default_rng([config['seed'], 22])
  key = jax.random.key(config['seed'])
  train = images.train
  top = in_parts(program, params, train.image_NHW, top_of)
  prior = fit_prior_of(config, program, top, train.label_N, rng)
  rows = rng.permutation(len(train.label_N))[: config['fit_images']]
  acts = in_parts(program, params, train.image_NHW[rows])
  clutter = in_parts(program, params, images.clutter, lambda x: x.value)
  background = tuple(fit.background_of(x) for x in clutter)
  layers, losses = {'v0': [], 'v1': [], 'v2': []}, {}
  for layer in LAYERS:
    pair = fit.layer_pair(acts, layer)
    kernel = kernel_of(params, layer)
    shape = (*kernel.shape[:-2], *kernel.shape[:-3:-1])
    layers['v0'].append(fit.tied(params, layer, *pair))
    layers['v1'].append(fit_v1(program, acts, layer, shape))
    start, own = layers['v1'][-1], jax.random.fold_in(key, layer)
    found, loss = fit_v2(config, program, acts, layer, start, own)
    layers['v2'].append(found)
    losses[f'v2_layer{layer}'] = float(loss)
    for name in ('v0', 'v1'):
      value = -fit.gaussian_logp(layers[name][-1], pair)
      losses[f'{name}_layer{layer}'] = float(value)
  models = {
    name: Generative(tuple(own), prior, background)
    for name, own in layers.items()
  }
  args = images.train, rows, acts, models['v2']
  unseen, own = fit_unseen(config, program, params, *args)
  models['v2'] = models['v2']._replace(unseen=unseen)
  return models, losses | own


def fit_decoder(config, program, params, train):
  """(parameters of the decoder, last loss)."""
  net = Decoder(config['side'], config['channels'][0], config['kernel'])
  top = jnp.asarray(in_parts(program, params, train.image_NHW, top_of))
  key = jax.random.fold_in(jax.random.key(config['seed']), 9)
  data = top, jnp.asarray(train.image_NHW)
  steps = config['epochs'] * len(train.label_N) // config['batch_size']
  args = program.fit_decoder, TX, net.init(key, top[:1]), data, key
  return descend(*args, steps=steps, peak=config['learning_rate'])


def fit_all(config, images, params) -> Fitted:
  """Models and baselines over a trained classifier."""
  program = programs_of(config)
  models, losses = fit_models(config, program, params, images)
  decoder, loss = fit_decoder(config, program, params, images.train)
  train = images.train
  means = class_means(train.image_NHW, train.label_N, CLASSES)
  losses['autoencoder'] = float(loss)
  return Fitted(params, models, decoder, means, losses)
