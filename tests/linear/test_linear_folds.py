"""Folds and draws of whole groups."""

import numpy as np
import pytest

from rlhf_jax.linear.folds import first_groups, grouped_folds

GROUP = np.array([7, 3, 3, 9, 1, 7, 2, 5, 5, 5, 8])


def test_a_group_lies_in_one_fold_and_folds_are_even():
  fold_N = grouped_folds(GROUP, 3, np.random.default_rng(0))
  assert set(fold_N) == {0, 1, 2}
  homes = {g: set(fold_N[GROUP == g]) for g in GROUP}
  assert all(len(home) == 1 for home in homes.values())
  sizes = [sum(home == {f} for home in homes.values()) for f in range(3)]
  assert sorted(sizes) == [2, 2, 3]


def test_another_draw_gives_other_folds_and_the_same_draw_the_same():
  one, same, other = (
    grouped_folds(GROUP, 3, np.random.default_rng(seed)) for seed in (0, 0, 1)
  )
  np.testing.assert_array_equal(one, same)
  assert (one != other).any()


@pytest.mark.parametrize('folds', [1, 9])
def test_more_folds_than_groups_or_fewer_than_two_are_an_error(folds):
  with pytest.raises(ValueError, match=f'got {folds} folds of 7 groups'):
    grouped_folds(GROUP, folds, np.random.default_rng(0))


def test_a_draw_of_units_ends_with_a_whole_group():
  for units in range(1, len(GROUP) + 1):
    rows = first_groups(GROUP, units, np.random.default_rng(4))
    assert len(set(rows)) == len(rows) >= units
    there = {g for g in GROUP if set(np.flatnonzero(GROUP == g)) & {*rows}}
    assert sum((GROUP == g).sum() for g in there) == len(rows)
    last = (GROUP == GROUP[rows[-1]]).sum()
    assert len(rows) - last < units


def test_larger_draws_hold_smaller_ones_and_the_largest_is_all():
  draw = lambda units: first_groups(GROUP, units, np.random.default_rng(4))
  few, many = draw(3), draw(8)
  np.testing.assert_array_equal(many[: len(few)], few)
  assert sorted(draw(99)) == list(range(len(GROUP)))
