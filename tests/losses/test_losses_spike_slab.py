"""Spike-and-slab units in front of a background, against enumeration."""

import itertools

import numpy as np
import pytest
from scipy import special, stats

from rlhf_jax.losses import spike_slab
from rlhf_jax.losses.spike_slab import MISSED, Slab

Q_N = np.array([0.7, 0.2, 0.55])
MEAN_N = np.array([1.5, 1.2, 2.0])
SD_N = np.array([0.2, 0.15, 0.3])
BEHIND = {'on': 0.3, 'mean': 1.0, 'sd': 0.4}
READ_N = np.array([1.4, 0.0, 1.1])
TRUST = 2.0
AXIS = np.linspace(-1, 5, 20_001)

SLAB = Slab(special.logit(Q_N), MEAN_N, SD_N)
BACKGROUND = Slab(special.logit(0.3), 1.0, 0.4)


def integral(values):
  return float(values.sum() * (AXIS[1] - AXIS[0]))


def read_given(v, i, on, behind):
  """p(v | object on, background on) of unit i, its value a summed over."""
  if on:
    if v == 0:
      return MISSED
    noise = SD_N[i] / TRUST**0.5
    density = stats.norm.pdf(AXIS, MEAN_N[i], SD_N[i])
    density = density * stats.norm.pdf(v, AXIS, noise)
    return (1 - MISSED) * integral(density)
  if behind:
    return 0.0 if v == 0 else stats.norm.pdf(v, BEHIND['mean'], BEHIND['sd'])
  return float(v == 0)


def joint(on_N, behind_N):
  """p(what is read, states of all units) of the toy network."""
  p = 1.0
  for i, (v, on, behind) in enumerate(zip(READ_N, on_N, behind_N, strict=True)):
    p *= Q_N[i] if on else 1 - Q_N[i]
    p *= BEHIND['on'] if behind else 1 - BEHIND['on']
    p *= read_given(v, i, on, behind)
  return p


STATES = [
  (on_N, behind_N, joint(on_N, behind_N))
  for on_N in itertools.product((0, 1), repeat=3)
  for behind_N in itertools.product((0, 1), repeat=3)
]


def test_the_likelihood_is_the_sum_over_all_64_states():
  evidence = spike_slab.read_logp(READ_N, SLAB, BACKGROUND, 1.0, TRUST)
  behind = spike_slab.read_off_logp(READ_N, BACKGROUND)
  total = sum(p for _, _, p in STATES)
  found = float(evidence.sum() + behind.sum())
  assert found == pytest.approx(np.log(total), abs=1e-5)


def test_the_responsibility_is_the_share_of_states_that_are_on():
  odds = spike_slab.log_odds(READ_N, SLAB, BACKGROUND, 1.0, TRUST)
  total = sum(p for _, _, p in STATES)
  wanted = [sum(p for on, _, p in STATES if on[i]) / total for i in range(3)]
  np.testing.assert_allclose(special.expit(odds), wanted, rtol=1e-5)


def test_the_fused_value_is_the_posterior_mean_of_a_unit_that_is_on():
  found = np.asarray(spike_slab.fused(READ_N, SLAB, 1.0, TRUST))
  for i, v in enumerate(READ_N):
    density = stats.norm.pdf(AXIS, MEAN_N[i], SD_N[i])
    if v > 0:
      noise = SD_N[i] / TRUST**0.5
      density = density * stats.norm.pdf(v, AXIS, noise)
    wanted = integral(AXIS * density) / integral(density)
    assert found[i] == pytest.approx(wanted, abs=1e-5)


def test_what_is_not_observed_leaves_the_prior():
  odds = spike_slab.log_odds(READ_N, SLAB, BACKGROUND, 0.0, TRUST)
  np.testing.assert_allclose(odds, SLAB.logit, rtol=1e-6)
  np.testing.assert_allclose(
    spike_slab.fused(READ_N, SLAB, 0.0, TRUST), MEAN_N, rtol=1e-6
  )
  evidence = spike_slab.read_logp(READ_N, SLAB, BACKGROUND, 0.0, TRUST)
  np.testing.assert_allclose(evidence, 0)


def test_hypotheses_explain_each_other_away():
  """By hand: odds 3, 1 and the background's 1."""
  odds_KN = np.log([[3.0, 0.5], [1.0, 0.5]])
  found = spike_slab.explain_away(odds_KN)
  np.testing.assert_allclose(found, [[0.6, 0.25], [0.2, 0.25]], rtol=1e-6)
  alone = spike_slab.explain_away(odds_KN[:1])
  np.testing.assert_allclose(alone, [[0.75, 1 / 3]], rtol=1e-6)


def test_a_clean_unit_has_a_point_at_0_and_a_density_beside():
  """Both together are 1; each unit by the formula."""
  slab = Slab(special.logit(0.6), 2.0, 0.3)
  off = np.exp(float(spike_slab.slab_logp(np.float32(0), slab)))
  above = AXIS[AXIS > 0].astype(np.float32)
  density = np.exp(np.asarray(spike_slab.slab_logp(above, slab)))
  assert off == pytest.approx(0.4, rel=1e-6)
  assert off + integral(density) == pytest.approx(1, abs=1e-4)
  wanted = 0.6 * stats.norm.pdf(1.7, 2.0, 0.3)
  one = np.exp(float(spike_slab.slab_logp(np.float32(1.7), slab)))
  assert one == pytest.approx(wanted, rel=1e-5)
