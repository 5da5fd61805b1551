import math

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from rlhf_jax.analysis import overopt, robustness
from rlhf_jax.analysis.elo import naive_elo

SAMPLES = np.linspace(0, 1000, 21)


def robust_runs(gap, seeds=(1, 2, 3), halves='ab', noise=0.0):
  rng = np.random.default_rng(0)
  frames = []
  for seed in seeds:
    for half in halves:
      shift = 0.4 if half == 'a' else -0.4
      train = SAMPLES / 500
      wobble = noise * rng.standard_normal(len(SAMPLES))
      frames.append(
        pd.DataFrame(
          {
            'run_id': f'{seed}{half}',
            'seed': seed,
            'size': '13K',
            'half': half,
            'samples': SAMPLES,
            'train_pm': train,
            'test_pm': train - gap(SAMPLES, seed) + shift + wobble,
          }
        )
      )
  return pd.concat(frames)


def test_the_scale_of_one_pm_cancels_over_both_directions():
  gap = robustness.symmetric_gap(robust_runs(lambda s, seed: s / 2000))
  np.testing.assert_allclose(gap['gap'], gap['samples'] / 2000, atol=1e-12)
  np.testing.assert_allclose(gap['train_gain'], gap['samples'] / 500)
  assert sorted(gap['seed'].unique()) == [1, 2, 3]


def test_one_direction_alone_is_no_pair():
  assert robustness.symmetric_gap(
    robust_runs(lambda s, seed: 0 * s, halves='a')
  ).empty


def test_early_and_late_windows():
  gap = robustness.symmetric_gap(robust_runs(lambda s, seed: s / 1000))
  # Early: samples 50 and 100. Late: 750 to 1000.
  np.testing.assert_allclose(robustness.early_gap(gap), 0.075)
  np.testing.assert_allclose(robustness.late_gap(gap)['gap'], 0.875)


def test_in_errors_by_hand():
  assert robustness.in_errors([1.0, 2.0, 3.0]) == pytest.approx(
    2 / (1 / math.sqrt(3))
  )
  assert robustness.in_errors([0.0, 0.0]) == 0
  assert robustness.in_errors([1.0, 1.0]) == math.inf
  assert math.isnan(robustness.in_errors([1.0]))


def test_divergence_is_the_first_of_two_positive_gaps_beyond_two_errors():
  def gap(samples, seed):
    early = 0.1 * (seed - 2) * np.ones_like(samples)
    return np.where(samples < 500, early, samples / 1000 + early / 10)

  table = robustness.symmetric_gap(robust_runs(gap))
  assert robustness.divergence_samples(table) == 500
  assert robustness.growth(table).low == pytest.approx(1.0)


def test_one_checkpoint_beyond_two_errors_is_no_divergence():
  def gap(samples, seed):
    clear = np.isin(samples, (200, 350, 400, 450, 1000))
    return np.where(clear, 1.0, 0.0) + 0.1 * (seed - 2)

  table = robustness.symmetric_gap(robust_runs(gap))
  assert robustness.divergence_samples(table) == 350
  # Nothing follows the last checkpoint; the one at 200 stands alone.
  lone = table[~table['samples'].isin((350, 400, 450))]
  assert math.isnan(robustness.divergence_samples(lone))


def test_pms_that_agree_rarely_diverge():
  """No true gap, 3 pairs, 11 checkpoints; one beyond 2 s.e. is seen in 65 %."""
  rng = np.random.default_rng(0)
  frame = pd.DataFrame(
    {'samples': np.repeat(np.arange(1, 12), 3), 'seed': np.tile([1, 2, 3], 11)}
  )
  alarms = [
    robustness.divergence_samples(frame.assign(gap=rng.standard_normal(33)))
    for _ in range(200)
  ]
  assert np.mean(np.isfinite(alarms)) < 0.15


def test_a_negative_gap_is_no_divergence():
  table = robustness.symmetric_gap(robust_runs(lambda s, seed: -s / 1000))
  assert math.isnan(robustness.divergence_samples(table))
  assert math.isnan(robustness.growth(table).mean)


def overopt_run(gold, train, win_rate=0.8, pm_win_rate=0.9):
  u = np.linspace(0, 1, 41)
  return pd.DataFrame(
    {
      'samples': 1000 * u,
      'kl': 36 * u**2,
      'train_pm': train(u),
      'gold': gold(u),
      'pm_win_rate': pm_win_rate,
      'win_rate': win_rate,
    }
  )


def test_the_turn_of_gold_by_hand():
  run = overopt_run(lambda u: 4 * u * (1 - u), lambda u: 3 * u)
  found = overopt.turn(run, s0=0.0)
  # Slopes of 4 u (1 - u): 3 over the first quarter, -3 over the last.
  assert found['gold_flattening'] == pytest.approx(-3 - 0.25 * 3)
  assert found['train_late_rise'] == pytest.approx(0.75)
  assert found['gold_peak_gain'] == pytest.approx(1.0)
  assert found['sqrt_kl_at_peak'] == pytest.approx(3.0)
  assert found['elo_excess'] == pytest.approx(
    naive_elo(3.0) - 400 * math.log10(4)
  )
  assert found['pm_elo'] == pytest.approx(400 * math.log10(9))
  assert found['pm_elo_excess'] == pytest.approx(400 * math.log10(9 / 4))


def test_a_perfect_pm_has_a_naive_elo_excess_but_no_pm_elo_excess():
  margin_N = np.array([-1.0, 0.0, 3.0, 6.0])
  wins = expit(margin_N).mean()
  run = overopt_run(lambda u: u, lambda u: u * margin_N.mean(), wins, wins)
  found = overopt.turn(run, s0=0.0)
  assert found['pm_elo_excess'] == 0
  assert found['elo_excess'] > 200


def test_steady_gold_does_not_flatten():
  found = overopt.turn(overopt_run(lambda u: u, lambda u: u), s0=0.0)
  assert found['gold_flattening'] == pytest.approx(0.75)
