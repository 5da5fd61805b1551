"""Kappa, alpha and agreement: published examples, hands and naive twins."""

import itertools
import math

import numpy as np
import pytest

from rlhf_jax.analysis import agreement_people as people

# Krippendorff 2011, section D: four observers, twelve units, 0 is missing.
EXAMPLE = (
  (1, 2, 3, 3, 2, 1, 4, 1, 2, 0, 0, 0),
  (1, 2, 3, 3, 2, 2, 4, 1, 2, 5, 0, 3),
  (0, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, 0),
  (1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, 0),
)


def test_alpha_is_that_of_krippendorffs_worked_example():
  """Nominal alpha .743, from the coincidences that he prints: n = 40."""
  rating_NR = np.array(EXAMPLE).T - 1
  o_KK = people.coincidences(rating_NR, 5).sum(0)
  np.testing.assert_allclose(o_KK.sum(1), [9, 13, 10, 5, 3])
  assert o_KK.sum() == pytest.approx(40)
  assert people.alpha(o_KK) == pytest.approx(0.743, abs=5e-4)


def naive_alpha(rating_NR):
  """By pairs of votes: observed within items, expected between all votes."""
  items = [[v for v in row if v >= 0] for row in rating_NR]
  items = [row for row in items if len(row) > 1]
  votes = [v for row in items for v in row]
  n = len(votes)
  seen = sum(
    sum(a != b for a, b in itertools.permutations(row, 2)) / (len(row) - 1)
    for row in items
  )
  apart = sum(a != b for a, b in itertools.permutations(votes, 2))
  return 1 - (seen / n) / (apart / (n * (n - 1)))


def naive_kappa(a_N, b_N):
  both = [(a, b) for a, b in zip(a_N, b_N, strict=True) if a >= 0 and b >= 0]
  n = len(both)
  same = sum(a == b for a, b in both) / n
  chance = sum(
    sum(a == k for a, _ in both) * sum(b == k for _, b in both)
    for k in range(4)
  )
  return (same - chance / n**2) / (1 - chance / n**2)


def votes(seed, items=40, raters=3, classes=4):
  rng = np.random.default_rng(seed)
  truth_N = rng.integers(classes, size=(items, 1))
  noise_NR = rng.integers(-1, classes, (items, raters))
  return np.where(rng.random((items, raters)) < 0.6, truth_N, noise_NR)


@pytest.mark.parametrize('seed', range(5))
def test_alpha_and_kappa_equal_their_naive_twins(seed):
  rating_NR = votes(seed)
  own_N, people_NR = rating_NR[:, 0], rating_NR[:, 1:]
  o_KK = people.coincidences(rating_NR, 4).sum(0)
  assert people.alpha(o_KK) == pytest.approx(naive_alpha(rating_NR))
  count_KK = people.pair_counts(own_N, people_NR[:, :1], 4).sum(0)
  wanted = naive_kappa(own_N, people_NR[:, 0])
  assert people.kappa(count_KK) == pytest.approx(wanted)
  pairs = [[v, w] for v, row in zip(own_N, people_NR, strict=True) for w in row]
  found = people.with_people(own_N, people_NR, 4)
  assert found['alpha'].mean == pytest.approx(naive_alpha(pairs))
  same = [v == w for v, w in pairs if v >= 0 and w >= 0]
  assert found['agreement'].mean == pytest.approx(np.mean(same))
  assert found['votes'] == len(same)


def test_kappa_by_hand():
  """.7 agree of 100 where marginals are 50/50 and 60/40: chance .5."""
  count_KK = np.array([[40, 10], [20, 30]])
  assert people.agreement(count_KK) == 0.7
  assert people.kappa(count_KK) == pytest.approx((0.7 - 0.5) / 0.5)


def test_among_people_kappa_is_the_mean_over_pairs():
  rating_NR = votes(7)
  kappas = people.pair_kappas(rating_NR)
  wanted = [
    naive_kappa(rating_NR[:, a], rating_NR[:, b])
    for a, b in itertools.combinations(range(3), 2)
  ]
  np.testing.assert_allclose(list(kappas.values()), wanted)
  found = people.between_people(rating_NR)
  assert found['kappa'].mean == pytest.approx(np.mean(wanted))
  assert found['alpha'].mean == pytest.approx(naive_alpha(rating_NR))
  for name in people.STATISTICS:
    assert found[name].low < found[name].mean < found[name].high


