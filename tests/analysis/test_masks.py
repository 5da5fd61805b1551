"""Masks of objects, by hand."""

import numpy as np
import pytest

from rlhf_jax.analysis import masks

# Two objects in four pixels: the first has 0 and 1, the second 1 to 3.
PARTS = np.array([[[[1.0, 1, 0, 0]]], [[[0, 1.0, 1, 1]]]])
SEEN = PARTS.max(axis=0)


def test_intersection_over_union_of_each_image():
  a = np.array([[[True, True, False]], [[False, False, False]]])
  b = np.array([[[False, True, True]], [[False, False, False]]])
  np.testing.assert_allclose(masks.iou(a, b), [1 / 3, 0])


def test_scores_are_relative_to_the_largest_on_ink():
  score = np.array([[[2.0, -1, 4, 8]]])
  seen = np.array([[[1.0, 1, 1, 0]]])
  np.testing.assert_allclose(masks.relative(score, seen), [[[0.5, 0, 1, 0]]])
  np.testing.assert_allclose(masks.relative(0 * score, seen), 0)


def test_a_perfect_mask_has_the_margin_of_the_truth():
  """Own 1; the other 1 of 4 pixels, for both hypotheses."""
  found = masks.margins(PARTS, SEEN, PARTS, 0.5)
  np.testing.assert_allclose(found['own'], 1)
  np.testing.assert_allclose(found['other'], 0.25)
  np.testing.assert_allclose(found['margin'], 0.75)


def test_all_ink_has_no_margin_of_two_objects():
  """Own 2/4 and 3/4: margins -1/4 and 1/4."""
  found = masks.margins(np.ones_like(PARTS), SEEN, PARTS, 0.5)
  np.testing.assert_allclose(found['margin'][:, 0], [-0.25, 0.25])
  assert found['margin'].mean() == 0


def test_the_threshold_is_the_one_of_the_largest_margin():
  """Between the other object's .3 and the own one's .6."""
  score = np.where(PARTS > 0, 0.6, 0.3)
  score[:, :, :, 1] = 1.0  # of both objects, and the largest
  level = masks.best_level(score, SEEN, PARTS)
  assert 0.3 < level <= 0.32 + 1e-9
  assert masks.margins(score, SEEN, PARTS, level)['margin'].mean() == 0.75


def test_errors_are_of_all_pixels_or_of_those_of_a_mask():
  found, wanted = np.array([[[1.0, 3.0]]]), np.array([[[0.0, 1.0]]])
  assert masks.squared_error(found, wanted) == pytest.approx(2.5)
  assert masks.squared_error(found, wanted, np.array([[[0, 1]]])) == 4
