"""Claim 3 on learning curves whose joint fits are known beforehand."""

import math

import numpy as np
import pytest

from rlhf_jax.analysis import figures
from rlhf_jax.analysis.claims import joint
from rlhf_jax.analysis.drawings import joint as drawings
from rlhf_jax.analysis.findings import NotRunError
from tests.analysis import small
from tests.analysis.test_claims_scaling import E, curve


def grid(subset, odd, seed=0, a=0.3, b=0.4):
  """acc = .1 + a ln P + b ln D +- odd on ln P, ln D in {0, 1}."""
  return [
    {
      'seed': seed,
      'size': f'size{p}',
      'n_params': E**p,
      'pairs': E**d,
      'train_subset': subset,
      'eval_subset': subset,
      'accuracy': 0.1 + a * p + b * d + odd * (1 if p == d else -1),
    }
    for p in (0, 1)
    for d in (0, 1)
  ]


def test_the_joint_fits_by_hand():
  """The interaction +-.1 leaves 4 x .01 of .25 + .04: R2 = .25 / .29."""
  rows = []
  for seed in small.SEEDS:
    rows += grid('helpful', 0.0, seed) + grid('mix', 0.1, seed)
  found = joint.joint_scaling(curve(rows))
  numbers = small.numbers(found)
  assert numbers['r2_helpful'] == pytest.approx(1)
  assert numbers['r2_mix'] == pytest.approx(25 / 29)
  fisher = lambda r2: math.atanh(math.sqrt(r2))
  wanted = fisher(1 - 1e-12) - fisher(25 / 29)
  assert numbers['z_helpful_minus_mix'] == pytest.approx(wanted)
  assert numbers['slope_ln_p'] == pytest.approx(0.3)
  assert numbers['slope_ln_d'] == pytest.approx(0.4)
  assert small.sides(found)['z_helpful_minus_mix'] == ('>=', 0.0)


def test_joint_fits_are_compared_within_a_seed_that_has_both():
  rows = grid('helpful', 0.0) + grid('mix', 0.1)
  rows += grid('helpful', 0.1, seed=1)
  found = joint.joint_scaling(curve(rows))
  assert small.numbers(found)['r2_helpful'] == pytest.approx(1)
  assert found.contrasts[0].interval.n == 1


def test_one_size_is_no_joint_fit():
  rows = grid('helpful', 0.0) + grid('mix', 0.1)
  rows = [row for row in rows if row['size'] == 'size0']
  with pytest.raises(NotRunError, match='helpful: wanted several sizes'):
    joint.joint_scaling(curve(rows))
  only = [row for row in grid('mix', 0.0)]
  with pytest.raises(NotRunError, match='train_subset=helpful'):
    joint.joint_scaling(curve(only))


def steps(subset, seed=0, bend=0.0, role='joint'):
  """Three sizes and three D; at the largest of both `bend` is added."""
  rows = []
  for p in (0, 1, 2):
    for d in (0, 1, 2):
      own = bend if p == d == 2 else 0.0
      accuracy = 0.1 + (0.1 + 0.01 * seed) * p + 0.2 * d + own
      row = {'seed': seed, 'size': f'size{p}', 'n_params': E**p}
      row |= {'pairs': E**d, 'accuracy': accuracy, 'role': role}
      rows.append(row | {'train_subset': subset, 'eval_subset': subset})
  return rows


def test_what_was_held_out_is_predicted_but_for_the_bend():
  """Five of nine rows are held out; one of them is .05 above the plane."""
  seeds = range(8)
  rows = [r for s in seeds for r in steps('helpful', s, bend=0.05)]
  rows += [r for s in seeds for r in steps('mix', s, role='scaling')]
  numbers = small.numbers(joint.joint_scaling(curve(rows)))
  assert numbers['held_out_error'] == pytest.approx(0.05)
  assert numbers['held_out_rmse'] == pytest.approx(math.sqrt(0.05**2 / 5))
  # The best below is .1 + a + .2; out are (0, 2), (1, 2), (2, 0..2).
  flat = []
  for seed in seeds:
    a = 0.1 + 0.01 * seed
    out = [0.2 - a, 0.2, a - 0.2, a, a + 0.2 + 0.05]
    flat.append(math.sqrt(np.mean(np.square(out))))
  assert numbers['held_out_rmse_flat'] == pytest.approx(np.mean(flat))


def test_slopes_have_bootstrap_intervals_with_eight_seeds():
  """Slopes .10 to .17 and the bend's part; with seven seeds there are none."""
  rows = [r for s in range(8) for r in steps('helpful', s)]
  rows += [r for s in range(8) for r in steps('mix', s, role='scaling')]
  numbers = small.numbers(joint.joint_scaling(curve(rows)))
  assert numbers['slope_ln_p'] == pytest.approx(0.135)
  half = 2.365 * np.std(np.arange(8) / 100, ddof=1) / math.sqrt(8)
  assert numbers['slope_ln_p_low'] == pytest.approx(0.135 - half, abs=0.004)
  assert numbers['slope_ln_p_high'] == pytest.approx(0.135 + half, abs=0.004)
  assert numbers['slope_ln_d_low'] == pytest.approx(0.2)
  few = [row for row in rows if row['seed'] < 7]
  numbers = small.numbers(joint.joint_scaling(curve(few)))
  assert 'slope_ln_p_low' not in numbers and 'slope_ln_p' in numbers


def test_only_numbers_of_pairs_that_both_have_are_fitted():
  """A point of the mixture beyond, far off the plane, changes nothing."""
  rows = [r for s in small.SEEDS for r in steps('helpful', s)]
  rows += [r for s in small.SEEDS for r in steps('mix', s, role='scaling')]
  more = [row | {'pairs': E**9, 'accuracy': 0.0} for row in rows[-3:]]
  first = small.numbers(joint.joint_scaling(curve(rows)))
  assert small.numbers(joint.joint_scaling(curve(rows + more))) == first


def test_the_figure_has_measured_and_fitted_lines():
  rows = [r for s in small.SEEDS for r in steps('helpful', s)]
  rows += [r for s in small.SEEDS for r in steps('mix', s, role='scaling')]
  tables = curve(rows)
  canvas = figures.Canvas(tables)
  drawings.joint_fits(canvas, tables)
  helpful, mix = canvas.figure.axes
  assert helpful.get_title() == 'Helpful pairs alone'
  assert len(helpful.lines) == len(mix.lines) == 6
  measured, fitted = helpful.lines[0], helpful.lines[3]
  np.testing.assert_allclose(measured.get_ydata(), [0.1, 0.3, 0.5])
  np.testing.assert_allclose(fitted.get_ydata(), [0.1, 0.3, 0.5])
  only = curve([r for s in small.SEEDS for r in steps('mix', s)])
  with pytest.raises(NotRunError, match='no PMs of helpful pairs alone'):
    drawings.joint_fits(figures.Canvas(only), only)
