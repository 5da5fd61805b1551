import math

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from rlhf_jax.analysis import calibration as cal
from tests.analysis import synthetic


def known_pairs(n, t=1.0, seed=0):
  rng = np.random.default_rng(seed)
  return synthetic.scored_pairs(rng, n, t=t, shrink=0.0, first=1.0)


def test_known_bradley_terry_data_are_calibrated():
  """Data drawn from a known BT model give ECE < tol (checklist 34)."""
  pairs = known_pairs(20_000)
  for frame in (pairs, pairs.assign(p_label=np.nan)):
    found = cal.calibrate(frame)
    assert found.ece < 0.02
    assert abs(found.excess) < 0.006
    assert found.t == pytest.approx(1.0, abs=0.05)
  assert cal.calibrate(pairs).expected_labels
  assert not cal.calibrate(pairs.assign(p_label=np.nan)).expected_labels


@pytest.mark.parametrize(
  ('n', 'want'), [(500, 0.048), (1000, 0.035), (2000, 0.024), (10_000, 0.011)]
)
def test_the_floor_is_what_perfect_calibration_shows(n, want):
  pairs = known_pairs(n).assign(p_label=np.nan)
  assert cal.calibrate(pairs).floor == pytest.approx(want, rel=0.12)


def test_over_and_under_confidence_have_their_signs():
  shy = cal.calibrate(known_pairs(20_000, t=1.6))
  bold = cal.calibrate(known_pairs(20_000, t=0.6))
  assert shy.signed_gap > 0.02
  assert bold.signed_gap < -0.02
  assert shy.t == pytest.approx(1.6, abs=0.02)
  assert bold.t == pytest.approx(0.6, abs=0.02)
  assert min(shy.excess, bold.excess) > 0.02


def test_ece_matches_a_loop():
  pairs = known_pairs(1003, t=0.7)
  found = cal.calibrate(pairs)
  delta = (pairs['score_chosen'] - pairs['score_rejected']).to_numpy()
  p = pairs['p_label'].to_numpy()
  order = np.argsort(np.abs(delta))
  correct = np.where(delta > 0, p, 1 - p)
  want = 0.0
  for part in np.array_split(order, 10):
    gap = correct[part].mean() - expit(np.abs(delta[part])).mean()
    want += abs(gap) * len(part) / len(pairs)
  assert found.ece == pytest.approx(want, abs=2e-3)
  assert found.bins['n'].sum() == 1003
  assert found.bins['n'].max() - found.bins['n'].min() <= 1


def scored(delta_N, shift=0.0):
  """Pairs of real data with these score differences."""
  chosen = np.asarray(delta_N, float) + shift
  return pd.DataFrame(
    {'score_chosen': chosen, 'score_rejected': shift, 'p_label': np.nan}
  )


def test_equal_scores_share_a_bin_in_any_order_of_the_rows():
  """700 of 1,000 are right by ln(7 / 3), whose sigmoid is .7: no error."""
  step = math.log(7 / 3)
  right_first = np.repeat([step, -step], [700, 300])
  shuffled = np.random.default_rng(0).permutation(right_first)
  for delta_N in (right_first, shuffled, right_first[::-1]):
    found = cal.calibrate(scored(delta_N))
    assert found.ece == pytest.approx(0, abs=1e-12)
    assert found.bins['n'].tolist() == [1000]
    assert np.isfinite(found.floor)
    assert found.t == pytest.approx(1.0)


def test_groups_of_equal_scores_are_whole_bins_of_their_own_error():
  """|delta| ln 3 and ln 9: predicted .75 and .9, right .5 and 1.

  ECE = (60 x .25 + 40 x .1) / 100. The groups' mean ranks are 29.5 and 79.5.
  """
  small, large = math.log(3), math.log(9)
  delta_N = [small] * 30 + [large] * 40 + [-small] * 30
  found = cal.calibrate(scored(delta_N))
  assert found.bins['n'].tolist() == [60, 40]
  assert found.bins['predicted'].tolist() == pytest.approx([0.75, 0.9])
  assert found.bins['accuracy'].tolist() == pytest.approx([0.5, 1.0])
  assert found.ece == pytest.approx(0.19)


