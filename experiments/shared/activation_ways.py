"""Ways to answer the queries: three models, their ablations, and baselines.

A way is called with images and gives arrays on the host; all of them go through
a few compiled programs, `eval_batch` images at a time.
"""

import functools
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from rlhf_jax.models.cnn import queries
from rlhf_jax.models.cnn.backward import Found, Query, infer, render_down
from rlhf_jax.models.cnn.evidence import Options

# What an ablation changes of the whole, V2 with the config's iterations.
ABLATIONS = {
  'no_bottom_up': {'bottom_up': 0.0},
  'no_top_down': {'top_down': 0.0},
  'no_switches': {'switches': 0.0},
}
ITERATIONS = (1, 2, 5)  # besides those of the config


class Way(NamedTuple):
  """A pass of a model.

  Attributes:
    model: 'v0', 'v1' or 'v2'.
    iterations: passes.
    changes: of its Options.
  """

  model: str
  iterations: int
  changes: dict


def ways_of(config) -> dict[str, Way]:
  """{name: Way}: the models, the ablations of V2, numbers of iterations."""
  count = config['iterations']
  found = {name: Way(name, count, {}) for name in ('v0', 'v1', 'v2')}
  found |= {name: Way('v2', count, x) for name, x in ABLATIONS.items()}
  found |= {f'passes_{n}': Way('v2', n, {}) for n in ITERATIONS}
  return found


class Answers:
  """All ways of one seed.

  Args:
    config: of the stage.
    fitted: of `activation_models.fit_all`.
    program: of `activation_models.programs_of`.
  """

  def __init__(self, config, fitted, program):
    self.config, self.fitted, self.program = config, fitted, program
    self.ways = ways_of(config)

  def apply(self, image_NHW):
    """Activations of images."""
    return self.program.apply(
      self.fitted.params, jnp.asarray(image_NHW)[..., None]
    )

  def classes(self, image_NHW):
    """Classes that the frozen classifier says, [N]."""
    each = lambda x: self.apply(x).logits_BY.argmax(axis=1)
    return self.batched(each, image_NHW)

  def batched(self, function, *arrays, axis=0):
    """A function of equal batches, the last one filled up, on the host.

    Args:
      function: arrays -> an array or a NamedTuple of arrays.
      *arrays: with images along `axis` (the last of its leading axes).
      axis: 0, or 1 where hypotheses come first.
    """
    size, count = self.config['eval_batch'], arrays[0].shape[axis]
    parts = []
    for i in range(0, count, size):
      rows = np.arange(i, i + size) % count
      part = function(*(jnp.asarray(np.take(x, rows, axis)) for x in arrays))
      kept = min(size, count - i)
      if isinstance(part, tuple):
        parts.append([np.take(x, range(kept), axis) for x in part])
      else:
        parts.append([np.take(np.asarray(part), range(kept), axis)])
    joined = [np.concatenate(x, axis) for x in zip(*parts, strict=True)]
    return joined if len(joined) > 1 else joined[0]

  def infer(self, name, together=0.0):
    """The pass of a way, as `queries` want it."""
    way = self.ways[name]
    options = Options(
      trust=self.config['trust'],
      upper=self.config['upper'],
      together=together,
      **way.changes,
    )
    model = self.fitted.models[way.model]
    pass_of = functools.partial(
      self.program.backward, self.fitted.params, model
    )
    return lambda image, mask, clamp: infer(
      pass_of, Query(image, mask, clamp, options), way.iterations
    )

  def instances(self, name, image_NHW, label_2N, together=0.0) -> Found:
    """Two instances of each image, each by its clamped class."""
    infer = self.infer(name, together)
    each = lambda image, label: queries.instances(infer, image[0], label)
    found = self.batched(each, image_NHW[None], label_2N, axis=1)
    return Found(*found)

  def disambiguated(self, name, image_NHW, label_N):
    """Images as a class has them."""
    each = functools.partial(queries.disambiguated, self.infer(name))
    return self.batched(each, image_NHW, label_N)

  def recovered(self, name, image_NHW, mask_NHW):
    """queries.Recovered of images behind occluders."""
    each = functools.partial(queries.recovered, self.infer(name))
    return queries.Recovered(*self.batched(each, image_NHW, mask_NHW))

  def signal(self, rule, image_NHW, label_N):
    """What reaches the pixels from a class's logit."""
    each = functools.partial(self.program.signal[rule], self.fitted.params)
    return self.batched(each, image_NHW, label_N)

  def autoencoded(self, image_NHW):
    """Bottom-up alone: the autoencoder's image."""
    decode = lambda x: self.program.decode(
      self.fitted.decoder, self.apply(x).value[3]
    )
    return self.batched(decode, image_NHW)

  def top_down(self, label_N):
    """Top-down alone: the mean of the class's prior, rendered by V1."""
    prior = self.fitted.models['v1'].prior
    weight_YM = np.exp(np.asarray(prior.log_weight_YM))
    mean_YMD = np.reshape(prior.mean_KD, (*weight_YM.shape, -1))
    top_YD = np.einsum('ym,ymd->yd', weight_YM, mean_YMD)
    image_YHW = render_down(self.fitted.models['v1'], jnp.asarray(top_YD))
    return np.asarray(image_YHW)[label_N]

  def class_mean(self, label_N):
    """The mean image of a class."""
    return np.asarray(self.fitted.means_YHW)[label_N]

  def detected(self, image_NHW):
    """{'v2', 'logit': queries.Placed} in images larger than a window."""
    params, config = self.fitted.params, self.config
    model = self.fitted.models['v2']
    by_model = lambda image: self.program.weigh(
      params, model, image, config['trust']
    )

    def by_logit(image):
      logits_NY = self.apply(image).logits_BY
      return logits_NY.argmax(axis=1), logits_NY.max(axis=1)

    def placed(score):
      whole = lambda window: self.batched(score, np.asarray(window))
      args = np.asarray(image_NHW), config['side'], config['stride']
      return queries.detected(whole, *args)

    return {'v2': placed(by_model), 'logit': placed(by_logit)}
