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
  assert 20 < cal.logistic_refit(np.ones(3), 1.0) <= 100


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