def test_the_floor_of_known_labels_by_hand():
  """The mean |N(0, s)| of two bins, s by the labels' own spread in each.

  60 pairs at ln 3 whose labels are .75 +- .1, 40 at ln 9 with .9 +- .05: the
  variance of n such labels is d^2 n / (n - 1), that of their mean
  d^2 / (n - 1), and E|N(0, s)| = s sqrt(2 / pi). No bin is off.
  """
  delta_N = [math.log(3)] * 60 + [math.log(9)] * 40
  label_N = [0.85, 0.65] * 30 + [0.95, 0.85] * 20
  found = cal.calibrate(scored(delta_N).assign(p_label=label_N))
  assert found.bins['n'].tolist() == [60, 40]
  assert found.ece == pytest.approx(0.0, abs=1e-12)
  spread = 0.6 * 0.1 / math.sqrt(59) + 0.4 * 0.05 / math.sqrt(39)
  assert found.floor == pytest.approx(spread * math.sqrt(2 / math.pi))


@pytest.mark.parametrize('kind', [np.float64, np.float32])
def test_rounded_scores_are_binned_alike_in_any_order(kind):
  """.3 - .2 and .2 - .1 are one difference, whatever a subtraction leaves."""
  pairs = known_pairs(2000, seed=4).assign(p_label=np.nan)
  whole = cal.calibrate(pairs)
  for name in ('score_chosen', 'score_rejected'):
    pairs[name] = (pairs[name] + 7.3).round(1).astype(kind)
  rounded = cal.calibrate(pairs)
  for order in ('score_chosen', 'score_rejected'):
    again = cal.calibrate(pairs.sort_values(order))
    assert again.ece == pytest.approx(rounded.ece, abs=1e-9)
    assert again.bins['n'].tolist() == rounded.bins['n'].tolist()
  wrong_first = pairs.loc[cal.agreement(pairs).argsort()]
  assert cal.calibrate(wrong_first).ece == pytest.approx(rounded.ece, abs=1e-9)
  assert rounded.ece == pytest.approx(whole.ece, abs=0.02)
  tenths = (10 * cal.deltas(pairs)).round()
  levels = pd.Series(cal._bin_index(pairs)).groupby(np.abs(tenths)).nunique()
  assert (levels == 1).all()


def test_a_score_that_is_not_finite_leaves_no_number():
  """Neither an error over the others nor a point of a figure."""
  for bad in (np.nan, np.inf):
    pairs = known_pairs(50)
    pairs.loc[7, 'score_rejected'] = bad
    for frame in (pairs, pairs.assign(p_label=np.nan)):
      found = cal.calibrate(frame)
      numbers = found.ece, found.floor, found.t, found.signed_gap, found.excess
      assert np.isnan(numbers).all()
      assert found.bins.empty and found.n == 50
  pairs['score_rejected'] = pairs['score_rejected'].replace(np.inf, np.nan)
  assert math.isnan(cal.accuracy(pairs))
  table = cal.min_score_accuracy(pairs)
  assert table['accuracy'].isna().all() and (table['n'] == 0).all()


def test_flipped_labels_lower_accuracy_and_ceiling_to_one_minus_p():
  """Labels flipped with probability p give accuracy 1 - p (checklist 29)."""
  rng = np.random.default_rng(0)
  n, flip = 20_000, 0.2
  sign = np.where(rng.random(n) < flip, -1, 1)
  # The perfect PM of such labels has |delta| = log((1 - p) / p).
  delta = sign * math.log((1 - flip) / flip)
  pairs = pd.DataFrame(
    {
      'score_chosen': delta,
      'score_rejected': 0.0,
      'p_label': np.where(sign > 0, 1 - flip, flip),
    }
  )
  assert cal.accuracy(pairs) == pytest.approx(1 - flip)
  assert cal.ceiling(pairs) == pytest.approx(1 - flip)
  sampled = pairs.assign(p_label=np.nan)
  assert cal.accuracy(sampled) == pytest.approx(1 - flip, abs=0.01)
  assert math.isnan(cal.ceiling(sampled))
  for frame in (pairs, sampled):
    found = cal.calibrate(frame)
    assert abs(found.excess) < 0.005
    assert found.t == pytest.approx(1.0, abs=0.03)


def test_agreement_of_hand_data():
  pairs = pd.DataFrame(
    {
      'score_chosen': [1.0, 0.0, 2.0],
      'score_rejected': [0.0, 1.0, 2.0],
      'p_label': [0.9, 0.7, 0.8],
      'words_chosen': [3, 9, 4],
      'words_rejected': [5, 4, 4],
    }
  )
  np.testing.assert_allclose(cal.agreement(pairs), [0.9, 0.3, 0.5])
  assert cal.longer_wins(pairs) == pytest.approx((0.1 + 0.7 + 0.5) / 3)
  sampled = pairs.assign(p_label=np.nan)
  np.testing.assert_allclose(cal.agreement(sampled), [1, 0, 0.5])


