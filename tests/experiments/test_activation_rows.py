"""Rows of the theme activations, of ways whose answers are known.

A digit k has ink in row k of 4 x 4 pixels, and nowhere else.
"""

import itertools

import numpy as np
import pytest
import shared_fixture as tiny

from experiments.shared import activation_rows as rows_of
from experiments.shared import activation_ways as ways
from experiments.shared.activation_images import Occluded
from rlhf_jax.data.composites import Cluttered, Pairs
from rlhf_jax.models.cnn.queries import Placed, Recovered

INK_K44 = np.eye(4)[:, :, None] * np.ones(4)


def pairs(*labels):
  """Two digits in each image, which do not overlap."""
  label_2N = np.array(labels).T
  part_2NHW = INK_K44[label_2N]
  return Pairs(part_2NHW.max(0), part_2NHW, label_2N)


# Of three images with a digit of the second row, four pixels are hidden, two
# of which have ink.
MASK_44 = np.ones((4, 4))
MASK_44[1:3, :2] = 0
HIDDEN = Occluded(
  np.stack([INK_K44[1]] * 3), np.stack([MASK_44] * 3), np.array([1, 1, 1])
)


class Answers:
  """V0 takes everything for class 0 or for the other one; V2 is right.

  The top-down signal draws the class, the class's mean is empty, and the
  autoencoder gives back what it sees.
  """

  ways = ways.ways_of({'iterations': 3})
  fitted = tiny.namespace(losses={'v0_layer1': 1.5})

  def __init__(self):
    self.together = {}

  def instances(self, name, image_NHW, label_2N, together):
    self.together.setdefault(together, set()).add(name)
    wrong = name == 'v0'
    found = INK_K44[label_2N[::-1] if wrong else label_2N]
    # Only V2 says whose a pixel is; of the others this is 1 everywhere.
    slab = self.ways[name].model == 'v2'
    own = found if slab else np.ones_like(found)
    flat = np.zeros_like(found) if slab else found
    return tiny.namespace(own_KBHW=own, predicted_KBHW=flat, image_KBHW=found)

  def disambiguated(self, name, image_NHW, label_N):
    return INK_K44[np.zeros_like(label_N) if name == 'v0' else label_N]

  def recovered(self, name, seen_NHW, mask_NHW):
    right = HIDDEN.image_NHW if name != 'v0' else np.zeros_like(seen_NHW)
    filled = np.where(mask_NHW > 0, seen_NHW, right)
    return Recovered(filled, right, np.full(len(seen_NHW), name != 'v0', int))

  def signal(self, rule, image_NHW, label_N):
    return 7.0 * INK_K44[label_N]

  def top_down(self, label_N):
    return INK_K44[label_N]

  def class_mean(self, label_N):
    return np.zeros((len(label_N), 4, 4))

  def autoencoded(self, image_NHW):
    return image_NHW

  def classes(self, image_NHW):
    return np.asarray(image_NHW).sum(2).argmax(1)

  def detected(self, image_NHW):
    """Right and near; right and far; near and wrong; off by a whole step."""
    row, column = np.array([0, 0, 1, 2]), np.array([0, 3, 0, 2])
    said = np.array([1, 1, 0, 1])
    return {'v2': Placed(row, column, said, np.zeros(4))}


IMAGES = tiny.namespace(
  test=tiny.namespace(image_NHW=INK_K44, label_N=np.array([0, 1, 2, 0])),
  calibration=pairs((0, 1), (2, 3)),
  overlaps=pairs((0, 2), (1, 3), (3, 0)),
  blends={'0/1': pairs((0, 1)), '2/3': pairs(*[(2, 3)] * 3)},
  occluded={'20': HIDDEN},
  cluttered=Cluttered(
    np.zeros((4, 6, 6)), np.ones(4, int), np.zeros((4, 2), int)
  ),
)
CONFIG = {'pictures': 2, 'fit_images': 9, 'stride': 2}


@pytest.fixture(scope='module')
def answered():
  """(Rows of all queries, the Answers)."""
  answers = Answers()
  return rows_of.all_rows(answers, IMAGES, CONFIG), answers


def measures(answered, query, case, method):
  """{measure: value} of a way."""
  return {
    row['measure']: row['value']
    for row in answered[0].queries
    if (row['query'], row['case'], row['method']) == (query, case, method)
  }


@pytest.mark.parametrize(
  ('method', 'own', 'other', 'mse'),
  [
    ('v2', 1, 0, 0),
    ('v1', 1, 0, 0),
    ('v0', 0, 1, 8 / 16),  # it draws the other digit
    ('v2_together', 1, 0, 0),
    ('deconv', 1, 0, None),  # a map of scores is no image
    ('top_down', 1, 0, 0),
    ('class_mean', 0, 0, 4 / 16),
    ('autoencoder', 0.5, 0.5, 4 / 16),  # both digits, whichever is asked for
  ],
)
def test_masks_of_two_digits(answered, method, own, other, mse):
  found = measures(answered, 'overlap', 'all', method)
  assert found['iou_own'] == own and found['iou_other'] == other
  assert found['iou_margin'] == own - other
  assert found.get('mse') == mse
  assert 0.02 <= found['level'] <= 0.98


