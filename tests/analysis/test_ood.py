"""Distances and areas against loops, closed forms and numbers by hand."""

import math

import numpy as np
import pytest
from scipy import stats

from rlhf_jax.analysis import ood

N, D = 60, 5


@pytest.fixture
def rows():
  """Correlated features, and points to score."""
  rng = np.random.default_rng(0)
  mix_DD = rng.normal(size=(D, D))
  return rng.normal(size=(N, D)) @ mix_DD + 3, rng.normal(size=(7, D)) @ mix_DD


def twin_distance(x_ND, y, target=None):
  """(y - mu)^T S^-1 (y - mu) by a loop over rows and an inverse."""
  mu = sum(x_ND) / len(x_ND)
  matrix = sum(np.outer(x - mu, x - mu) for x in x_ND) / len(x_ND)
  if target is not None:
    matrix = target(matrix)
  return (y - mu) @ np.linalg.inv(matrix) @ (y - mu)


def test_scores_are_those_of_inverted_covariances(rows):
  x_ND, y_ND = rows
  found = ood.scores(ood.fit_gaussian(x_ND, 0.0), y_ND)
  for i, y in enumerate(y_ND):
    plain = twin_distance(x_ND, y)
    diagonal = twin_distance(x_ND, y, lambda c: np.diag(np.diag(c)))
    assert found['plain'][i] == pytest.approx(plain)
    assert found['diagonal'][i] == pytest.approx(diagonal)
    assert found['simplified'][i] == pytest.approx(plain - diagonal)


def test_shrinkage_moves_the_covariance_towards_its_own_diagonal(rows):
  x_ND, y_ND = rows
  found = ood.mahalanobis(ood.fit_gaussian(x_ND, 0.3), y_ND)
  shrunk = lambda c: 0.7 * c + 0.3 * np.diag(np.diag(c))
  wanted = [twin_distance(x_ND, y, shrunk) for y in y_ND]
  np.testing.assert_allclose(found, wanted)


def test_the_distance_of_two_coordinates_by_hand():
  """Variances 1 and 4, correlation 1/2 about the origin."""
  x_ND = np.array([[1, 2], [-1, -2], [1, 2], [-1, -2], [1, 2], [-1, -2]], float)
  x_ND = np.concatenate([x_ND, [[1, -2], [-1, 2]]])
  gaussian = ood.fit_gaussian(x_ND, 0.0)
  found = ood.scores(gaussian, np.array([[1.0, 2.0], [1.0, -2.0]]))
  # R = [[1, 1/2], [1/2, 1]], whose inverse is 4/3 [[1, -1/2], [-1/2, 1]].
  np.testing.assert_allclose(found['plain'], [4 / 3, 4])
  np.testing.assert_allclose(found['diagonal'], [2, 2])
  np.testing.assert_allclose(found['simplified'], [-2 / 3, 2])


def test_rescaled_coordinates_have_equal_scores(rows):
  x_ND, y_ND = rows
  scale_D = np.array([1e-3, 1.0, 50.0, 7.0, 1e4])
  for shrinkage in (0.0, 0.2, None):
    one = ood.scores(ood.fit_gaussian(x_ND, shrinkage), y_ND)
    other = ood.fit_gaussian(x_ND * scale_D, shrinkage)
    for name, values in ood.scores(other, y_ND * scale_D).items():
      np.testing.assert_allclose(values, one[name], rtol=1e-8)


def test_axes_without_correlations_leave_nothing_of_the_score(rows):
  x_ND, y_ND = rows
  plain = ood.scores(ood.fit_gaussian(x_ND), y_ND)['simplified']
  assert np.abs(plain).max() > 0.1
  assert ood.rotated_score(x_ND, y_ND) < 1e-9
  # The same without the turn is the plain score: the control can fail.
  turned = ood.fit_gaussian(x_ND - x_ND.mean(0))
  found = ood.scores(turned, y_ND - x_ND.mean(0))['simplified']
  np.testing.assert_allclose(found, plain, atol=1e-9)


def test_relative_to_another_gaussian_is_the_difference_of_two_loops(rows):
  x_ND, y_ND = rows
  background = x_ND[:20] * 2 + 1
  found = ood.relative(
    ood.fit_gaussian(x_ND, 0.0), ood.fit_gaussian(background, 0.0), y_ND
  )
  wanted = [twin_distance(x_ND, y) - twin_distance(background, y) for y in y_ND]
  np.testing.assert_allclose(found, wanted)


