"""Simulated studies for the claims on preference models: 1 to 7 and 37."""

import math

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from rlhf_jax.analysis.operating.noise import NOISE
from rlhf_jax.analysis.operating.scenario import Scenario
from rlhf_jax.analysis.operating.tables import (
  LARGEST,
  SIZES,
  accuracy_row,
  run_of,
  scored_pairs,
)

PAIRS = (384, 768, 1_536, 3_072, 6_144, 12_288)
LN_PAIRS = np.log(PAIRS)
LN_SIZES = np.log(list(SIZES.values()))
# Residuals of the curve that have no slope on ln D: they bend it.
BEND = np.array([-1.0, 0.2, 0.8, 0.8, 0.2, -1.0])


def _curve(rows):
  return {'pm_curve': pd.DataFrame(rows)}


def _learning(seed, size, subset, accuracy_D):
  """The rows of one learning curve at a constant rate."""
  run = run_of('scaling', size, seed, 'a', f'-{subset}')
  return [
    accuracy_row(run, subset, 'constant', pairs, subset, accuracy, accuracy)
    for pairs, accuracy in zip(PAIRS, accuracy_D, strict=True)
  ]


def data_scaling(rng, seeds, where):
  """Claim 1: learning curves of the largest size."""
  x_D = LN_PAIRS - LN_PAIRS.mean()
  rows = []
  for seed in seeds:
    slope = 0.0 if where == 'slope' else NOISE['data_slope']
    slope += NOISE['data_slope_seed'] * rng.standard_normal()
    accuracy_D = 0.62 + slope * x_D
    if where == 'r2':  # a quarter of what the line explains is left: R2 = .8
      bend = np.sqrt((x_D**2).sum() / (BEND**2).sum() / 4)
      accuracy_D = accuracy_D + slope * bend * BEND
    accuracy_D = accuracy_D + NOISE['data_residual'] * rng.standard_normal(6)
    rows += _learning(seed, LARGEST, 'mix', accuracy_D)
  return _curve(rows)


SIZE_SLOPE = 0.015


def size_scaling(rng, seeds, where):
  """Claim 2: accuracy of four sizes at the end of their curves."""
  rows = []
  for seed in seeds:
    slope = 0.0 if where == 'slope' else SIZE_SLOPE
    accuracy_P = 0.65 + slope * (LN_SIZES - LN_SIZES.mean())
    noise = NOISE['size_residual']
    if where == 'share':  # the order is right in one half of all seeds
      noise = 0.0
      if rng.random() < 0.5:
        accuracy_P[[1, 2, 3]] = accuracy_P[[3, 1, 2]]
    accuracy_P = accuracy_P + noise * rng.standard_normal(4)
    for size, accuracy in zip(SIZES, accuracy_P, strict=True):
      run = run_of('scaling', size, seed, 'a')
      args = run, 'mix', 'constant', PAIRS[-1], 'mix', accuracy, accuracy
      rows.append(accuracy_row(*args))
  return _curve(rows)


def joint_scaling(rng, seeds, where):
  """Claim 3: curves of all sizes, on helpful pairs and on the mixture."""
  a, b = NOISE['size_slope'], NOISE['data_slope']
  plane_PD = a * (LN_SIZES - LN_SIZES.mean())[:, None]
  plane_PD = 0.62 + plane_PD + b * (LN_PAIRS - LN_PAIRS.mean())
  bend_PD = np.tile(BEND, (4, 1))
  # A share of the variance that the plane explains.
  unit = plane_PD.std() / bend_PD.std()
  residual = {'helpful': 0.0, 'mix': 0.5 * unit}
  if where == 'r2':
    residual = {'helpful': 0.5 * unit, 'mix': unit}
  if where == 'difference':
    residual = {'helpful': 0.25 * unit, 'mix': 0.25 * unit}
  rows = []
  for seed in seeds:
    for subset, bend in residual.items():
      noise_PD = NOISE['data_residual'] * rng.standard_normal((4, 6))
      accuracy_PD = plane_PD + bend * bend_PD + noise_PD
      for size, accuracy_D in zip(SIZES, accuracy_PD, strict=True):
        rows += _learning(seed, size, subset, accuracy_D)
  return _curve(rows)


def _scored(seed, role, pairs):
  """A frame of scored pairs as rows of pm_pairs."""
  train = {'calibration': 'helpful', 'mixture': 'mix'}[role]
  own = {'train_subset': train, 'schedule': 'decay', 'pairs': PAIRS[-1]}
  if role == 'calibration':
    own['subset'] = 'helpful'
  return pairs.assign(**run_of(role, LARGEST, seed), **own)


def _tables(frames):
  return {'pm_pairs': pd.concat(frames, ignore_index=True)}


def _refit(rng, t, kind):
  return t + NOISE[f't_{kind}_seed'] * rng.standard_normal()


