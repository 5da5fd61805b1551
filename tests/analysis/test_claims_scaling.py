"""Claims 1 and 2 on learning curves whose fits are known beforehand."""

import math

import numpy as np
import pytest

from rlhf_jax.analysis.claims import scaling
from rlhf_jax.analysis.findings import NotRunError
from tests.analysis import small

E = math.e
PAIRS = [E**k for k in range(1, 6)]


def curve(rows, **shared):
  """Learning curves at constant rate on the mixture, unless a row says else."""
  own = {'schedule': 'constant', 'train_subset': 'mix', 'eval_subset': 'mix'}
  known = {'expected_accuracy': math.nan, **own, **shared}
  return {'pm_curve': small.table('pm_curve', rows, **known)}


def points(slope, seed=0, start=0.5, **more):
  """Accuracy start + slope ln D at five numbers of pairs."""
  return [
    {'seed': seed, 'pairs': d, 'accuracy': start + slope * (1 + k), **more}
    for k, d in enumerate(PAIRS)
  ]


def test_the_slope_on_ln_d_is_that_of_the_largest_size():
  slopes = [0.01, 0.02, 0.03]
  rows = [
    row
    for s, b in zip(small.SEEDS, slopes, strict=True)
    for row in (
      *points(b, s),
      *points(-0.05, s, size='M'),
    )
  ]
  found = scaling.data_scaling(curve(rows))
  numbers = small.numbers(found)
  assert numbers['slope'] == pytest.approx(0.02)
  assert numbers['r2'] == pytest.approx(1)
  assert numbers['points'] == 5
  assert numbers['final_accuracy'] == pytest.approx(0.5 + 0.02 * 5)
  assert small.ends(found, 'slope') == pytest.approx(small.interval(slopes))
  assert small.sides(found) == {
    'slope': ('>', 0.0),
    'r2': ('>', 0.8),
  }


@pytest.mark.parametrize(
  'other',
  [
    {'role': 'single'},
    {'schedule': 'decay'},
    {'eval_subset': 'helpful'},
    {'train_subset': 'helpful', 'eval_subset': 'helpful'},
    {'pairs': 0},
  ],
)
def test_rows_of_another_kind_are_not_on_the_learning_curve(other):
  """Each would change the slope: its accuracy is 9."""
  rows = points(0.02)
  odd = [{**row, 'accuracy': 9.0, 'run_id': 'odd', **other} for row in rows[:3]]
  numbers = small.numbers(scaling.data_scaling(curve(rows + odd)))
  assert numbers['slope'] == pytest.approx(0.02)


def test_without_a_mixture_the_first_subset_by_name_is_the_curve():
  rows = [
    {**row, 'train_subset': subset, 'eval_subset': subset}
    for subset, slope in (('helpful', 0.02), ('harmless', 0.03))
    for row in points(slope)
  ]
  numbers = small.numbers(scaling.data_scaling(curve(rows)))
  assert numbers['slope'] == pytest.approx(0.03)
  # A PM that is never tested on its own kind has no curve to choose.
  for row in rows:
    if row['train_subset'] == 'harmless':
      row['eval_subset'] = 'helpful'
  numbers = small.numbers(scaling.data_scaling(curve(rows)))
  assert numbers['slope'] == pytest.approx(0.02)


def test_the_halves_of_a_seed_are_averaged_and_no_new_seeds():
  rows = points(0.02) + points(0.04, half='b')
  found = scaling.data_scaling(curve(rows))
  assert small.numbers(found)['slope'] == pytest.approx(0.03)
  assert found.contrasts[0].interval.n == 1


def test_expected_accuracy_replaces_the_sampled_one_where_it_is_known():
  rows = points(0.02)
  for row in rows:
    row['expected_accuracy'] = 2 * row['accuracy']
  numbers = small.numbers(scaling.data_scaling(curve(rows)))
  assert numbers['slope'] == pytest.approx(0.04)
  rows[0]['expected_accuracy'] = math.nan  # one is not known: none is used
  numbers = small.numbers(scaling.data_scaling(curve(rows)))
  assert numbers['slope'] == pytest.approx(0.02)


def test_four_points_are_no_learning_curve():
  with pytest.raises(NotRunError, match='4 points .* wanted 5'):
    scaling.data_scaling(curve(points(0.02)[:4] + points(0.02, seed=1)))
  before = [{**points(0.02)[0], 'pairs': 0}]  # before any pair is no point
  with pytest.raises(NotRunError, match='4 points'):
    scaling.data_scaling(curve(before + points(0.02)[:4]))


def ladder(accuracies, seed=0, pairs=100, **more):
  """One row a size, e times larger each."""
  return [
    {
      'seed': seed,
      'size': f'size{k}',
      'n_params': E**k,
      'pairs': pairs,
      'accuracy': accuracy,
      **more,
    }
    for k, accuracy in enumerate(accuracies)
  ]


def test_the_slope_on_ln_p_and_the_rank_correlation_by_hand():
  rows = []
  for seed in small.SEEDS:
    rows += ladder([0.1, 0.2, 0.4, 0.3], seed)
  found = scaling.size_scaling(curve(rows))
  numbers = small.numbers(found)
  # x - mean = -1.5 -.5 .5 1.5; y - mean = -.15 -.05 .15 .05: .4 / 5.
  assert numbers['slope'] == pytest.approx(0.08)
  assert numbers['spearman'] == pytest.approx(0.8)
  assert numbers['share_ranked'] == 1.0  # .8 meets a bound of .8
  assert numbers['spearman_of_mean'] == pytest.approx(0.8)
  assert numbers['accuracy_size2'] == pytest.approx(0.4)
  assert numbers['pairs'] == 100
  assert small.sides(found)['share_ranked'] == ('>', 0.5)
  # Three of three seeds: low = .025^(1/3), which is below one half.
  ends = small.ends(found, 'share_ranked')
  assert ends == pytest.approx([0.025 ** (1 / 3), 1.0])


def test_sizes_are_compared_at_the_largest_d_that_all_have_seen():
  rows = ladder([0.1, 0.2, 0.3, 0.4])
  rows += ladder([0.9, 0.5, 0.1, 0.0], pairs=50)
  rows += ladder([0.0, 0.0, 9.0], pairs=200)  # the largest has not seen 200
  numbers = small.numbers(scaling.size_scaling(curve(rows)))
  assert numbers['slope'] == pytest.approx(0.1)
  assert numbers['pairs'] == 100


def test_three_sizes_or_no_shared_d_are_not_run():
  with pytest.raises(NotRunError, match='3 sizes; wanted 4'):
    scaling.size_scaling(curve(ladder([0.1, 0.2, 0.3])))
  rows = ladder([0.1, 0.2, 0.3, 0.4])
  rows[3]['pairs'] = 200
  with pytest.raises(NotRunError, match='every size and seed'):
    scaling.size_scaling(curve(rows))
  lone = ladder([0.1, 0.2, 0.3, 0.4]) + ladder([0.1, 0.2], seed=1)
  with pytest.raises(NotRunError, match='every size and seed'):
    scaling.size_scaling(curve(lone))


def test_a_flat_curve_has_no_r2_and_decides_nothing():
  rows = [row for seed in small.SEEDS for row in points(0.0, seed)]
  found = scaling.data_scaling(curve(rows))
  assert small.numbers(found)['slope'] == pytest.approx(0, abs=1e-12)
  assert np.isnan(small.numbers(found)['r2'])
