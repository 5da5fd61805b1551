"""Simulated studies for the claims on policies that rise: 11 to 18 and 27."""

import math

import numpy as np
import pandas as pd

from rlhf_jax.analysis.operating.noise import NOISE
from rlhf_jax.analysis.operating.scenario import Scenario
from rlhf_jax.analysis.operating.tables import (
  POLICIES,
  checkpoints,
  gaussian_frontier,
  pi0_row,
  run_of,
)

# Checkpoints of the linear runs of micro (seed 120, 13K): sqrt(KL).
ROOT = np.array(
  [0, 0.07, 0.17, 0.44, 0.74, 1.1, 1.42, 1.66, 1.94, 2.09, 2.44, 2.78, 3.13]
  + [3.42, 3.62, 3.81, 4.03, 4.29, 4.64]
)
SAMPLES = 256 * np.array([0, 1, *range(2, 35, 2)])
MIDDLE = 2.0  # sqrt(KL) where exponents leave the gain as it is
SMALL, MEDIUM, LARGE = POLICIES
ALL = dict.fromkeys(POLICIES, 1.0)
# s.e. of pi_0's mean over 256 prompts and 8 replies, within-prompt variance .7.
START_ERROR = math.sqrt(0.7 / (256 * 8))
TILTS = np.geomspace(0.02, 40, 200)


def wander(rng, scorer=''):
  """A residual of every checkpoint, which follows the one before.

  e[t] = next e[t-1] + sqrt(1 - next^2) N(0, residual^2)
  """
  scale = NOISE[f'{scorer}residual']
  after = NOISE[f'{scorer}residual_next']
  residual_N = scale * rng.standard_normal(len(ROOT))
  for i in range(1, len(residual_N)):
    new = math.sqrt(1 - after**2) * residual_N[i]
    residual_N[i] = after * residual_N[i - 1] + new
  return residual_N


def linear(rng, seeds, exponent=0.5, slope=ALL, start=ALL, scorer=''):
  """Linear runs: score = start + slope MIDDLE (root / MIDDLE)^2p + residual.

  Args:
    rng: NumPy generator.
    seeds: of the study.
    exponent: p of all sizes, or a dict of them.
    slope: size -> factor on the slope of micro.
    start: size -> score of pi_0.
    scorer: '' for the train PM, 'test_' for the other.

  Returns:
    rl_curve and rl_pi0, both PMs alike.
  """
  noise = {key: NOISE[scorer + key] for key in SPREADS}
  curve, pi0 = [], []
  for seed in seeds:
    zero, log_slope, p_seed = rng.standard_normal(3)
    for size in POLICIES:
      log_run, p_run, start_run, path, error = rng.standard_normal(5)
      p = exponent[size] if isinstance(exponent, dict) else exponent
      p += noise['exponent_seed'] * p_seed + noise['exponent_run'] * p_run
      scale = noise['slope_seed'] * log_slope + noise['slope_run'] * log_run
      scale = NOISE[f'{scorer}slope'] * slope[size] * math.exp(scale)
      s0 = zero + start[size] + noise['start_run'] * start_run
      root_N = ROOT * math.exp(0.08 * path)
      gain_N = scale * MIDDLE * (root_N / MIDDLE) ** (2 * p)
      score_N = s0 + gain_N + wander(rng, scorer)
      run = run_of('linear', size, seed, 'a')
      columns = {'train_pm': score_N, 'test_pm': score_N}
      curve.append(checkpoints(run, SAMPLES, root_N, columns))
      mean = s0 + START_ERROR * error
      pi0 += [pi0_row(run, name, mean, 0.7) for name in ('train', 'test')]
  return {
    'rl_curve': pd.concat(curve, ignore_index=True),
    'rl_pi0': pd.DataFrame(pi0),
  }


SPREADS = (
  'exponent_seed',
  'exponent_run',
  'slope_seed',
  'slope_run',
  'start_run',
)


def linear_train(rng, seeds, where):
  """Claim 13."""
  bent = {LARGE: 0.4} if where == 'bent' else {}
  return linear(rng, seeds, dict.fromkeys(POLICIES, 0.5) | bent)


def linear_test(rng, seeds, where):
  """Claim 15: with the noise of the test PM."""
  bent = {LARGE: 0.4} if where == 'bent' else {}
  exponent = dict.fromkeys(POLICIES, 0.5) | bent
  return linear(rng, seeds, exponent, scorer='test_')


def regressor(rng, seeds, where):
  """Claim 14."""
  return linear(rng, seeds, 0.4 if where == 'bent' else 0.5)


START_STEP = 0.05


def parallel_slopes(rng, seeds, where):
  """Claim 16."""
  slope, start = ALL, {s: i * START_STEP for i, s in enumerate(POLICIES)}
  if where == 'spread':  # sd (n - 1) over mean is .25
    slope = {SMALL: 0.75, MEDIUM: 1.0, LARGE: 1.25}
  if where == 'start':
    start = ALL
  return linear(rng, seeds, slope=slope, start=start)