def helpful_calibration(rng, seeds, where):
  """Claim 4: 10,000 helpful pairs a seed."""
  frames = []
  for seed in seeds:
    t = _refit(rng, 1.15 if where == 't' else 1.0, 'helpful')
    pairs = scored_pairs(rng, 10_000, t)
    if where == 'error':  # the higher one is preferred less often by .03
      higher_N = np.sign(pairs['score_chosen'] - pairs['score_rejected'])
      pairs['p_label'] -= 0.03 * higher_N
    frames.append(_scored(seed, 'calibration', pairs))
  return _tables(frames)


def mixture_calibration(rng, seeds, where):
  """Claim 5: 4,096 pairs of each PM a seed."""
  frames = []
  for seed in seeds:
    t = _refit(rng, 1.0 if where == 'confidence' else 1.25, 'mix')
    frames.append(_scored(seed, 'mixture', scored_pairs(rng, 4_096, t)))
    helpful = 1.25 if where == 'error' else 1.0
    t = _refit(rng, helpful, 'helpful')
    frames.append(_scored(seed, 'calibration', scored_pairs(rng, 4_096, t)))
  return _tables(frames)


def high_score_accuracy(rng, seeds, where):
  """Claim 6: 4,096 pairs a seed, closer together where both are good."""
  frames = []
  for seed in seeds:
    falls = where != 'share' or rng.random() < 0.5
    t = _refit(rng, 1.0, 'mix')
    pairs = scored_pairs(rng, 4_096, t, 0.6 if falls else -0.6)
    frames.append(_scored(seed, 'mixture', pairs))
  return _tables(frames)


def turn_accuracy(rng, seeds, where):
  """Claim 7: 4,096 pairs a seed with sampled labels, over four turns."""
  share_T = np.array([0.70, 0.65, 0.65, 0.65])
  if where == 'first':
    share_T[0] = 0.65
  if where == 'slope':
    share_T[1:] = 0.64, 0.65, 0.66
  frames = []
  for seed in seeds:
    pairs = scored_pairs(rng, 4_096)
    right_N = rng.random(4_096) < share_T[pairs['turn'] - 1]
    pairs['score_chosen'] = np.where(right_N, 1.0, 0.0)
    pairs['score_rejected'] = np.where(right_N, 0.0, 1.0)
    frames.append(_scored(seed, 'mixture', pairs.assign(p_label=math.nan)))
  return _tables(frames)


def cross_accuracy(rng, seeds, where):
  """Claim 37: each single-objective PM on the other objective."""
  middle = {'helpful': 0.28, 'harmless': 0.5 if where == 'harmless' else 0.45}
  rows = []
  for seed in seeds:
    for train, other in (('helpful', 'harmless'), ('harmless', 'helpful')):
      noise = NOISE['cross_seed'] / 0.25  # of accuracy, as log-odds near 1/2
      cross = expit(logit(middle[train]) + noise * rng.standard_normal())
      run = run_of('single', LARGEST, seed, tag=f'-{train}')
      for test, accuracy in ((other, cross), (train, 0.7)):
        args = run, train, 'decay', 3_840, test, accuracy, accuracy
        rows.append(accuracy_row(*args))
  return _curve(rows)


SCENARIOS = (
  Scenario(
    1,
    data_scaling,
    'slope and residuals of micro (.032 a unit of ln D)',
    {'slope': 'slope 0', 'r2': 'a bend that leaves R2 = .8'},
  ),
  Scenario(
    2,
    size_scaling,
    f'slope {SIZE_SLOPE} a unit of ln P (micro: .007), residuals of micro',
    {
      'slope': 'slope 0',
      'share': 'Spearman is 1 in one half of all seeds, .4 in the other',
    },
  ),
  Scenario(
    3,
    joint_scaling,
    'a plane and residuals as in micro; R2 about .8 on the mixture',
    {
      'r2': 'a bend that leaves R2 = .8 on helpful pairs',
      'difference': 'R2 is the same on both',
    },
  ),
  Scenario(
    4,
    helpful_calibration,
    't = 1, with the spread of micro; 10,000 pairs',
    {'t': 't = 1.15', 'error': 'an error of .03 less its floor'},
  ),
  Scenario(
    5,
    mixture_calibration,
    't = 1.25 for the mixture, 1 for helpful pairs; 4,096 pairs',
    {
      'confidence': 't = 1 for both',
      'error': 't = 1.25 for both: equal errors',
    },
  ),
  Scenario(
    6,
    high_score_accuracy,
    'differences shrink among good replies in every seed',
    {'share': 'they shrink in one half of all seeds and grow in the other'},
  ),
  Scenario(
    7,
    turn_accuracy,
    'first turn 5 points above later ones, which are flat; 4,096 pairs',
    {'first': 'no difference', 'slope': '1 point a turn'},
  ),
  Scenario(
    37,
    cross_accuracy,
    'cross accuracies .28 and .45, with the spread of micro',
    {'harmless': 'the harmless PM has .5 on helpful pairs'},
  ),
)
