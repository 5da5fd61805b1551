"""Rows of simulated studies: closed forms, and how their noise is drawn."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from rlhf_jax.analysis import fits, gain_bound
from rlhf_jax.analysis.operating import frontier, noise, rl, scenario, tables
from rlhf_jax.analysis.operating.scenario import Scenario

RUN = tables.run_of('linear', '13K', 3, 'a')


@pytest.mark.parametrize('bow', [-0.13, -0.03, 0.0, 0.02])
def test_a_bent_frontier_is_one(bow):
  """Its slope on KL is 1 / b, and the bound of each b is met by its policy.

  Between points the slope is that of the chord, whose b lies between theirs.
  """
  rows = tables.bent_frontier(RUN, bow, 1.5, 2.0)
  b_N, gain_N = rows['b'].to_numpy(), rows['gain'].to_numpy()
  kl_N, mgf_N = rows['kl'].to_numpy(), rows['log_mgf'].to_numpy()
  chord_N = np.diff(kl_N) / np.diff(gain_N)
  assert (b_N[:-1] < chord_N).all() and (chord_N < b_N[1:]).all()
  np.testing.assert_allclose(kl_N, b_N * gain_N - mgf_N, atol=1e-12)
  for i in (0, 7, 39):
    found, index = gain_bound.gain_bound(kl_N[i], b_N, mgf_N)
    assert (found, index) == (pytest.approx(gain_N[i]), i)
  u_N = np.append(0, np.sqrt(kl_N)) / 2
  found = fits.quadratic_bow(u_N, np.append(0, gain_N))
  assert found == pytest.approx(bow, abs=1e-9)
  assert gain_N[-1] == pytest.approx(3.0) and kl_N[-1] == pytest.approx(4.0)


def test_a_frontier_of_gaussian_scores_is_sqrt_2_v_kl():
  rows = tables.gaussian_frontier(RUN, 0.7, np.array([0.5, 1.0, 3.0]), 50.0)
  root_N = np.sqrt(2 * 0.7 * rows['kl'])
  np.testing.assert_allclose(rows['gain'], root_N)
  np.testing.assert_allclose(rows['log_mgf'], rows['kl'])
  assert set(rows['ess']) == {50.0} and set(rows['scorer']) == {'train'}
  bound, index = gain_bound.gain_bound(
    rows['kl'].iloc[1], rows['b'], rows['log_mgf']
  )
  assert (bound, index) == (pytest.approx(rows['gain'].iloc[1]), 1)


N = 20_000


def drawn(**more):
  return tables.scored_pairs(np.random.default_rng(0), N, **more)


@pytest.mark.parametrize('t', [0.7, 1.0, 1.5])
def test_pairs_have_the_labels_of_their_scores(t):
  """The probability is exact; how often the higher one is preferred is drawn.

  The error of a share of 20,000 is .0035 at most.
  """
  pairs = drawn(t=t)
  delta_N = (pairs['score_chosen'] - pairs['score_rejected']).to_numpy()
  np.testing.assert_allclose(pairs['p_label'], expit(t * delta_N))
  higher = (delta_N > 0).mean()
  assert higher == pytest.approx(expit(t * np.abs(delta_N)).mean(), abs=0.014)
  assert set(pairs['turn']) == {1, 2, 3, 4}
  helpful = (pairs['subset'] == 'helpful').mean()
  assert helpful == pytest.approx(0.8, abs=0.012)


def test_differences_shrink_with_the_level_and_first_turns_are_wider():
  """log |delta| = -.6 level + log 1.5 on turn 1 + log |normal|, sd 1.11."""
  pairs = drawn(shrink=0.6, first=1.5)
  middle_N = (pairs['score_chosen'] + pairs['score_rejected']) / 4
  size_N = np.log((pairs['score_chosen'] - pairs['score_rejected']).abs())
  first_N = (pairs['turn'] == 1).to_numpy(float)
  design_N3 = np.stack([np.ones(N), middle_N, first_N], 1)
  fit = fits.least_squares(design_N3, size_N.to_numpy())
  # E log |normal| = -(gamma + log 2) / 2; a spread of 1.2 before all.
  level = math.log(1.2) - (np.euler_gamma + math.log(2)) / 2
  wanted = [level, -0.6, math.log(1.5)]
  assert (np.abs(fit.coefficient_K - wanted) < 4 * fit.error_K).all()
  assert fit.error_K.max() < 0.02


def test_the_preferred_reply_is_the_longer_one_where_that_is_asked():
  apart = lambda pairs: pairs['words_chosen'] - pairs['words_rejected']
  assert (apart(drawn(long=True)) >= 0).all()
  found = apart(drawn())
  assert (found > 0).mean() == pytest.approx((found < 0).mean(), abs=0.02)


def test_a_row_of_accuracy_has_what_is_expected_and_what_was_sampled():
  row = tables.accuracy_row(RUN, 'mix', 'decay', 9, 'helpful', 0.7, 0.6)
  found = [row[k] for k in ('expected_accuracy', 'accuracy', 'pairs')]
  assert found == [0.7, 0.6, 9]
  assert (row['train_subset'], row['eval_subset']) == ('mix', 'helpful')


@pytest.mark.parametrize(
  'wander', [rl.wander, lambda rng: frontier.wander(rng, 1.0)]
)
def test_a_residual_follows_the_one_before_and_has_one_spread(
  wander, monkeypatch
):
  """e[t] = .4 e[t-1] + ...: covariances s^2 .4^k at a distance of k.

  4,000 draws know a variance to 2.2 % and a correlation to .016.
  """
  for name, value in (('residual', 0.5), ('residual_next', 0.4)):
    monkeypatch.setitem(noise.NOISE, name, value)
  rng = np.random.default_rng(0)
  path_DN = np.array([wander(rng)[:8] for _ in range(4000)]) / 0.5
  covariance = np.cov(path_DN.T)
  place = np.arange(8)
  wanted = 0.4 ** np.abs(place[:, None] - place[None, :])
  assert np.abs(covariance - wanted).max() < 0.09


def test_a_smaller_share_of_noise_is_smaller_by_that_share():
  whole, half = (
    frontier.wander(np.random.default_rng(0), share) for share in (1.0, 0.5)
  )
  np.testing.assert_allclose(half, whole / 2)


def test_steps_are_seen_about_the_line_through_both_neighbours():
  """Levels 0 1 2 7 4 5 6: the bump of 4 leaves -2, 4, -2, and two zeros."""
  values = [0.0, 1.0, 2.0, 7.0, 4.0, 5.0, 6.0]
  rows = [
    {'seed': seed, 'samples': s, 'gap': value * sign}
    for seed, sign in ((0, 1), (1, -1))
    for s, value in enumerate(values)
  ]
  found = noise._steps(pd.DataFrame(rows[::-1]), 'gap')
  squares = 2 * (4 + 16 + 4)
  assert found == pytest.approx(math.sqrt(squares / 10 / 1.5))


def test_residuals_of_several_fits_are_pooled_by_their_freedom():
  """Of four points 2 degrees are left, of three points 1, and squares of 6."""
  one = fits.line([0, 1, 2, 3], [0.3, 0.9, 1.9, 3.1])
  other = fits.line([0, 1, 2], [0.0, 3.0, 0.0])
  found = noise._residual([one, other])
  squares = one.residual_sum + other.residual_sum
  assert other.residual_sum == pytest.approx(6.0)
  assert found == pytest.approx(math.sqrt(squares / (2 + 1)))


def test_every_study_has_numbers_of_its_own_that_come_again():
  """By boundary, by count of seeds and by number, whoever asks first."""
  seen = {}

  def make(rng, seeds, where):
    seen.setdefault((where, len(seeds)), []).append(rng.random())
    return {}

  odd = Scenario(1, make, 'it is so', {'none': 'it is not'})
  for where, seeds in (('effect', 5), ('none', 5), ('effect', 8)):
    found = scenario.verdicts(odd, where, seeds, range(3))
    assert found == ['not run'] * 3
  drawn = sum(seen.values(), [])
  assert len(set(drawn)) == 9
  scenario.verdicts(odd, 'effect', 5, range(2, 3))
  assert seen['effect', 5][3] == seen['effect', 5][2]
  other = Scenario(2, make, 'it is so', {})
  scenario.verdicts(other, 'effect', 5, range(1))
  assert seen['effect', 5][-1] not in drawn
