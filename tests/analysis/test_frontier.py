import math

import numpy as np
import pandas as pd
import pytest

from rlhf_jax.analysis import best_of_n, frontier


@pytest.fixture
def rng():
  return np.random.default_rng(0)


def test_gaussian_scores_give_the_straight_line_of_slope_root_2_v(rng):
  score_PN = 2.0 + 0.7 * rng.standard_normal((64, 4096))
  found = frontier.curve(score_PN)
  slope = found['gain'] / np.sqrt(found['kl'])
  np.testing.assert_allclose(slope, math.sqrt(2) * 0.7, rtol=0.03)
  shape = frontier.shape(found)
  assert abs(shape['bow']) < 0.02 and shape['p'] == pytest.approx(0.5, abs=0.02)
  assert shape['sqrt_kl'] > 1.5
  assert found['ess'].iloc[-1] == pytest.approx(20, rel=0.05)
  moments = frontier.moments(score_PN)
  assert moments['variance'] == pytest.approx(0.49, rel=0.02)
  assert moments['skew'] == pytest.approx(0, abs=0.03)
  assert moments['kurtosis'] == pytest.approx(0, abs=0.05)


def test_a_categorical_policy_has_the_closed_form(rng):
  """Three replies with known probabilities, for each of two prompts."""
  p_PK = np.array([[0.5, 0.3, 0.2], [0.1, 0.6, 0.3]])
  r_PK = np.array([[0.0, 1.0, 3.0], [2.0, -1.0, 0.5]])
  score_PN = np.stack(
    [rng.choice(r, 40_000, p=p) for r, p in zip(r_PK, p_PK, strict=True)]
  )
  for b in (0.3, 1.0):
    weight_PK = p_PK * np.exp(b * r_PK)
    pi_PK = weight_PK / weight_PK.sum(1, keepdims=True)
    gain = ((pi_PK - p_PK) * r_PK).sum(1).mean()
    kl = (pi_PK * np.log(pi_PK / p_PK)).sum(1).mean()
    found = frontier.tilt(score_PN, b)
    assert found.gain == pytest.approx(gain, rel=0.02)
    assert found.kl == pytest.approx(kl, rel=0.03)


def test_leaving_out_replies_takes_the_bias_of_few_away(rng):
  """At 64 replies a prompt the plug-in gain is 5 % too small; 1 % is left."""
  score_PN = rng.standard_normal((20_000, 64))
  b = 1.2
  w_PN = np.exp(b * score_PN)
  w_PN /= w_PN.sum(1, keepdims=True)
  plug = ((w_PN * score_PN).sum(1) - score_PN.mean(1)).mean()
  found = frontier.tilt(score_PN, b)
  assert plug < 0.96 * b
  assert found.gain == pytest.approx(b, rel=0.015)
  assert found.kl == pytest.approx(b**2 / 2, rel=0.03)


def test_the_correction_is_that_of_a_loop(rng):
  """The naive twin: every estimate once more without each reply."""
  score_PN, b = rng.gamma(2.0, size=(3, 7)), 0.8

  def plug(row):
    w = np.exp(b * row)
    mgf = math.log(w.mean()) - b * row.mean()
    return np.array([(w * row).sum() / w.sum() - row.mean(), mgf])

  values = []
  for row in score_PN:
    left = [plug(np.delete(row, i)) for i in range(len(row))]
    values.append(7 * plug(row) - 6 * np.mean(left, 0))
  gain, mgf = np.mean(values, 0)
  found = frontier.tilt(score_PN, b)
  assert found.gain == pytest.approx(gain)
  assert found.log_mgf == pytest.approx(mgf)
  assert found.kl == pytest.approx(b * gain - mgf)


