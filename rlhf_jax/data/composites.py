"""Images with more, or less, than one digit: what the queries are asked of."""

from typing import NamedTuple

import numpy as np

from rlhf_jax.data.digits import Digits

BLENDS = ((4, 9), (3, 8), (1, 7))
OCCLUDERS = (20, 35, 50)  # per cent of the image


class Pairs(NamedTuple):
  """Two digits in each image.

  Attributes:
    image_NHW: what is seen.
    part_2NHW: each digit alone, at its place.
    label_2N: of both.
  """

  image_NHW: np.ndarray
  part_2NHW: np.ndarray
  label_2N: np.ndarray


def shifted(image_NHW, shift_N2):
  """Images moved by whole pixels (down, right); what leaves is lost."""
  H, W = image_NHW.shape[1:]
  found = np.zeros_like(image_NHW)
  for out, image, (i, j) in zip(found, image_NHW, shift_N2, strict=True):
    to = slice(max(i, 0), H + min(i, 0)), slice(max(j, 0), W + min(j, 0))
    of = slice(max(-i, 0), H - max(i, 0)), slice(max(-j, 0), W - max(j, 0))
    out[to] = image[of]
  return found


def scattered(digits: Digits, shift, rng) -> Digits:
  """Digits moved by up to `shift` pixels along both axes."""
  shift_N2 = rng.integers(-shift, shift + 1, (len(digits.label_N), 2))
  return digits._replace(image_NHW=shifted(digits.image_NHW, shift_N2))


def overlaps(digits: Digits, count, shift, rng) -> Pairs:
  """Pairs of different classes that overlap: the larger ink of both.

    image = max(a, b),  each moved by up to `shift` pixels

  so that two digits lie up to 2 `shift` apart along an axis.
  """
  first_N = rng.integers(len(digits.label_N), size=count)
  second_N = np.array([_other(digits.label_N, row, rng) for row in first_N])
  moved = [scattered(digits.take(x), shift, rng) for x in (first_N, second_N)]
  part_2NHW = np.stack([x.image_NHW for x in moved])
  label_2N = np.stack([x.label_N for x in moved])
  return Pairs(part_2NHW.max(axis=0), part_2NHW, label_2N)


def _other(label_N, row, rng):
  """A row of another class."""
  return rng.choice(np.flatnonzero(label_N != label_N[row]))


def blends(digits: Digits, classes, count, shift, rng) -> Pairs:
  """Half of the ink of each of two digits, at one place.

    image = (a + b) / 2

  Args:
    digits: of all classes.
    classes: the two.
    count: images.
    shift: most pixels that both are moved by, together.
    rng: NumPy generator.
  """
  rows = [
    rng.choice(np.flatnonzero(digits.label_N == label), count)
    for label in classes
  ]
  shift_N2 = rng.integers(-shift, shift + 1, (count, 2))
  part_2NHW = np.stack(
    [shifted(digits.image_NHW[own], shift_N2) for own in rows]
  )
  label_2N = np.repeat(np.array(classes, np.int32)[:, None], count, axis=1)
  return Pairs(part_2NHW.mean(axis=0), part_2NHW, label_2N)


def occluder_masks(count, side, percent, rng):
  """Masks [N, H, W] that are 0 under a square of so many per cent, else 1.

  The square has whole pixels: its side is the nearest to
  side sqrt(percent / 100), anywhere in the image.
  """
  square = round(side * np.sqrt(percent / 100))
  mask_NHW = np.ones((count, side, side), np.float32)
  corner_N2 = rng.integers(0, side - square + 1, (count, 2))
  for mask, (i, j) in zip(mask_NHW, corner_N2, strict=True):
    mask[i : i + square, j : j + square] = 0
  return mask_NHW


def fragments(digits: Digits, count, side, pieces, rng):
  """Clutter [N, S, S]: pieces of digits, a third of their side, anywhere."""
  cut = digits.image_NHW.shape[1] // 3
  found = np.zeros((count, side, side), np.float32)
  for image in found:
    for row in rng.integers(len(digits.label_N), size=pieces):
      i, j = rng.integers(cut // 2, digits.image_NHW.shape[1] - cut, 2)
      piece = digits.image_NHW[row, i : i + cut, j : j + cut]
      i, j = rng.integers(0, side - cut + 1, 2)
      part = image[i : i + cut, j : j + cut]
      np.maximum(part, piece, out=part)
  return found


class Cluttered(NamedTuple):
  """One whole digit among pieces of others, in a larger image.

  Attributes:
    image_NHW: what is seen.
    label_N: of the digit.
    corner_N2: of the window that the digit's own image fills.
  """

  image_NHW: np.ndarray
  label_N: np.ndarray
  corner_N2: np.ndarray


def cluttered(digits: Digits, count, side, pieces, rng) -> Cluttered:
  """Digits anywhere in images of a larger side, among clutter."""
  own = digits.image_NHW.shape[1]
  image_NHW = fragments(digits, count, side, pieces, rng)
  rows = rng.integers(len(digits.label_N), size=count)
  corner_N2 = rng.integers(0, side - own + 1, (count, 2))
  for image, row, (i, j) in zip(image_NHW, rows, corner_N2, strict=True):
    part = image[i : i + own, j : j + own]
    np.maximum(part, digits.image_NHW[row], out=part)
  return Cluttered(image_NHW, digits.label_N[rows], corner_N2)
