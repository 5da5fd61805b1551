"""Accuracy at equal FLOPs, on curves that are known beforehand."""

import math

import numpy as np
import pandas as pd
import pytest

from rlhf_jax.analysis import compute, figures
from rlhf_jax.analysis.claims import joint
from rlhf_jax.analysis.drawings import joint as drawings
from rlhf_jax.analysis.findings import NotHereError, NotRunError
from tests.analysis import small

E = math.e


def tables(a, b, seeds=small.SEEDS):
  """accuracy = .1 + a ln P + b ln D; FLOPs are P D."""
  rows, spent = [], []
  for seed in seeds:
    for p, size in enumerate('SML'):
      run = {'seed': seed, 'size': size, 'n_params': E**p, 'run_id': ''}
      run['run_id'] = f'pm/{size}-s{seed}'
      spent.append(run | {'stage': 'train_pm', 'flops': E ** (p + 3)})
      for d in (1, 2, 3):
        accuracy = 0.1 + a * p + b * d
        row = {'pairs': E**d, 'accuracy': accuracy, 'schedule': 'constant'}
        row |= {'train_subset': 'mix', 'eval_subset': 'mix'}
        rows.append(run | row | {'expected_accuracy': math.nan})
  return {
    'pm_curve': small.table('pm_curve', rows),
    'compute': small.table('compute', spent),
  }


def test_flops_grow_with_what_a_run_has_seen():
  found = tables(0.02, 0.03, seeds=(0,))
  rows = compute.spent(found['pm_curve'], found['compute'], 'pairs')
  np.testing.assert_allclose(rows['flops'], rows['n_params'] * rows['pairs'])
  known = found['compute'].iloc[:1]
  assert set(compute.spent(rows, known, 'pairs')['size']) == {'S'}


def test_no_run_of_the_table_leaves_no_row():
  found = tables(0.02, 0.03, seeds=(0,))
  other = found['compute'].iloc[:1].assign(run_id='another')
  for frame in (found['pm_curve'], pd.DataFrame(found['pm_curve'].to_dict())):
    assert compute.spent(frame, other, 'pairs').empty


@pytest.mark.parametrize(('a', 'b', 'rank'), [(0.02, 0.05, 0), (0.05, 0.02, 1)])
def test_the_best_size_at_equal_flops_is_an_end_of_a_plane(a, b, rank):
  """ln FLOPs 1 to 5: the smallest reaches 3, the largest begins at 3."""
  found = tables(a, b)
  rows = compute.spent(found['pm_curve'], found['compute'], 'pairs')
  levels = compute.iso_flop(rows)
  # Nine levels, half a unit apart; two sizes or more have 2 to 4.
  np.testing.assert_allclose(np.log(levels['flops']), [2, 2.5, 3, 3.5, 4])
  assert set(levels['rank']) == {rank}
  assert list(levels['sizes']) == [2, 2, 3, 2, 2]
  middle = levels.iloc[2]
  best = {0: 0.1 + 3 * b, 1: 0.1 + 2 * a + b}[rank]
  assert middle['accuracy'] == pytest.approx(best)


def test_the_check_says_what_an_e_fold_buys():
  found = joint.size_or_data(tables(0.02, 0.05))
  assert found['measured'] == {
    'pairs_minus_size': pytest.approx(0.03),
    'slope_ln_p': pytest.approx(0.02),
    'slope_ln_d': pytest.approx(0.05),
    'place_of_best': 0.0,
  }
  assert (found['seeds'], found['verdict']) == (3, 'reported')
  with pytest.raises(NotHereError):
    joint.size_or_data({'pm_curve': tables(0.02, 0.05)['pm_curve']})


def test_the_figure_draws_policies_where_their_compute_is_known():
  found = tables(0.02, 0.05)
  canvas = figures.Canvas(found)
  drawings.what_compute_buys(canvas, found)
  (axis,) = canvas.figure.axes
  np.testing.assert_allclose(axis.lines[0].get_xdata(), [E, E**2, E**3])
  run = {'role': 'linear', 'run_id': 'rl/x', 'size': 'S'}
  curve = [run | {'samples': n, 'gold': n / 10} for n in (0, 5, 10)]
  found['rl_curve'] = small.table('rl_curve', curve)
  more = small.table('compute', [run | {'flops': 80.0}])
  found['compute'] = pd.concat([found['compute'], more])
  canvas = figures.Canvas(found)
  drawings.what_compute_buys(canvas, found)
  _, right = canvas.figure.axes
  np.testing.assert_allclose(right.lines[0].get_xdata(), [40, 80])
  np.testing.assert_allclose(right.lines[0].get_ydata(), [0.5, 1])
  found['compute'] = found['compute'][:0]
  with pytest.raises(NotRunError):
    drawings.what_compute_buys(figures.Canvas(found), found)
