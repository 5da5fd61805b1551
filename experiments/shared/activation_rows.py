"""Rows of the tables of the theme `activations`: what every way answers.

activation_queries   query, case, method, measure, value, n
activation_pictures  query, case, example, method, side, pixels
"""

import numpy as np

from experiments.shared.activation_ways import ABLATIONS, ITERATIONS
from rlhf_jax.analysis import masks
from rlhf_jax.models.cnn.baselines import MAPS

MODELS = ('v0', 'v1', 'v2')
PASSES = tuple(f'passes_{n}' for n in ITERATIONS)
INFERRED = (*MODELS, *ABLATIONS, *PASSES)
ALL = 'all'  # cases of a query together
DIGITS = 2  # hexadecimal, of a pixel


class Rows:
  """Rows as they come in.

  Attributes:
    queries: dicts.
    pictures: dicts.
  """

  def __init__(self, pictures):
    self.queries, self.pictures, self._most = [], [], pictures

  def add(self, query, case, method, n, **measures):
    """Numbers of one way."""
    row = {'query': query, 'case': case, 'method': method}
    for name, value in measures.items():
      value = round(float(value), 6)
      self.queries.append(row | {'measure': name, 'value': value, 'n': n})

  def show(self, query, case, method, image_NHW):
    """Pictures of the first examples."""
    for example, image in enumerate(image_NHW[: self._most]):
      row = {'query': query, 'case': case, 'example': example}
      row |= {'method': method, 'side': len(image), 'pixels': encoded(image)}
      self.pictures.append(row)


def encoded(image_HW) -> str:
  """Pixels of [0, 1] as hexadecimal digits, two a pixel, row by row."""
  grey = np.clip(np.round(255 * np.asarray(image_HW)), 0, 255)
  return grey.astype(np.uint8).tobytes().hex()


def score_of(answers, method, pairs):
  """(scores [2, N, H, W] of both hypotheses, images or None) of a way."""
  seen, label_2N = pairs.image_NHW, pairs.label_2N
  if method in INFERRED or method == 'v2_together':
    together = float(method == 'v2_together')
    name = 'v2' if together else method
    found = answers.instances(name, seen, label_2N, together)
    is_slab = answers.ways[name].model == 'v2'
    score = found.own_KBHW if is_slab else found.predicted_KBHW
    return score, found.image_KBHW
  if method in MAPS:
    return np.stack([answers.signal(method, seen, x) for x in label_2N]), None
  maker = {'top_down': answers.top_down, 'class_mean': answers.class_mean}
  if method in maker:
    found = np.stack([maker[method](x) for x in label_2N])
  else:
    found = np.stack([answers.autoencoded(seen)] * 2)
  return found, found


OVERLAP_METHODS = (
  *(*INFERRED, 'v2_together', *MAPS),
  *('top_down', 'class_mean', 'autoencoder'),
)


def overlap_rows(answers, images, rows):
  """Two overlapping digits: masks, with thresholds of their own, and errors."""
  tuned, asked = images.calibration, images.overlaps
  n = len(asked.image_NHW)
  for example in range(2):
    rows.show('overlap', ALL, f'truth_{example}', asked.part_2NHW[example])
  rows.show('overlap', ALL, 'input', asked.image_NHW)
  for method in OVERLAP_METHODS:
    score, _ = score_of(answers, method, tuned)
    level = masks.best_level(score, tuned.image_NHW, tuned.part_2NHW)
    score, image = score_of(answers, method, asked)
    found = masks.margins(score, asked.image_NHW, asked.part_2NHW, level)
    measures = {f'iou_{k}': v.mean() for k, v in found.items()}
    if image is not None:
      measures['mse'] = masks.squared_error(image, asked.part_2NHW)
    rows.add('overlap', ALL, method, n, **measures, level=level)
    shown = score if image is None else image
    for which in range(2):
      picture = masks.relative(shown[which], asked.image_NHW)
      picture = picture if image is None else shown[which]
      rows.show('overlap', ALL, f'{method}_{which}', picture)


BLEND_METHODS = (*INFERRED, 'top_down', 'class_mean', 'autoencoder', 'input')


def blended(answers, method, pairs, which):
  """What a way makes of blends, clamped to one of their two classes."""
  label_N = pairs.label_2N[which]
  if method in INFERRED:
    return answers.disambiguated(method, pairs.image_NHW, label_N)
  return {
    'top_down': lambda: answers.top_down(label_N),
    'class_mean': lambda: answers.class_mean(label_N),
    'autoencoder': lambda: answers.autoencoded(pairs.image_NHW),
    'input': lambda: pairs.image_NHW,
  }[method]()


