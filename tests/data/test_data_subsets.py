"""Rows drawn by the weights of subsets."""

import numpy as np
import pytest

from rlhf_jax.data.subsets import draw_rows, kind_weights, subset_of

KIND_N = np.random.default_rng(7).permutation(np.int32([0] * 60 + [1] * 40))
HALF_N = np.random.default_rng(8).random(100) < 0.7


def of_before(subset, seed):
  """How `train_subset` chose rows when it was one of three names."""
  kinds = {'mix': (0, 1), 'helpful': (0,), 'harmless': (1,)}[subset]
  rng = np.random.default_rng([seed, 1])
  wanted = np.isin(KIND_N, kinds) & HALF_N
  return rng.permutation(np.flatnonzero(wanted))


@pytest.mark.parametrize('subset', ['mix', 'helpful', 'harmless'])
def test_the_three_names_give_the_rows_that_they_gave(subset):
  for seed in (0, 1):
    rows = draw_rows(
      KIND_N,
      kind_weights(subset),
      np.random.default_rng([seed, 1]),
      HALF_N,
    )
    np.testing.assert_array_equal(rows, of_before(subset, seed))
    assert len(rows) > 20


def test_labels_come_in_the_proportion_of_their_weights_from_the_start():
  """2 : 1 in every beginning, no row twice, until one has no more."""
  weights = kind_weights({'helpful': 2, 'harmless': 1})
  rows = draw_rows(KIND_N, weights, np.random.default_rng(0))
  assert len(set(rows.tolist())) == len(rows) == 90  # 60 helpful are all
  for m in range(1, 91):
    helpful = (KIND_N[rows[:m]] == 0).sum()
    assert abs(helpful - 2 * m / 3) <= 1
  assert (KIND_N[rows] == 0).sum() == 60


def test_a_seed_gives_its_rows_again_and_another_gives_others():
  draw = lambda seed: draw_rows(
    KIND_N, {0: 1.0, 1: 1.0}, np.random.default_rng(seed), HALF_N
  )
  np.testing.assert_array_equal(draw(0), draw(0))
  assert not np.array_equal(draw(0), draw(1))
  assert HALF_N[draw(0)].all()


def test_labels_may_be_names_and_those_without_a_weight_are_left_out():
  source_N = np.array(['base', 'online', 'rejection'] * 20)
  rows = draw_rows(
    source_N,
    {'base': 3.0, 'online': 1.0, 'rejection': 0.0},
    np.random.default_rng(0),
  )
  assert set(source_N[rows]) == {'base', 'online'}
  assert (source_N[rows[:20]] == 'base').sum() == 15


def test_a_label_that_does_not_occur_leaves_nothing_to_draw():
  rows = draw_rows(KIND_N, {0: 1.0, 2: 1.0}, np.random.default_rng(0))
  assert len(rows) == 0


@pytest.mark.parametrize('weights', [{0: -1.0, 1: 2.0}, {0: 0.0}])
def test_senseless_weights_are_refused(weights):
  with pytest.raises(ValueError, match='wanted weights of 0 and more'):
    draw_rows(KIND_N, weights, np.random.default_rng(0))


@pytest.mark.parametrize('subset', ['helpfull', {'helpful': 1, 'rude': 1}, {}])
def test_kinds_that_there_are_not_are_refused(subset):
  with pytest.raises(ValueError, match="wanted 'mix', one of helpful"):
    kind_weights(subset)


def test_a_train_subset_says_kinds_shares_and_a_weight():
  assert subset_of('mix').kinds == (0, 1) and subset_of('mix').shares is None
  assert subset_of('helpful').kinds == (0,) == subset_of('100/0').kinds
  assert subset_of('harmless').kinds == (1,) == subset_of('0/100').kinds
  assert subset_of('30/70').kinds == (0, 1)
  weights = subset_of('mix*2.5').weights(KIND_N)
  np.testing.assert_array_equal(weights, np.where(KIND_N == 1, 2.5, 1.0))
  assert (subset_of('30/70').weights(KIND_N) == 1).all()


@pytest.mark.parametrize(
  'text', ['', 'both', '0/0', '30', '30/70*', 'mix*0', 'helpful*2', '-1/2']
)
def test_what_is_no_subset_is_one_line(text):
  with pytest.raises(ValueError, match='wanted a train_subset such as'):
    subset_of(text)
