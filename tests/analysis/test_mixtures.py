"""Mixtures: what a train_subset says, areas, and choices by other seeds."""

import math

import numpy as np
import pytest

from rlhf_jax.analysis import mixtures
from rlhf_jax.data.subsets import subset_of


@pytest.mark.parametrize(
  ('subset', 'share', 'weight'),
  [('30/70', 0.3, 1.0), ('67/33*4', 0.67, 4.0), ('0/100', 0.0, 1.0)],
)
def test_tables_and_stages_read_a_train_subset_alike(subset, share, weight):
  assert mixtures.share_of(subset) == pytest.approx(share)
  assert mixtures.weight_of(subset) == weight
  found = subset_of(subset)
  assert found.weight == weight
  total = sum(found.shares.values())
  assert found.shares[0] / total == pytest.approx(share)


def test_a_flat_curve_has_the_area_one_and_a_tent_three_quarters():
  share_N = np.linspace(0, 1, 11)
  flat = mixtures.normalised_area(share_N, 0.7 + 0 * share_N)
  assert flat == pytest.approx(1)
  tent_N = 0.8 * (1 - np.abs(share_N - 0.5))  # from .4 to .8 and back
  order = [3, 1, 2, 0, 5, 4, 10, 9, 8, 7, 6]
  area = mixtures.normalised_area(share_N[order], tent_N[order])
  assert area == pytest.approx(0.75)
  assert math.isnan(mixtures.normalised_area(share_N[1:], tent_N[1:]))


def test_a_seed_has_no_part_in_its_own_choice():
  """The first seed alone would choose column 1."""
  table_SN = np.array([[0.0, 9.0], [2.0, 1.0], [2.0, 1.0]])
  assert mixtures.chosen_by_others(table_SN) == [0, 1, 1]
