"""The crowd of a world: who its workers are, and how margins become odds."""

import dataclasses

import numpy as np
from scipy.special import ndtr


def _logistic(z):
  return 0.5 * (1.0 + np.tanh(0.5 * z))


def _probit(z):
  """Phi(z sqrt(2 pi) / 4), whose slope at 0 is the sigmoid's, 1/4."""
  return ndtr(z * np.sqrt(2 * np.pi) / 4)


LINKS = {'logistic': _logistic, 'probit': _probit}
# Noise whose difference between two replies has the law of the link: that of
# two Gumbel draws is logistic, that of two normal ones normal.
NOISES = {
  'logistic': lambda rng, n: rng.gumbel(size=n),
  'probit': lambda rng, n: rng.normal(0, 2 / np.sqrt(np.pi), n),
}


@dataclasses.dataclass(frozen=True)
class Worker:
  """A crowd worker.

  Attributes:
    bias: preference for the reply shown first, in gold units.
    noise: multiplies the temperature.
    attention: probability of judging at all; else a coin is flipped.
  """

  bias: float
  noise: float
  attention: float


def draw_workers(config, rng):
  """(bias, noise, attention) of `config.n_workers` workers, an array each."""
  n = config.n_workers
  bias_N = config.bias_sd * rng.standard_normal(n)
  noise_N = np.exp(config.noise_sd * rng.standard_normal(n))
  return bias_N, noise_N, rng.uniform(config.attention_low, 1.0, n)


class Crowd:
  """The workers of a world.

  Attributes:
    worker_bias: an array, as are worker_noise and worker_attention.
    workers: the same as Workers.
  """

  def _draw_workers(self, rng):
    found = draw_workers(self.config, rng)
    self.worker_bias, self.worker_noise, self.worker_attention = found
    self.workers = tuple(
      Worker(*map(float, row)) for row in zip(*found, strict=True)
    )
