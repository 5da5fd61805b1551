"""Images of one seed of the theme `activations`, and what is asked of them."""

from typing import NamedTuple

import numpy as np

from rlhf_jax.data import composites, digits
from rlhf_jax.data.composites import Cluttered, Pairs
from rlhf_jax.data.digits import CLASSES, Digits

SPARE = 1.2  # drawn digits over those that are wanted


class Occluded(NamedTuple):
  """Digits with a square that is not observed.

  Attributes:
    image_NHW: without an occluder.
    mask_NHW: 0 under it.
    label_N: of the digit.
  """

  image_NHW: np.ndarray
  mask_NHW: np.ndarray
  label_N: np.ndarray


class Images(NamedTuple):
  """All images of a seed.

  Attributes:
    train: single digits, several copies of each at different places.
    test: single digits, one of each.
    clutter: [N, H, W] of what a background is fitted to.
    calibration: overlaps of training digits, on which masks get a threshold.
    overlaps: of test digits, as are all that follow.
    blends: {'4/9': Pairs}.
    occluded: {'20': Occluded}.
    cluttered: a digit among pieces in a larger image.
  """

  train: Digits
  test: Digits
  clutter: np.ndarray
  calibration: Pairs
  overlaps: Pairs
  blends: dict[str, Pairs]
  occluded: dict[str, Occluded]
  cluttered: Cluttered


def source(config, rng) -> Digits:
  """The digits that a config asks for.

  Raises:
    ValueError: if real ones are asked for in another size, or are not there.
  """
  if config['images'] == 'mnist':
    if config['side'] != digits.SIDE:
      raise ValueError(
        f'side={config["side"]}: images of mnist have {digits.SIDE} pixels; '
        'set --config.side=28, or --config.images=drawn'
      )
    return digits.read_mnist()
  count = int(SPARE * (config['train_images'] + config['test_images']))
  return digits.draw(np.arange(count) % CLASSES, config['side'], rng)


def make(config) -> Images:
  """Images of a config's seed."""
  rng = np.random.default_rng([config['seed'], 21])
  shift = config['shift']
  every = source(config, rng)
  train, test = digits.split(
    every, config['train_images'], config['test_images'], rng
  )
  several = [
    composites.scattered(train, shift, rng) for _ in range(config['copies'])
  ]
  return Images(
    Digits(*(np.concatenate(x) for x in zip(*several, strict=True))),
    composites.scattered(test, shift, rng),
    clutter_of(train, config, rng),
    composites.overlaps(train, config['calibration'], shift, rng),
    composites.overlaps(test, config['overlaps'], shift, rng),
    {
      f'{a}/{b}': composites.blends(test, (a, b), config['blends'], shift, rng)
      for a, b in composites.BLENDS
    },
    {
      str(percent): occluded(test, percent, config, rng)
      for percent in composites.OCCLUDERS
    },
    composites.cluttered(
      test, config['cluttered'], config['canvas'], config['pieces'], rng
    ),
  )


def clutter_of(train, config, rng):
  """Half pieces of digits, half digits of any class: what may be behind."""
  count = config['fit_images'] // 2
  side, pieces = config['side'], config['pieces'] // 2
  pieces_NHW = composites.fragments(train, count, side, pieces, rng)
  rows = rng.integers(len(train.label_N), size=count)
  whole = composites.scattered(train.take(rows), config['shift'], rng)
  return np.concatenate([pieces_NHW, whole.image_NHW])


def occluded(test, percent, config, rng) -> Occluded:
  """Test digits behind squares of so many per cent."""
  count = config['occlusions']
  rows = rng.choice(len(test.label_N), count, replace=False)
  seen = composites.scattered(test.take(rows), config['shift'], rng)
  mask_NHW = composites.occluder_masks(count, config['side'], percent, rng)
  return Occluded(seen.image_NHW, mask_NHW, seen.label_N)