def slope_bound(rng, seeds, where):
  """Claim 17: Gaussian scores, whose bound is sqrt(2 V KL)."""
  slope = dict(ALL)
  if where == 'gain':
    slope[LARGE] = 0.0
  tables = linear(rng, seeds, slope=slope)
  middle = NOISE['slope'] * math.exp(NOISE['slope_seed'] ** 2 / 2)
  frames = []
  for seed in seeds:
    for size in POLICIES:
      share = 1.0 if where == 'bound' and size == LARGE else 0.5
      variance = (middle / share) ** 2 / 2
      # V of 32 prompts and 4,096 replies is right to 3 % or so.
      variance *= math.exp(0.03 * rng.standard_normal())
      run = run_of('linear', size, seed, 'a')
      frames.append(gaussian_frontier(run, variance, TILTS))
  return tables | {'frontier': pd.concat(frames, ignore_index=True)}


def forecast(rng, seeds, where):
  """Claim 18."""
  slope = dict(ALL)
  if where == 'slope':
    slope[LARGE] = 1 / 1.15
  return linear(rng, seeds, slope=slope)


def _ends(rng, seeds, column, change):
  """Linear runs of two checkpoints; change: (seed noise, run noise, size)."""
  frames = []
  for seed in seeds:
    shared = rng.standard_normal()
    for size in POLICIES:
      last = change(shared, rng.standard_normal(), size)
      run = run_of('linear', size, seed, 'a')
      columns = {column: [0.0, last], 'length': 14.0}
      frames.append(checkpoints(run, SAMPLES[[0, -1]], [0, 4], columns))
  return {'rl_curve': pd.concat(frames, ignore_index=True)}


def ppo_gain(rng, seeds, where):
  """Claim 11."""

  def change(shared, own, size):
    spread = NOISE['gain_seed'] * shared + NOISE['gain_run'] * own
    middle = 0.0 if where == 'none' and size == LARGE else 0.5
    return NOISE['gain'] * (middle + spread)

  return _ends(rng, seeds, 'train_pm', change)


def entropy(rng, seeds, where):
  """Claim 27."""

  def change(shared, own, size):
    spread = NOISE['entropy_seed'] * shared + NOISE['entropy_run'] * own
    middle = 0.0 if where == 'none' and size == LARGE else -0.2
    return middle + spread

  return _ends(rng, seeds, 'entropy', change)


def inert_penalty(rng, seeds, where):
  """Claim 12: twins of the smallest policy."""
  frames = []
  for seed in seeds:
    gain = NOISE['gain'] * math.exp(NOISE['gain_seed'] * rng.standard_normal())
    share = 0.05 if where == 'margin' else 0.0
    share += NOISE['penalty'] * rng.standard_normal()
    for role, last in (('linear', gain), ('inert', gain * (1 + share))):
      run = run_of(role, SMALL, seed, 'a')
      columns = {'train_pm': [0.0, last]}
      frames.append(checkpoints(run, SAMPLES[[0, -1]], [0, 4], columns))
  return {'rl_curve': pd.concat(frames, ignore_index=True)}


SCENARIOS = (
  Scenario(
    11,
    ppo_gain,
    'half the gain of micro at every size, with its spread',
    {'none': 'no gain at the largest size'},
  ),
  Scenario(
    12,
    inert_penalty,
    'no difference; the spread of differences of micro',
    {'margin': 'a difference of 5 % of the gain'},
  ),
  Scenario(
    13,
    linear_train,
    'exponent .5 on average at every size; residuals and spread of micro',
    {'bent': 'exponent .4 at the largest size'},
  ),
  Scenario(
    14,
    regressor,
    'exponent .5 on average',
    {'bent': 'exponent .4'},
  ),
  Scenario(
    15,
    linear_test,
    'exponent .5 on average at every size; residuals and spread of the test '
    'PM of micro',
    {'bent': 'exponent .4 at the largest size'},
  ),
  Scenario(
    16,
    parallel_slopes,
    f'equal slopes; starting scores rise by {2 * START_STEP} in all',
    {
      'spread': 'slopes whose coefficient of variation is 25 %',
      'start': 'equal starting scores',
    },
  ),
  Scenario(
    17,
    slope_bound,
    'a gain of half its bound (micro: .41 of sqrt(2 V KL))',
    {
      'bound': 'a gain at its bound at the largest size',
      'gain': 'no gain at the largest size',
    },
  ),
  Scenario(
    18,
    forecast,
    'equal slopes of all sizes, exponent .5',
    {'slope': 'the largest size 15 % below its forecast'},
  ),
  Scenario(
    27,
    entropy,
    'entropy falls by .2 nats a token (micro: .47), with the spread of micro',
    {'none': 'no change at the largest size'},
  ),
)
