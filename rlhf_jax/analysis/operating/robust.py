"""Simulated studies for the claims on long runs: 19, 20 and 24."""

import numpy as np
import pandas as pd

from rlhf_jax.analysis import elo
from rlhf_jax.analysis.operating.noise import NOISE
from rlhf_jax.analysis.operating.scenario import Scenario
from rlhf_jax.analysis.operating.tables import checkpoints, pi0_row, run_of

# Checkpoints of the robustness runs of micro.
ITERATIONS = np.array([0, 1, *range(2, 33, 2), *range(36, 53, 4)])
SHARE = ITERATIONS / ITERATIONS[-1]
SAMPLES = 256 * ITERATIONS
# sqrt(KL) there, about: it plays no part in these claims.
ROOT = 5.3 * SHARE**0.6
LATE = SHARE >= 0.75


def _study(seeds, curves):
  """Both directions of every PM pair.

  Args:
    seeds: of the study.
    curves: seed -> dict of train_pm, test_pm, gold and win rates.
  """
  frames, pi0 = [], []
  for seed in seeds:
    own = curves(seed)
    for half, shift in (('a', 0.5), ('b', -0.5)):
      run = run_of('robust', '13K', seed, half)
      columns = own | {'test_pm': own['test_pm'] + shift}
      frames.append(checkpoints(run, SAMPLES, ROOT, columns))
      pi0.append(pi0_row(run, 'train', 0.0, 0.7))
  return {
    'rl_curve': pd.concat(frames, ignore_index=True),
    'rl_pi0': pd.DataFrame(pi0),
  }


def _gap(rng, early, late):
  """A gap that is level at `early` to 20 % of samples and `late` in the end.

  Both are shares of the late gain of `_train()`; pi_0 has no gap.
  """
  early += NOISE['early_gap_seed'] * rng.standard_normal()
  late *= 1 + NOISE['late_gap_seed'] / NOISE['late_gap'] * rng.standard_normal()
  grown_N = np.maximum(SHARE - 0.2, 0)
  rise_N = (late - early) * grown_N / grown_N[LATE].mean()
  level_N = early * np.minimum(SHARE / 0.1, 1) + rise_N
  noise_N = NOISE['gap_step'] * rng.standard_normal(len(SHARE))
  return _train()[LATE].mean() * level_N + noise_N * (SHARE > 0)


def _train(rise=0.1):
  """A train PM whose score has its late gain from three quarters on."""
  early_N = np.minimum(SHARE / 0.75, 1) ** 0.5
  return (
    NOISE['late_gain'] * early_N + rise * np.maximum(SHARE - 0.75, 0) / 0.25
  )


def train_test_gap(rng, seeds, where):
  """Claim 19."""

  def curves(seed):
    gap_N = _gap(
      rng, 0.05 if where == 'early' else 0.0, 0.0 if where == 'late' else 0.3
    )
    if where == 'late':  # the spread of late gaps, about nothing
      late = NOISE['late_gap_seed'] * NOISE['late_gain']
      gap_N = gap_N + late * rng.standard_normal() * np.maximum(SHARE - 0.2, 0)
    return {'train_pm': _train(), 'test_pm': _train() - gap_N}

  return _study(seeds, curves)


def gap_growth(rng, seeds, where):
  """Claim 20."""

  def curves(seed):
    grows = where != 'share' or rng.random() < 0.5
    gap_N = _gap(rng, 0.0, 0.3)
    return {
      'train_pm': _train(),
      'test_pm': _train() - (gap_N if grows else -gap_N),
    }

  return _study(seeds, curves)


def gold_turns(rng, seeds, where):
  """Claim 24: gold rises, is level over the middle and falls."""

  def spread(name):
    return NOISE[f'{name}_seed'] * rng.standard_normal()

  def curves(seed):
    middle = spread('gold_middle_gain') + (0.0 if where == 'middle' else 0.5)
    early = 3.0  # of gold, a unit of the share of samples
    late = 0.25 * early + spread('gold_flattening')
    late += 0.0 if where == 'flat' else -1.5
    rise = spread('train_late_rise') + (0.0 if where == 'rise' else 0.1)
    excess = spread('elo_excess') + (0.0 if where == 'elo' else 150.0)
    knots = [0, early / 4, middle, middle, middle + late / 4]
    gold_N = np.interp(SHARE, [0, 0.25, 0.4, 0.75, 1], knots)
    gold_N = gold_N + NOISE['gold_step'] * rng.standard_normal(len(SHARE))
    train_N = _train(rise)
    win = 1 / (1 + 10 ** (-(elo.naive_elo(train_N[-1]) - excess) / 400))
    rates = {'win_rate': win, 'pm_win_rate': win}
    scores = {'train_pm': train_N, 'test_pm': train_N, 'gold': gold_N}
    return scores | rates

  return _study(seeds, curves)


SCENARIOS = (
  Scenario(
    19,
    train_test_gap,
    'no early gap, a late one of 30 % of the gain (micro: 40 %)',
    {'early': 'an early gap of 5 % of the gain', 'late': 'no late gap'},
  ),
  Scenario(
    20,
    gap_growth,
    'a gap that grows to 30 % of the gain in every pair',
    {'share': 'it grows in one half of all pairs and shrinks in the other'},
  ),
  Scenario(
    24,
    gold_turns,
    'gold gains .5 by the middle and its slope falls to 25 % less 1.5 (micro: '
    '.58, 1.8), the PM rises by .1 (.13), Elo is 150 too high (289)',
    {
      'middle': 'gold has gained nothing by the middle',
      'flat': 'the late slope of gold is 25 % of the early one',
      'rise': 'the PM no longer rises',
      'elo': 'Elo is right',
    },
  ),
)