def test_the_background_of_both_kinds_is_that_of_a_loop(rows):
  """All rows in one mean and one covariance; of known ones alone it is 0."""
  x_ND, y_ND = rows
  others_MD = x_ND[:9] @ np.diag([1.0, 2.0, 1.0, 3.0, 1.0]) - 2
  foreground = ood.fit_gaussian(x_ND, 0.0)
  background = ood.background_of(x_ND, others_MD, 0.0)
  assert background.n == N + 9
  found = ood.relative(foreground, background, y_ND)
  both = [*x_ND, *others_MD]
  wanted = [twin_distance(x_ND, y) - twin_distance(both, y) for y in y_ND]
  np.testing.assert_allclose(found, wanted)
  alone = ood.background_of(x_ND, x_ND[:0], 0.0)
  np.testing.assert_array_equal(ood.relative(foreground, alone, y_ND), 0.0)


def test_a_background_takes_away_what_no_kind_is_told_by():
  """Half of the coordinates vary more in the tested prompts of both kinds.

  They drown the plain distance: a spread of 3 in ten coordinates, while the
  kinds differ by 1.5 in one. 2,000 prompts: the error of an area is .013.
  """
  rng = np.random.default_rng(3)

  def draw(count, off, spread):
    x_ND = rng.normal(size=(count, 20))
    x_ND[:, :10] *= spread
    x_ND[:, 19] += off
    return x_ND

  known, others = draw(4000, 0.0, 1.0), draw(4000, 1.5, 1.0)
  foreground = ood.fit_gaussian(known)
  background = ood.background_of(known, others)
  tested = [draw(1000, off, 3.0) for off in (1.5, 0.0)]
  area = lambda score: ood.auroc(*(score(x) for x in tested)).value
  plain = area(lambda x: ood.mahalanobis(foreground, x))
  against = area(lambda x: ood.relative(foreground, background, x))
  assert plain < 0.56 and against > 0.7


def twin_shrinkage(z_ND):
  """Ledoit and Wolf's a by loops over rows, as their section 3 has it."""
  n, d = z_ND.shape
  matrix = sum(np.outer(z, z) for z in z_ND) / n
  norm = lambda m: (m**2).sum() / d
  off = norm(matrix - np.eye(d))
  error = sum(norm(np.outer(z, z) - matrix) for z in z_ND) / n**2
  return min(error, off) / off


@pytest.mark.parametrize('rows_used', [8, 20, N])
def test_the_shrinkage_is_that_of_ledoit_and_wolf(rows, rows_used):
  x_ND = rows[0][:rows_used]
  z_ND = (x_ND - x_ND.mean(0)) / x_ND.std(0)
  assert ood.ledoit_wolf(z_ND) == pytest.approx(twin_shrinkage(z_ND))
  assert ood.fit_gaussian(x_ND).shrinkage == pytest.approx(twin_shrinkage(z_ND))


def test_the_shrinkage_falls_with_rows_and_comes_closer_to_the_truth():
  """Mean squared error of correlations over 20 draws, with it and without."""
  rng = np.random.default_rng(1)
  truth = 0.1 + 0.9 * np.eye(20)
  lower = np.linalg.cholesky(truth)
  error = lambda matrix: ((matrix - truth) ** 2).mean()
  found, errors = {30: [], 3000: []}, []
  for n, own in found.items():
    for _ in range(20):
      x_ND = rng.normal(size=(n, 20)) @ lower.T
      gaussian = ood.fit_gaussian(x_ND)
      own.append(gaussian.shrinkage)
      shrunk = gaussian.lower_DD @ gaussian.lower_DD.T
      errors.append((n, error(shrunk), error(np.corrcoef(x_ND.T))))
  few = np.array([pair[1:] for pair in errors if pair[0] == 30]).mean(0)
  assert few[0] < 0.6 * few[1]
  assert max(found[3000]) < 0.2 < min(found[30])


@pytest.mark.parametrize(
  ('x_ND', 'shrinkage', 'message'),
  [
    (np.full((4, 2), np.nan), 0.0, 'finite features'),
    (np.ones((4, 2)), 0.0, 'feature 0 is the same in all 4 rows'),
    (np.eye(3)[:2] + np.arange(3), 0.0, 'is the same in all 2 rows'),
    (np.random.default_rng(0).normal(size=(3, 6)), 0.0, 'take more rows'),
    (np.zeros(3), 0.0, 'two or more rows'),
  ],
)
def test_features_without_a_gaussian_are_an_error(x_ND, shrinkage, message):
  with pytest.raises(ValueError, match=message):
    ood.fit_gaussian(x_ND, shrinkage)


OUT = np.array([3.0, 1.0, 2.0, 2.0])
KNOWN = np.array([0.0, 2.0, 1.0])


def test_the_area_and_its_shares_by_hand():
  found = ood.auroc(OUT, KNOWN)
  np.testing.assert_allclose(found.out_O, [1, 0.5, 5 / 6, 5 / 6])
  np.testing.assert_allclose(found.in_I, [1, 0.5, 7 / 8])
  assert found.value == pytest.approx(19 / 24)
  out = [1, 0.5, 5 / 6, 5 / 6]
  wanted = np.var(out, ddof=1) / 4 + np.var([1, 0.5, 7 / 8], ddof=1) / 3
  assert found.error == pytest.approx(math.sqrt(wanted))


