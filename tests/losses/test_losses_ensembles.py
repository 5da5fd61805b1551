"""Twins and hand values of rlhf_jax.losses.ensembles."""

import numpy as np
import pytest

from rlhf_jax.losses import ensembles

SCORE_NB = np.float32([[1.0, -2.0, 0.5], [3.0, -2.0, -1.5], [2.0, 1.0, 0.1]])


def naive(way, coef):
  rewards = []
  for b in range(3):
    scores = [float(SCORE_NB[n, b]) for n in range(3)]
    mean = sum(scores) / 3
    square = sum((r - mean) ** 2 for r in scores) / 3
    rewards.append(
      {'mean': mean, 'min': min(scores), 'variance': mean - coef * square}[way]
    )
  return rewards


@pytest.mark.parametrize('way', ensembles.WAYS)
def test_a_reward_of_several_equals_a_loop(way):
  found = ensembles.combined(SCORE_NB, way, 0.4)
  np.testing.assert_allclose(found, naive(way, 0.4), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('way', ensembles.WAYS)
def test_models_that_agree_are_one_model(way):
  same_NB = np.tile(SCORE_NB[:1], (3, 1))
  found = ensembles.combined(same_NB, way, 0.4)
  np.testing.assert_allclose(found, SCORE_NB[0], rtol=1e-6)


def test_no_way_but_the_mean_is_above_it_and_a_coef_of_0_is_it():
  mean = np.asarray(ensembles.combined(SCORE_NB, 'mean'))
  assert (np.asarray(ensembles.combined(SCORE_NB, 'min')) <= mean).all()
  careful = np.asarray(ensembles.combined(SCORE_NB, 'variance', 0.1))
  assert (careful <= mean).all() and (careful < mean).any()
  np.testing.assert_allclose(ensembles.combined(SCORE_NB, 'variance'), mean)


def test_a_shift_of_one_model_changes_nothing_once_it_is_centred():
  """Without, the worst case would be that model alone."""
  shifted_NB = SCORE_NB + np.float32([[0.0], [-100.0], [0.0]])
  one, two = (
    ensembles.combined(ensembles.centred(x, x.mean(1)), 'min')
    for x in (SCORE_NB, shifted_NB)
  )
  np.testing.assert_allclose(one, two, atol=1e-4)  # float32 at 100


def test_another_way_is_refused():
  with pytest.raises(ValueError, match="got 'median'"):
    ensembles.combined(SCORE_NB, 'median')
