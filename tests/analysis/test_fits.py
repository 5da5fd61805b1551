import math

import numpy as np
import pytest
from scipy import stats

from rlhf_jax.analysis import fits

WINDOW = np.linspace(3.5 / math.sqrt(10), 3.5, 20)


def test_line_matches_scipy():
  rng = np.random.default_rng(0)
  x, y = rng.standard_normal((2, 30))
  want = stats.linregress(x, y)
  fit = fits.line(x, y)
  np.testing.assert_allclose(fit.coefficient_K, [want.intercept, want.slope])
  np.testing.assert_allclose(fit.error_K, [want.intercept_stderr, want.stderr])
  assert fit.r2 == pytest.approx(want.rvalue**2)
  low, high = fit.interval(1)
  assert high - low == pytest.approx(2 * stats.t.ppf(0.975, 28) * want.stderr)


def test_aic_by_hand():
  fit = fits.line([0.0, 1.0, 2.0, 3.0], [0.0, 1.0, 2.0, 4.0])
  residual = 0.3
  assert fit.residual_sum == pytest.approx(residual)
  assert fit.aic == pytest.approx(4 * math.log(residual / 4) + 6)


def test_a_fixed_origin_is_not_moved_by_the_points():
  x = np.array([1.0, 2.0])
  fit = fits.line_from(1.0, x, np.array([2.0, 4.0]))
  # Least squares through (0, 1): slope = (1 * 1 + 2 * 3) / (1 + 4).
  assert fit.coefficient_K[0] == pytest.approx(7 / 5)
  assert fits.line_from(0.0, x, [3.0, 3.1]).r2 < 0


def test_too_few_points_and_constant_y():
  with pytest.raises(ValueError, match='more than 2 points'):
    fits.line([0.0, 1.0], [0.0, 1.0])
  assert math.isnan(fits.line([0.0, 1.0, 2.0], [1.0, 1.0, 1.0]).r2)


@pytest.mark.parametrize('p', [0.3, 0.5, 1.0])
def test_power_exponent_recovers_p(p):
  kl = np.geomspace(0.1, 12, 20)
  noise = 0.01 * np.random.default_rng(0).standard_normal(20)
  assert fits.power_exponent(kl, 0.7 * kl**p) == pytest.approx(p, abs=1e-6)
  assert fits.power_exponent(kl, 0.7 * kl**p + noise) == pytest.approx(
    p, abs=0.03
  )
  assert math.isnan(fits.power_exponent(kl, -(kl**p)))


@pytest.mark.parametrize(
  ('p', 'want'), [(0.4, -0.027), (0.5, 0.0), (0.6, 0.027)]
)
def test_bow_of_noise_free_powers_on_the_narrowest_window(p, want):
  bow = fits.quadratic_bow(WINDOW, WINDOW ** (2 * p))
  assert bow == pytest.approx(want, abs=5e-4)


def test_bow_is_the_distance_from_the_chord_and_r2_alone_cannot_fail():
  # y = x^2 on [1, 3]: the chord's middle is 5, the curve's is 4; gain 8.
  x = np.linspace(1, 3, 9)
  assert fits.quadratic_bow(x, x**2) == pytest.approx(1 / 8)
  for p in (0.3, 1.0):
    assert fits.line(WINDOW, WINDOW ** (2 * p)).r2 > 0.98


@pytest.mark.parametrize('top', [0.4, 3.5])
def test_the_bow_in_units_of_the_bows_of_two_powers(top):
  """0 for a straight line, -1 for KL^.4, 1 for KL^.6, on any window."""
  x = np.geomspace(0.1, top, 20)
  for p, wanted in ((0.4, -1), (0.5, 0), (0.6, 1)):
    found = fits.bow_in_units(x, 7 * x ** (2 * p))
    assert found == pytest.approx(wanted, abs=1e-9)
  # A line and a power of equal gain: half of the bow.
  line = x / np.ptp(x)
  power = x**0.8 / np.ptp(x**0.8)
  halves = fits.bow_in_units(x, line + power)
  assert halves == pytest.approx(-0.5, abs=0.03)


def test_spearman_of_hand_data():
  assert fits.spearman([1, 2, 3, 4], [10, 20, 40, 30]) == pytest.approx(0.8)
  assert math.isnan(fits.spearman([1, 2, 3], [5, 5, 5]))


def test_reward_length_correlation_of_hand_data():
  """Exact on hand data (checklist 81)."""
  found = fits.reward_length_correlation([1.0, 2.0, 3.0], [2, 1, 6])
  # Deviations (-1, 0, 1) and (-1, -2, 3): 4 / sqrt(2 * 14).
  assert found == pytest.approx(4 / math.sqrt(28))
  assert fits.reward_length_correlation([1, 2], [4, 8]) == pytest.approx(1)
  assert math.isnan(fits.reward_length_correlation([1, 1], [4, 8]))