def test_the_area_is_that_of_a_double_loop_and_of_the_rank_sum():
  rng = np.random.default_rng(2)
  out, known = rng.integers(0, 9, 40) + 1.0, rng.integers(0, 9, 30) + 0.0
  loop = np.mean([[(a > b) + (a == b) / 2 for b in known] for a in out])
  ranks = stats.mannwhitneyu(out, known).statistic / (40 * 30)
  assert ood.auroc(out, known).value == pytest.approx(loop)
  assert ood.auroc(out, known).value == pytest.approx(ranks)


def test_the_area_of_two_normals_and_its_interval():
  """A = Phi(d / sqrt 2); intervals of 400 samples hold it 95 in 100 times."""
  rng, truth = np.random.default_rng(3), stats.norm.cdf(1 / math.sqrt(2))
  held = 0
  for _ in range(400):
    found = ood.auroc(rng.normal(1, 1, 60), rng.normal(0, 1, 80))
    ends = ood.interval(found)
    held += ends.low <= truth <= ends.high
    assert 0 <= ends.low < ends.mean < ends.high <= 1
  assert 0.92 <= held / 400 <= 0.98  # three binomial standard errors


def test_a_paired_difference_is_surer_than_two_areas():
  """Its error is that over samples, of scores that share their noise."""
  rng = np.random.default_rng(4)
  found = []
  for _ in range(300):
    out, known = rng.normal(1, 1, 300), rng.normal(0, 1, 300)
    more = 0.3 * rng.normal(size=(2, 300))
    one, other = (
      ood.auroc(out, known),
      ood.auroc(out + more[0], known + more[1]),
    )
    found.append((one - other, one.error, other.error))
  spread = np.std([difference.value for difference, *_ in found])
  errors = np.mean([difference.error for difference, *_ in found])
  assert errors == pytest.approx(spread, rel=0.15)
  assert errors < 0.5 * np.mean([np.hypot(a, b) for _, a, b in found])


def test_a_mean_of_areas_has_the_mean_shares():
  parts = [ood.auroc(OUT, KNOWN), ood.auroc(-OUT, KNOWN)]
  found = ood.mean_of(parts)
  assert found.value == pytest.approx((parts[0].value + parts[1].value) / 2)
  both = (parts[0].out_O + parts[1].out_O) / 2
  np.testing.assert_allclose(found.out_O, both)


def test_intervals_at_the_ends_of_the_range():
  """All outliers above: as sure as so many pairs; all alike: nothing is."""
  above = ood.interval(ood.auroc(np.arange(20) + 50, np.arange(30)))
  assert (above.mean, above.high) == (1, 1)
  assert above.low == pytest.approx(0.025 ** (1 / 20))
  below = ood.interval(ood.auroc(np.arange(20) - 50, np.arange(30)))
  assert (below.low, below.high) == (0, pytest.approx(1 - 0.025 ** (1 / 20)))
  alike = ood.interval(ood.auroc(np.zeros(20), np.zeros(30)))
  assert (alike.low, alike.mean, alike.high) == (0, 0.5, 1)


@pytest.mark.parametrize('count', range(1, 12))
def test_a_mean_of_perfect_areas_has_the_interval_of_one(count):
  """Whether or not 1 / count times count is 1."""
  one = ood.auroc(np.arange(20) + 50, np.arange(30))
  assert ood.interval(ood.mean_of([one] * count)) == ood.interval(one)


def test_shuffled_kinds_leave_a_half():
  rng = np.random.default_rng(5)
  out, known = rng.normal(9, 1, 50), rng.normal(0, 1, 40)
  found = ood.shuffled(out, known, rng, 200)
  error = math.sqrt(91 / (12 * 50 * 40) / 200)
  assert abs(found - 0.5) < 4 * error


@pytest.mark.parametrize(
  ('out', 'known', 'message'),
  [
    ([1.0], [1.0, 2.0], 'got 1 outliers and 2 known'),
    ([1.0, np.nan], [1.0, 2.0], 'not a number'),
  ],
)
def test_areas_that_cannot_be_are_errors(out, known, message):
  with pytest.raises(ValueError, match=message):
    ood.auroc(out, known)


def test_the_middle_half_of_four_and_of_thirty_layers():
  inside = lambda depth: [
    layer for layer in range(1, depth + 1) if ood.in_middle_half(layer, depth)
  ]
  assert inside(4) == [2, 3] and inside(8) == [3, 4, 5, 6]
  assert inside(30) == list(range(8, 24))


def test_shallow_models_are_read_at_their_last_layer():
  assert [ood.exposed_layer(n) for n in (1, 2, 4, 30)] == [1, 2, 2, 15]