@pytest.mark.parametrize('seed', range(5))
def test_votes_of_nobody_in_particular_are_pooled_as_their_naive_twin(seed):
  """Every pair of votes, in both orders, as a list; columns fill unevenly."""
  rng = np.random.default_rng(seed)
  vote_NR = votes(seed)
  vote_NR[rng.random(40) < 0.8, 2] = people.MISSING
  items = [[v for v in row if v >= 0] for row in vote_NR]
  pairs = [p for row in items for p in itertools.permutations(row, 2)]
  found = people.between_votes(vote_NR)
  wanted = naive_kappa([a for a, _ in pairs], [b for _, b in pairs])
  assert found['kappa'].mean == pytest.approx(wanted)
  assert found['agreement'].mean == pytest.approx(
    np.mean([a == b for a, b in pairs])
  )
  assert found['alpha'].mean == pytest.approx(naive_alpha(vote_NR))
  assert found['votes'] == len(pairs) // 2
  assert found['items'] == sum(len(row) > 1 for row in items)
  for name in people.STATISTICS:
    assert found[name].low < found[name].mean < found[name].high
  # Whose vote stands in which column says nothing.
  again = people.between_votes(rng.permuted(vote_NR, axis=1))
  assert [again[x] for x in again] == [found[x] for x in found]


@pytest.mark.parametrize('third', [0, 1])
def test_one_third_vote_beside_fifty_pairs_changes_little(third):
  """A mean over columns gave its two pairs twice the weight of all others."""
  vote_NR = np.full((51, 3), people.MISSING)
  vote_NR[:, :2] = np.arange(51)[:, None] % 2
  vote_NR[50, 2] = third
  found = people.between_votes(vote_NR, 2)
  # 106 ordered pairs; a third vote of 1 differs from both of its item.
  chance = ((54 + 2 * (1 - third)) ** 2 + (50 + 2 * third) ** 2) / 106**2
  apart = 4 * third / 106
  assert found['agreement'].mean == pytest.approx(1 - apart)
  assert found['kappa'].mean == pytest.approx(1 - apart / (1 - chance))
  assert found['kappa'].mean == pytest.approx(found['alpha'].mean, abs=0.05)


def test_one_class_alone_has_agreement_but_no_kappa_or_alpha():
  same_N = np.zeros(6, int)
  found = people.with_people(same_N, same_N[:, None])
  assert found['agreement'].mean == 1
  assert math.isnan(found['kappa'].mean) and math.isnan(found['alpha'].mean)
  none = people.with_people(np.full(3, -1), np.zeros((3, 1), int))
  assert none['votes'] == 0 and math.isnan(none['agreement'].mean)


def test_the_interval_covers_as_often_as_it_says():
  """200 samples of 60 items, agreement .7; the error of a share is .015."""
  rng, inside = np.random.default_rng(0), 0
  for _ in range(200):
    same_N = (rng.random(60) < 0.7).astype(float)
    parts_N2 = np.stack([same_N, np.ones(60)], 1)
    ratio = lambda x: x[..., 0] / x[..., 1]
    found = people.bootstrap(parts_N2, ratio, rng, draws=300)
    inside += found.low <= 0.7 <= found.high
  assert inside / 200 == pytest.approx(0.95, abs=0.045)


def test_s2_keeps_votes_for_a_side_and_a_majority_is_more_than_half():
  np.testing.assert_array_equal(
    people.decided([0, 1, 2, 3, -1]), [0, 1, -1, -1, -1]
  )
  rating_NR = [[0, 0, 1], [0, 1, 2], [1, -1, -1], [-1, -1, -1], [0, 1, -1]]
  np.testing.assert_array_equal(
    people.majority(rating_NR), [0, people.TIE, 1, -1, people.TIE]
  )


def test_a_vote_that_is_no_class_is_one_line():
  with pytest.raises(ValueError, match='wanted votes from 0 to 3'):
    people.pair_counts([4], [[0]], 4)


def test_pairs_of_one_prompt_are_drawn_together():
  """Five copies of each item say no more than the item, and no less."""
  rating_NR = votes(3, items=30)
  copies = np.repeat(np.arange(30), 5)
  five_NR = rating_NR[copies]
  one = people.with_people(rating_NR[:, 0], rating_NR[:, 1:])
  five = people.with_people(five_NR[:, 0], five_NR[:, 1:], group_N=copies)
  among = people.between_people(five_NR, group_N=copies)
  assert five['items'] == 5 * one['items'] and five['votes'] == 5 * one['votes']
  for name in ('agreement', 'kappa'):
    assert five[name].mean == pytest.approx(one[name].mean)
    assert five[name].low == pytest.approx(one[name].low)
    assert five[name].n == one[name].n <= 30  # an item may lack a pair
    assert among[name].low == pytest.approx(
      people.between_people(rating_NR)[name].low
    )
