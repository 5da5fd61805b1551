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
  # Early: samples 100, 150 and 200. Late: 750 to 1000.
  np.testing.assert_allclose(robustness.early_gap(gap), 0.15)
  np.testing.assert_allclose(robustness.late_gap(gap)['gap'], 0.875)


def test_growth_is_the_rank_of_each_pair_after_the_early_window():
  table = robustness.symmetric_gap(
    robust_runs(lambda s, seed: np.where(s > 200, s * (seed - 2), -s))
  )
  ranks = robustness.growth(table)
  assert [ranks[0], ranks[2]] == pytest.approx([-1, 1])
  few = table[table['samples'].isin((0, 100, 300, 400, 1000))]
  assert np.isnan(robustness.growth(few)).all()


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