def test_no_policy_at_the_kl_of_best_of_n_gains_more_than_the_frontier(rng):
  """Of Gaussian scores it gains 91 to 92 %, from tables of order statistics."""
  sizes, expected = [2, 4, 8, 16], [0.5642, 1.0294, 1.4236, 1.7660]
  for draw in (rng.standard_normal, lambda size: rng.gamma(3.0, size=size)):
    score_PN = draw((64, 4096))
    edge = frontier.curve(score_PN)
    best = best_of_n.best_of(score_PN, sizes)
    share = frontier.efficiency(edge, best['kl'], best['gain'])
    assert (share < 1).all()
    if draw == rng.standard_normal:
      known = np.array(expected) / np.sqrt(2 * best['kl'])
      np.testing.assert_allclose(share, known, rtol=0.03)


def test_efficiency_is_the_share_of_the_gain_at_the_same_kl():
  edge = pd.DataFrame({'kl': [1.0, 4.0], 'gain': [1.0, 2.0]})
  share = frontier.efficiency(
    edge, [0.0, 0.25, 1.0, 2.25, 9.0], [0, 0.25, 1, 3, 9]
  )
  assert share[1:4] == pytest.approx([0.5, 1.0, 2.0])
  assert np.isnan(share[[0, 4]]).all()


def test_scores_that_carry_nothing_are_refused(rng):
  with pytest.raises(ValueError, match='score the same'):
    frontier.curve(np.ones((3, 50)))
  with pytest.raises(ValueError, match='sample more'):
    frontier.curve(rng.standard_normal((3, 10)))
  with pytest.raises(ValueError, match='two replies'):
    frontier.tilt(np.ones((3, 1)), 1.0)


def test_a_skewed_world_bends(rng):
  """Most replies good, a few terrible: the line bends downwards."""
  score_PN = -rng.exponential(size=(32, 4096))
  shape = frontier.shape(frontier.curve(score_PN))
  assert shape['bow'] < -0.03 and shape['p'] < 0.46
  assert frontier.moments(score_PN)['skew'] < -1.5


def test_tilted_moments_are_the_cumulants_at_the_end_of_the_curve():
  """Scores of M coins of worth w: cumulants of the tilted law are known."""
  M, w, p = 30, 0.7, 0.4
  b_N = np.linspace(0, 0.9, 41)[1:]
  q_N = p * np.exp(b_N * w) / (1 - p + p * np.exp(b_N * w))
  edge = pd.DataFrame({'b': b_N, 'gain': M * w * (q_N - p)})
  q, variance = q_N[-1], q_N[-1] * (1 - q_N[-1])
  found = frontier.tilted_moments(edge)
  # The series of the gain goes on: its next term moves both by a tenth.
  skew = (1 - 2 * q) / math.sqrt(M * variance)
  kurtosis = (1 - 6 * variance) / (M * variance)
  assert found['tilted_skew'] == pytest.approx(skew, abs=0.1 * abs(skew) + 0.01)
  assert found['tilted_kurtosis'] == pytest.approx(kurtosis, abs=0.02)


def test_normal_scores_lie_where_few_replies_put_them():
  """Well inside the curve at 0; at its end below, and nearer with more."""
  shape = (16, 512)
  few = frontier.normal_moments(shape, draws=12)
  inner = frontier.normal_moments(shape, draws=12, ess=160)
  assert few['tilted_skew_low'] < few['tilted_skew_high']
  middle = lambda x: (x['tilted_skew_low'] + x['tilted_skew_high']) / 2
  assert middle(few) < -0.15 and abs(middle(inner)) < abs(middle(few)) / 2
  assert frontier.normal_moments(shape, draws=12) == few


def test_a_curve_is_cut_where_too_few_replies_carry_it():
  edge = frontier.curve(np.random.default_rng(0).standard_normal((8, 512)))
  inner = frontier.carried(edge, 100)
  assert 0 < len(inner) < len(edge) and inner['ess'].min() >= 100
  assert len(frontier.carried(edge, frontier.MIN_ESS)) == len(edge)


def test_normal_scores_stay_normal_when_they_are_tilted():
  b_N = np.linspace(0.1, 2, 20)
  edge = pd.DataFrame({'b': b_N, 'gain': 3.0 * b_N})
  found = frontier.tilted_moments(edge)
  assert found['tilted_skew'] == pytest.approx(0, abs=1e-9)
  assert found['tilted_kurtosis'] == pytest.approx(0, abs=1e-9)
