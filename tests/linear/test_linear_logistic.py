"""The Bradley-Terry fit: a naive twin, closed forms, antisymmetry."""

import math

import numpy as np
import pytest
from scipy.special import expit, logit

from rlhf_jax.linear import logistic


def pairs(N=60, K=5, seed=0):
  rng = np.random.default_rng(seed)
  difference_NK = rng.normal(size=(N, K))
  weight_K = np.array([1.0, -0.5, 0.0, 2.0, 0.3])[:K]
  flip_N = rng.random(N) > expit(difference_NK @ weight_K)
  return np.where(flip_N[:, None], -difference_NK, difference_NK)


def naive_loss(weight, rows, l2, centre=(0, 0, 0, 0, 0)):
  """One pair after the other, one weight after the other, in plain Python."""
  total = 0.0
  for row in rows:
    margin = sum(w * x for w, x in zip(weight, row, strict=True))
    total += math.log(1 + math.exp(-margin))
  pull = sum((w - c) ** 2 for w, c in zip(weight, centre, strict=True))
  return total / len(rows) + l2 * pull / 2


def naive_fit(rows, l2, steps=60, centre=0.0):
  """Newton's method with dense matrices and no line search."""
  N, K = rows.shape
  weight = np.zeros(K)
  for _ in range(steps):
    p = 1 / (1 + np.exp(rows @ weight))
    slope = -rows.T @ p / N + l2 * (weight - centre)
    curve = (rows.T * (p * (1 - p))) @ rows / N + l2 * np.eye(K)
    weight = weight - np.linalg.solve(curve, slope)
  return weight


def test_the_loss_is_that_of_a_loop_over_pairs_and_its_gradient_of_slopes():
  rows, weight = pairs(), np.array([0.3, -1.0, 0.2, 0.0, 2.0])
  value, gradient = logistic.loss(weight, rows, 0.1)
  assert value == pytest.approx(naive_loss(weight, rows, 0.1), rel=1e-13)
  for k, step in enumerate(np.eye(5) * 1e-6):
    ends = [naive_loss(weight + s * step, rows, 0.1) for s in (1, -1)]
    # Central differences of step h: h^2 and rounding / h, both under 1e-9.
    assert gradient[k] == pytest.approx((ends[0] - ends[1]) / 2e-6, abs=1e-8)


def test_margins_of_any_size_lose_neither_finite_values_nor_slopes():
  rows = np.array([[800.0], [-800.0]])
  value, gradient = logistic.loss(np.array([1.0]), rows)
  assert value == pytest.approx(400.0)
  assert gradient == pytest.approx([400.0])


@pytest.mark.parametrize('l2', [1e-3, 0.1, 10.0])
def test_the_fit_is_newton_s(l2):
  """The scaled gradient is at most 1e-6, and so is the scaled error."""
  rows = pairs()
  found = logistic.fit(rows, l2)
  np.testing.assert_allclose(found, naive_fit(rows, l2), atol=1e-5)


def test_one_feature_without_penalty_is_the_log_odds_of_the_counts():
  rows = np.repeat([[1.0], [-1.0]], [30, 10], 0)
  assert logistic.fit(rows, 0.0) == pytest.approx([math.log(3)], abs=1e-5)


def test_sides_exchanged_give_the_weights_with_another_sign():
  rows = pairs()
  there, back = (logistic.fit(sign * rows, 0.05) for sign in (1, -1))
  np.testing.assert_allclose(there, -back, atol=1e-6)


@pytest.mark.parametrize('N', [60, 3])
def test_a_path_ends_where_each_fit_alone_does(N):
  """With three rows the fit is one of their span, of five weights."""
  rows, l2s = pairs(N), (1.0, 0.1, 0.01)
  found = dict(logistic.path(rows, l2s))
  assert tuple(found) == l2s
  for l2, weight in found.items():
    np.testing.assert_allclose(weight, naive_fit(rows, l2), atol=1e-5)


CENTRE = np.array([0.5, -1.0, 1.5, 0.0, 0.2])


@pytest.mark.parametrize('N', [60, 3])
def test_a_penalty_pulls_to_its_centre_as_newton_finds_it(N):
  """And no step from there makes the loss of the loops less."""
  rows, l2s = pairs(N), (3.0, 0.1, 0.01)
  for l2, found in logistic.path(rows, l2s, centre_K=CENTRE):
    wanted = naive_fit(rows, l2, centre=CENTRE)
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    least = naive_loss(found, rows, l2, CENTRE)
    for step in (*np.eye(5), *-np.eye(5)):
      assert naive_loss(found + 0.01 * step, rows, l2, CENTRE) > least


@pytest.mark.parametrize('N', [60, 3])
def test_a_centre_of_nothing_gives_the_plain_weights_to_the_last_bit(N):
  rows = pairs(N)
  for l2 in (1.0, 0.01):
    plain, centred = logistic.fit(rows, l2), np.zeros(5)
    found = logistic.fit(rows, l2, centre_K=centred)
    np.testing.assert_array_equal(found, plain)


def test_a_strong_penalty_leaves_the_centre_where_it_was():
  found = logistic.fit(pairs(), 1e7, centre_K=CENTRE)
  np.testing.assert_allclose(found, CENTRE, atol=1e-6)


def test_where_rows_say_nothing_of_a_weight_it_stays_at_its_centre():
  rows = pairs()
  rows[:, 3] = 0
  found = logistic.fit(rows, 0.01, centre_K=CENTRE + 1)
  assert found[3] == pytest.approx(1.0)
  assert abs(found[0] - 1.5) > 0.01


@pytest.mark.parametrize('centre', [[1.0], [math.nan] * 5, [[0.0] * 5]])
def test_a_centre_of_other_weights_is_an_error(centre):
  with pytest.raises(ValueError, match='wanted a centre of 5 finite weights'):
    logistic.fit(pairs(), 1.0, centre_K=centre)


def test_an_offset_alone_is_the_log_odds_of_the_classes():
  x, labels = np.zeros((50, 2)), np.repeat([0, 1], [35, 15])
  weight, offset = logistic.fit_classes(x, labels, 1.0)
  assert weight == pytest.approx([0.0, 0.0])
  assert offset == pytest.approx(logit(15 / 50), abs=1e-5)


def test_classes_are_fitted_as_newton_fits_them_with_a_free_offset():
  rng = np.random.default_rng(1)
  x = rng.normal(size=(80, 2)) + 3
  labels = (rng.random(80) < expit(x @ [1.0, -1.0] + 0.5)).astype(int)
  design, weight = np.hstack([x, np.ones((80, 1))]), np.zeros(3)
  penalty = np.array([0.02, 0.02, 0.0])
  for _ in range(60):
    p = expit(design @ weight)
    slope = design.T @ (p - labels) / 80 + penalty * weight
    curve = (design.T * (p * (1 - p))) @ design / 80 + np.diag(penalty)
    weight = weight - np.linalg.solve(curve, slope)
  found, offset = logistic.fit_classes(x, labels, 0.02)
  np.testing.assert_allclose([*found, offset], weight, atol=1e-4)


@pytest.mark.parametrize('rows', [np.zeros((0, 3)), np.full((2, 3), np.nan)])
def test_nothing_to_fit_is_an_error(rows):
  with pytest.raises(ValueError, match='wanted finite differences'):
    logistic.fit(rows, 1.0)
