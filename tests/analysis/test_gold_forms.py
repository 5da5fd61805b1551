"""The forms of Gao et al. on curves whose alpha and beta are known."""

import math

import numpy as np
import pytest
from scipy import optimize

from rlhf_jax.analysis import gold_forms

D = np.linspace(0.2, 5.0, 15)
FORMS = {
  'best_of_n': lambda d, alpha, beta: d * (alpha - beta * d),
  'rl': lambda d, alpha, beta: d * (alpha - beta * np.log(d)),
}


@pytest.mark.parametrize('way', FORMS)
def test_a_curve_of_one_form_gives_its_numbers_back(way):
  found = gold_forms.fit_forms(D**2, FORMS[way](D, 1.3, 0.2), way)
  assert found['alpha'] == pytest.approx(1.3)
  assert found['beta'] == pytest.approx(0.2)
  assert found['r2'] == pytest.approx(1) and found['aic'] < -100


@pytest.mark.parametrize('way', FORMS)
def test_the_other_form_is_said_to_be_worse(way):
  (other,) = FORMS.keys() - {way}
  found = gold_forms.fit_forms(D**2, FORMS[other](D, 1.3, 0.2), way)
  assert found['aic'] > 100


@pytest.mark.parametrize('way', FORMS)
def test_the_fit_is_that_of_a_general_minimiser(way):
  """The naive twin, on a noisy curve that starts at pi_0."""
  rng = np.random.default_rng(0)
  gain_N = FORMS[way](D, 1.0, 0.15) + 0.05 * rng.standard_normal(len(D))
  (alpha, beta), _ = optimize.curve_fit(FORMS[way], D, gain_N, (1.0, 0.1))
  kl_N, gain_N = np.append(0, D**2), np.append(0, gain_N)
  found = gold_forms.fit_forms(kl_N, gain_N, way)
  assert found['alpha'] == pytest.approx(alpha, rel=1e-5)
  assert found['beta'] == pytest.approx(beta, rel=1e-4)


def test_five_points_say_nothing():
  found = gold_forms.fit_forms(D[:5] ** 2, D[:5], 'rl')
  assert math.isnan(found['aic']) and math.isnan(found['beta'])
