import math

import numpy as np
import pandas as pd
import pytest

from rlhf_jax.analysis import scaling

E = math.e


def curve(accuracy, expected=math.nan):
  """Sizes e^0, e^1 and e^2, pairs e^1 and e^2; accuracy(ln P, ln D)."""
  return pd.DataFrame(
    {
      'seed': 0,
      'size': f'size{p}',
      'n_params': E**p,
      'pairs': E**d,
      'accuracy': accuracy(p, d),
      'expected_accuracy': expected,
    }
    for p in (0, 1, 2)
    for d in (1, 2)
  )


def test_expected_accuracy_is_used_where_all_of_it_is_known():
  frame = curve(lambda p, d: 0.5, expected=0.6)
  assert scaling.accuracy_column(frame) == 'expected_accuracy'
  frame.loc[2, 'expected_accuracy'] = math.nan
  assert scaling.accuracy_column(frame) == 'accuracy'
  assert scaling.accuracy_column(frame[:0]) == 'accuracy'


def test_the_fits_give_back_their_coefficients():
  frame = curve(lambda p, d: 0.5 + 0.02 * p + 0.03 * d)
  zero = frame.assign(pairs=0.0, accuracy=9.0)  # before any pair
  both = pd.concat([frame, zero])
  joint = scaling.joint_fit(both).coefficient_K
  np.testing.assert_allclose(joint, [0.5, 0.02, 0.03])
  last = frame[frame['pairs'] == E**2]
  fit = scaling.size_fit(last)
  np.testing.assert_allclose(fit.coefficient_K, [0.56, 0.02])
  one = pd.concat([frame, frame.assign(pairs=E**3, accuracy=0.59)])
  one = pd.concat([one[one['size'] == 'size0'], zero[:2]])
  np.testing.assert_allclose(scaling.data_fit(one).coefficient_K[1], 0.03)


def test_the_rank_of_sizes_by_hand():
  frame = curve(lambda p, d: [0.1, 0.3, 0.2][p])
  last = frame[frame['pairs'] == E**2]
  assert scaling.size_spearman(last) == pytest.approx(0.5)
  assert scaling.size_spearman(last[::-1]) == pytest.approx(0.5)


def test_the_largest_number_of_pairs_that_all_sizes_have_seen():
  frame = curve(lambda p, d: 0.5)
  assert scaling.common_pairs(frame) == E**2
  lacks = frame.drop(index=5)  # size2 has not seen e^2
  assert scaling.common_pairs(lacks) == E
  assert math.isnan(scaling.common_pairs(frame.drop(index=[1, 2, 4])))


def test_halves_are_averaged_and_seeds_are_not():
  frame = curve(lambda p, d: 0.5)
  shifted = frame.assign(accuracy=0.7)
  other = frame.assign(seed=1, accuracy=0.1)
  found = scaling.mean_over_halves(pd.concat([frame, shifted, other]))
  assert len(found) == 12
  means = found.groupby('seed')['accuracy'].unique()
  assert means[0] == pytest.approx([0.6]) and means[1] == pytest.approx([0.1])


def test_a_fit_is_extrapolated_from_what_lies_below():
  """On a plane it is right; with two sizes too little is left to fit."""
  plane = lambda p, d: 0.3 + 0.02 * p + 0.03 * d
  rows = [
    {'seed': 0, 'size': f'size{p}', 'n_params': E**p, 'pairs': E**d}
    | {'accuracy': plane(p, d), 'expected_accuracy': math.nan}
    for p in (0, 1, 2)
    for d in (1, 2, 3)
  ]
  found = scaling.extrapolate(pd.DataFrame(rows))
  assert found.error == pytest.approx(0, abs=1e-12)
  assert found.rmse == pytest.approx(0, abs=1e-12) and found.flat > 0.01
  few = scaling.extrapolate(pd.DataFrame(rows[:6]))
  assert math.isnan(few.error) and math.isnan(few.rmse)
