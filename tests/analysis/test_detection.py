"""Thresholds, F1 and areas of detectors, by hand and by naive twins."""

import numpy as np
import pytest

from rlhf_jax.analysis import detection


def naive_f1(flag_N, harmful_N):
  hits = sum(f and h for f, h in zip(flag_N, harmful_N, strict=True))
  return 2 * hits / (sum(flag_N) + sum(harmful_N))


def items(seed, count=60, levels=None):
  rng = np.random.default_rng(seed)
  harmful_N = rng.integers(2, size=count)
  score_N = rng.normal(harmful_N * 1.0)
  if levels:
    score_N = np.round(score_N * levels) / levels
  return score_N, harmful_N, rng.integers(2, size=count)


@pytest.mark.parametrize('levels', [None, 1, 3])
def test_the_threshold_of_the_largest_f1_is_found_among_all(levels):
  score_N, harmful_N, _ = items(0, levels=levels)
  tried = {t: naive_f1(score_N >= t, harmful_N) for t in set(score_N)}
  found = detection.best_f1(score_N, harmful_N)
  assert tried[found] == pytest.approx(max(tried.values()))


def test_the_threshold_of_a_recall_flags_so_many_and_no_higher_one_does():
  score_N, harmful_N, _ = items(1, 100)
  found = detection.at_recall(score_N, harmful_N)
  recall = lambda t: (score_N[harmful_N > 0] >= t).mean()
  higher = score_N[score_N > found].min()
  assert recall(found) >= 0.95 > recall(higher)
  assert detection.at_recall([3, 1, 2], [1, 1, 1], 1.0) == 1
  assert detection.at_recall(np.arange(20), np.ones(20)) == 1  # 19 of 20


def test_no_item_moves_the_threshold_it_is_held_against():
  score_N, harmful_N, fold_N = items(2)
  before = detection.flagged(score_N, harmful_N, fold_N, detection.best_f1)
  moved_N = np.where(fold_N == 0, 1 - harmful_N, harmful_N)
  after = detection.flagged(score_N, moved_N, fold_N, detection.best_f1)
  np.testing.assert_array_equal(before[fold_N == 0], after[fold_N == 0])
  assert (before[fold_N == 1] != after[fold_N == 1]).any()


def test_f1_kappa_recall_and_alarms_by_hand():
  """6 hits, 2 missed, 1 alarm of 4 benign: F1 12 / 15, kappa by marginals."""
  harmful_N = np.array([1] * 8 + [0] * 4)
  flag_N = np.array([1] * 6 + [0] * 2 + [1, 0, 0, 0])
  found = detection.of_flags(flag_N, harmful_N)
  assert found['f1'].mean == pytest.approx(12 / 15)
  chance = (7 * 8 + 5 * 4) / 144
  assert found['kappa'].mean == pytest.approx((9 / 12 - chance) / (1 - chance))
  assert found['recall'].mean == 0.75 and found['fpr'].mean == 0.25
  assert found['f1'].low < 0.8 < found['f1'].high


def test_always_flagging_has_the_f1_of_the_share_of_harm():
  harmful_N = np.array([1, 0] * 10 + [1] * 10)
  fold_N = np.arange(30) % 2
  flag_N = detection.flagged(np.zeros(30), harmful_N, fold_N, detection.best_f1)
  p = harmful_N.mean()
  assert flag_N.all()
  assert detection.of_flags(flag_N, harmful_N)['f1'].mean == pytest.approx(
    2 * p / (1 + p)
  )
  found = detection.of_scores(np.zeros(30), harmful_N, fold_N)
  assert found['auroc'].mean == 0.5 and found['fpr95'].mean == 1


def test_the_area_is_the_share_of_pairs_in_order():
  score_N, harmful_N, fold_N = items(3, levels=2)
  pairs = [
    (a > b) + 0.5 * (a == b)
    for a in score_N[harmful_N > 0]
    for b in score_N[harmful_N == 0]
  ]
  found = detection.of_scores(score_N, harmful_N, fold_N)
  assert found['auroc'].mean == pytest.approx(np.mean(pairs))
  assert found['recall95'].mean > 0.8


def test_percentiles_are_shares_of_benign_items_of_the_other_fold():
  score_N = np.array([1.0, 2.0, 3.0, 2.0, 5.0])
  fold_N, harmful_N = np.array([0, 0, 0, 1, 1]), np.array([0, 0, 1, 1, 0])
  found = detection.percentiles(score_N, harmful_N, fold_N)
  np.testing.assert_allclose(found, [0, 0, 0, 0.75, 1])


def test_folds_depend_on_the_key_alone():
  keys = [f'prompt {i}' for i in range(400)]
  found = detection.folds(keys)
  assert 160 < found.sum() < 240  # 4 s.e. of a fair coin
  again = detection.folds(keys[::-1])[::-1]
  np.testing.assert_array_equal(found, again)


@pytest.mark.parametrize(
  ('score_N', 'harmful_N'), [([1.0, 2.0], [0, 0]), ([np.nan, 1.0], [1, 0])]
)
def test_no_harm_or_no_score_is_one_line(score_N, harmful_N):
  with pytest.raises(ValueError, match='wanted scores that are numbers'):
    detection.best_f1(score_N, harmful_N)