def blend_rows(answers, images, rows):
  """Blends of two digits, clamped to either class."""
  for case, pairs in images.blends.items():
    rows.show('blend', case, 'input', pairs.image_NHW)
    for which in range(2):
      rows.show('blend', case, f'truth_{which}', pairs.part_2NHW[which])
  for method in BLEND_METHODS:
    sums, total = [], 0
    for case, pairs in images.blends.items():
      n = len(pairs.image_NHW)
      found = [blended(answers, method, pairs, k) for k in range(2)]
      said = np.stack([answers.classes(x) for x in found])
      measures = {
        'as_clamp': (said == pairs.label_2N).mean(),
        'mse': masks.squared_error(np.stack(found), pairs.part_2NHW),
      }
      rows.add('blend', case, method, n, **measures)
      sums.append(n * np.array(list(measures.values())))
      total += n
      for which, image in enumerate(found if method != 'input' else ()):
        rows.show('blend', case, f'{method}_{which}', image)
    as_clamp, mse = np.sum(sums, axis=0) / total
    rows.add('blend', ALL, method, total, as_clamp=as_clamp, mse=mse)


OCCLUSION_METHODS = (
  *(*INFERRED, 'top_down', 'class_mean', 'autoencoder'),
  *('mean_of_true_class', 'input'),
)


def filled(answers, method, asked):
  """(image whose hidden pixels are a way's, or None; class it says or None)."""
  mask = asked.mask_NHW
  seen = asked.image_NHW * mask
  if method in INFERRED:
    found = answers.recovered(method, seen, mask)
    return np.asarray(found.image_BHW), np.asarray(found.class_B)
  if method == 'input':
    return seen, None
  said = answers.classes(seen)
  image = {
    'top_down': lambda: answers.top_down(said),
    'class_mean': lambda: answers.class_mean(said),
    'mean_of_true_class': lambda: answers.class_mean(asked.label_N),
    'autoencoder': lambda: answers.autoencoded(seen),
  }[method]()
  return np.where(mask > 0, seen, image), None


def occlusion_rows(answers, images, rows):
  """Digits behind occluders: hidden pixels, and the class of what is filled."""
  for case, asked in images.occluded.items():
    n = len(asked.label_N)
    rows.show('occlusion', case, 'truth', asked.image_NHW)
    # Grey under the occluder, so that a reader sees it.
    grey = np.where(asked.mask_NHW > 0, asked.image_NHW, 0.5)
    rows.show('occlusion', case, 'input', grey)
    whole = (answers.classes(asked.image_NHW) == asked.label_N).mean()
    rows.add('occlusion', case, 'truth', n, accuracy=whole)
    for method in OCCLUSION_METHODS:
      image, said = filled(answers, method, asked)
      hidden = 1 - asked.mask_NHW
      mse = masks.squared_error(image, asked.image_NHW, hidden)
      right = answers.classes(image) == asked.label_N
      measures = {'mse': mse, 'accuracy': right.mean()}
      if said is not None:
        measures['class_accuracy'] = (said == asked.label_N).mean()
      rows.add('occlusion', case, method, n, **measures)
      if method != 'input':
        rows.show('occlusion', case, method, image)


def detection_rows(answers, images, rows, stride):
  """One digit among pieces: whether class and place are found."""
  asked = images.cluttered
  for method, found in answers.detected(asked.image_NHW).items():
    right = np.asarray(found.class_B) == asked.label_N
    corner_N2 = np.stack([found.row_B, found.column_B], axis=1)
    off_N = np.abs(corner_N2 - asked.corner_N2).max(axis=1)
    near = off_N <= stride
    rows.add(
      *('detection', ALL, method, len(right)),
      class_right=right.mean(),
      place_right=near.mean(),
      both_right=(right & near).mean(),
    )


def all_rows(answers, images, config) -> Rows:
  """Rows of all queries."""
  rows = Rows(config['pictures'])
  n = len(images.test.label_N)
  right = answers.classes(images.test.image_NHW) == images.test.label_N
  rows.add('clean', ALL, 'classifier', n, accuracy=right.mean())
  for name, loss in answers.fitted.losses.items():
    rows.add('fit', ALL, name, config['fit_images'], loss=loss)
  overlap_rows(answers, images, rows)
  blend_rows(answers, images, rows)
  occlusion_rows(answers, images, rows)
  detection_rows(answers, images, rows, config['stride'])
  return rows