def test_logistic_refit_solves_its_equation_and_knows_its_limits():
  delta = np.array([1.0, -0.5, 2.0, 0.3])
  target = np.array([0.8, 0.5, 0.7, 0.2])
  t = cal.logistic_refit(delta, target)
  assert ((target - expit(t * delta)) * delta).sum() == pytest.approx(0)
  assert math.isnan(cal.logistic_refit(np.zeros(3), 1.0))


@pytest.mark.parametrize('scale', [1e-9, 1e-3, 1.0, 1e4, 1e9])
def test_the_t_of_a_score_scales_with_the_score(scale):
  """Seven of ten right by s: t s = ln(7 / 3), so 847.3 at s = 1e-3."""
  delta_N = np.repeat([scale, -scale], [7, 3])
  t = cal.logistic_refit(delta_N, 1.0)
  assert t * scale == pytest.approx(math.log(7 / 3), rel=1e-12)
  assert cal.logistic_refit(-delta_N, 1.0) == pytest.approx(-t, rel=1e-12)
  even = np.repeat([scale, -scale], [5, 5])
  assert cal.logistic_refit(even, 1.0) == 0
  mixed = np.append(scale * np.array([3.0, 0.2, 1.0]), [-1e-6 * scale])
  t = cal.logistic_refit(mixed, 1.0)
  slope = ((1 - expit(t * mixed)) * mixed).sum()
  assert slope == pytest.approx(0, abs=1e-15 * scale) and t * scale > 10


def test_separable_data_have_no_finite_t():
  for scale in (1e-4, 1.0, 1e4):
    right_N = scale * np.array([1.0, 2.0, 0.5])
    assert cal.logistic_refit(right_N, 1.0) == math.inf
    assert cal.logistic_refit(-right_N, 1.0) == -math.inf
    both = np.append(right_N, -right_N)
    assert cal.logistic_refit(both, np.repeat([1.0, 0.0], 3)) == math.inf
  assert math.isnan(cal.logistic_refit([1.0, np.nan], 1.0))


def test_min_score_accuracy_of_hand_data():
  pairs = pd.DataFrame(
    {
      'score_chosen': np.arange(10.0) + np.where(np.arange(10) < 5, 1, -1),
      'score_rejected': np.arange(10.0),
      'p_label': np.nan,
    }
  )
  table = cal.min_score_accuracy(pairs)
  assert list(table['quantile']) == pytest.approx(np.arange(9) / 10)
  assert table['accuracy'].iloc[0] == 0.5
  assert table['accuracy'].iloc[-1] == 0.0
  assert table['n'].is_monotonic_decreasing


def test_turn_accuracy_of_hand_data():
  pairs = pd.DataFrame(
    {
      'turn': [1, 1, 2, 2],
      'score_chosen': [1.0, 1.0, 1.0, -1.0],
      'score_rejected': 0.0,
      'p_label': np.nan,
    }
  )
  assert list(cal.turn_accuracy(pairs)['accuracy']) == [1.0, 0.5]


def test_means_above_quantiles_are_those_of_the_pairs_that_are_kept():
  """Ties at a threshold are kept; one quantile after the other."""
  rng = np.random.default_rng(0)
  smaller, value = rng.integers(0, 6, 50) / 2, rng.random((50, 2))
  mean, count = cal.above_quantiles(smaller, value)
  for q, row, n in zip(cal.QUANTILES, mean, count, strict=True):
    kept = value[smaller >= np.quantile(smaller, q)]
    assert n == len(kept)
    np.testing.assert_allclose(row, kept.mean(0))
  smaller[3] = np.nan
  mean, count = cal.above_quantiles(smaller, value)
  assert np.isnan(mean).all() and not count.any()


def test_the_error_and_the_refit_alone_are_those_of_the_calibration():
  rng = np.random.default_rng(1)
  pairs = pd.DataFrame(
    {
      'score_chosen': rng.normal(size=300),
      'score_rejected': rng.normal(size=300),
      'p_label': np.nan,
    }
  )
  whole = cal.calibrate(pairs)
  assert cal.error_and_refit(pairs) == (whole.ece, whole.t)
