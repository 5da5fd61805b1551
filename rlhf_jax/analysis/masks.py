"""Masks of objects, and how well they lie on what they should."""

import numpy as np

INK = 0.25  # a pixel has ink above it
LEVELS = np.linspace(0.02, 0.98, 49)  # of a score over its largest


def ink(image_NHW) -> np.ndarray:
  """Pixels that have ink: bool."""
  return np.asarray(image_NHW) > INK


def iou(mask_NHW, truth_NHW) -> np.ndarray:
  """Intersection over union of each image, [N]; 0 of two empty masks.

  |mask and truth| / |mask or truth|
  """
  both_N = (mask_NHW & truth_NHW).sum(axis=(-2, -1))
  any_N = (mask_NHW | truth_NHW).sum(axis=(-2, -1))
  return both_N / np.maximum(any_N, 1)


def relative(score_NHW, seen_NHW) -> np.ndarray:
  """Scores over their largest on the ink that is seen; 0 off it and below 0.

  So a method's threshold does not depend on the scale of its scores.
  """
  on_NHW = np.where(ink(seen_NHW), np.maximum(score_NHW, 0.0), 0.0)
  top_N11 = on_NHW.max(axis=(-2, -1), keepdims=True)
  return on_NHW / np.where(top_N11 > 0, top_N11, 1.0)


def margins(score_2NHW, seen_NHW, part_2NHW, level) -> dict[str, np.ndarray]:
  """How much more a mask lies on its own object than on the other one.

    mask = ink and relative score >= level
    own = iou(mask, its object), other = iou(mask, the other object)

  Args:
    score_2NHW: of both hypotheses.
    seen_NHW: the image.
    part_2NHW: each object alone.
    level: threshold.

  Returns:
    {'own', 'other', 'margin': [2, N]}, margin = own - other.
  """
  truth_2NHW = ink(part_2NHW)
  mask_2NHW = relative(score_2NHW, seen_NHW) >= level
  own = iou(mask_2NHW, truth_2NHW)
  other = iou(mask_2NHW, truth_2NHW[::-1])
  return {'own': own, 'other': other, 'margin': own - other}


def best_level(score_2NHW, seen_NHW, part_2NHW) -> float:
  """The threshold of the largest mean margin; the lowest of equals.

  Every method gets its own, on images that nothing is measured on.
  """
  means = [
    margins(score_2NHW, seen_NHW, part_2NHW, level)['margin'].mean()
    for level in LEVELS
  ]
  return float(LEVELS[int(np.argmax(means))])


def squared_error(found_NHW, wanted_NHW, mask_NHW=None) -> float:
  """Mean squared error of pixels, or of those whose mask is 1.

  sum mask (found - wanted)^2 / sum mask, over all images
  """
  square_NHW = (np.asarray(found_NHW) - wanted_NHW) ** 2
  if mask_NHW is None:
    return float(square_NHW.mean())
  mask_NHW = np.broadcast_to(mask_NHW, square_NHW.shape)
  return float((square_NHW * mask_NHW).sum() / max(mask_NHW.sum(), 1))