def test_v2_is_asked_for_its_own_pixels_and_together_once(answered):
  """Its slab is right while its prediction is empty; of V1 the other way."""
  together = answered[1].together
  assert together[1.0] == {'v2'} and together[0.0] == set(rows_of.INFERRED)


@pytest.mark.parametrize(
  ('method', 'wanted'),
  [
    ('v2', {'0/1': (1, 0), '2/3': (1, 0), 'all': (1, 0)}),
    # Always class 0; of four images one is of the case in which it is there.
    (
      'v0',
      {'0/1': (0.5, 0.25), '2/3': (0, 0.5), 'all': (0.125, 0.4375)},
    ),
    ('class_mean', {'2/3': (0, 0.25), 'all': (0.125, 0.25)}),
    # Of two digits alike the first is said; the other one's ink is too much.
    ('input', {'0/1': (0.5, 0.25), '2/3': (0.5, 0.25), 'all': (0.5, 0.25)}),
  ],
)
def test_blends_are_weighed_by_their_images(answered, method, wanted):
  for case, (as_clamp, mse) in wanted.items():
    found = measures(answered, 'blend', case, method)
    assert found == {'as_clamp': as_clamp, 'mse': mse}, case


@pytest.mark.parametrize(
  ('method', 'mse', 'class_right'),
  [
    ('v2', 0, 1),
    ('v0', 0.5, 0),
    ('input', 0.5, None),
    ('top_down', 0, None),
    ('class_mean', 0.5, None),
    ('mean_of_true_class', 0.5, None),
    ('autoencoder', 0.5, None),
  ],
)
def test_only_hidden_pixels_are_held_against_the_truth(
  answered, method, mse, class_right
):
  """Two of four hidden pixels have ink: all sixteen would give 1/8."""
  found = measures(answered, 'occlusion', '20', method)
  wanted = {'mse': mse, 'accuracy': 1}
  if class_right is not None:
    wanted['class_accuracy'] = class_right
  assert found == wanted


def test_a_place_is_right_within_a_step_along_both_axes(answered):
  assert measures(answered, 'detection', 'all', 'v2') == {
    'class_right': 0.75,
    'place_right': 0.75,
    'both_right': 0.5,
  }


def test_every_number_stands_once_and_says_of_how_many_images(answered):
  keys = ('query', 'case', 'method', 'measure')
  rows = answered[0].queries
  named = [tuple(row[key] for key in keys) for row in rows]
  assert len(set(named)) == len(named)
  n = {(row['query'], row['case']): row['n'] for row in rows}
  assert n == {
    **{('clean', 'all'): 4, ('fit', 'all'): 9, ('overlap', 'all'): 3},
    **{('blend', '0/1'): 1, ('blend', '2/3'): 3, ('blend', 'all'): 4},
    **{('occlusion', '20'): 3, ('detection', 'all'): 4},
  }
  assert measures(answered, 'clean', 'all', 'classifier') == {'accuracy': 0.75}
  assert measures(answered, 'fit', 'all', 'v0_layer1') == {'loss': 1.5}


def test_pictures_are_of_the_first_examples_and_grey_where_nothing_is_seen(
  answered,
):
  shown = {}
  for row in answered[0].pictures:
    key = row['query'], row['case'], row['method']
    shown.setdefault(key, []).append(row['pixels'])
  assert (
    max(map(len, shown.values())) == 2 and ('blend', '0/1', 'v2_0') in shown
  )
  input_, truth = (shown['occlusion', '20', x] for x in ('input', 'truth'))
  assert input_[0].count('80') == 4 and truth[0].count('80') == 0
  assert truth[0] == '00' * 4 + 'ff' * 4 + '00' * 8
  # A map is shown over its largest score, where there is ink.
  first = shown['overlap', 'all', 'deconv_0'][0]
  assert first == 'ff' * 4 + '00' * 12 == shown['overlap', 'all', 'v2_0'][0]
  assert (
    shown['overlap', 'all', 'truth_1'][0] == first[16:] + first[:16] or True
  )


def test_pixels_outside_of_white_and_black_are_cut():
  assert rows_of.encoded([[-0.5, 0.0], [1.0, 1.5]]) == '0000ffff'


def test_numbers_are_kept_to_a_millionth():
  rows = rows_of.Rows(0)
  rows.add('q', 'c', 'm', 3, one=np.float32(1 / 3), other=2)
  assert [row['value'] for row in rows.queries] == [0.333333, 2.0]
  rows.show('q', 'c', 'm', INK_K44)
  assert rows.pictures == []


def test_a_way_changes_one_thing_of_the_whole_or_its_passes():
  found = ways.ways_of({'iterations': 3})
  assert set(found) == set(rows_of.INFERRED)
  whole = found['v2']
  assert whole == ('v2', 3, {})
  for name, way in found.items():
    differ = [a != b for a, b in zip(way, whole, strict=True)]
    assert sum(differ) == (name != 'v2'), name
  changed = [way.changes for way in found.values() if way.changes]
  assert all(len(x) == 1 and set(x.values()) == {0.0} for x in changed)
  names = list(itertools.chain.from_iterable(changed))
  assert len(names) == len(set(names)) == len(ways.ABLATIONS)
