"""Simulated studies for the claims on cross-fitted heads: 1, 4, 6, 7, 37, 38.

One study is as many pairs and conversations as the real ones; what differs
between studies is which pairs there are. There is no seed to repeat.
"""

import math

import numpy as np
import pandas as pd
from scipy import stats
from scipy.special import expit

from rlhf_jax.analysis.mixtures import SHARE_OF_BEST
from rlhf_jax.analysis.operating.scenario import Scenario
from rlhf_jax.analysis.shares import EQUAL, SPECIALIST

PAIRS, CONVERSATIONS = 3_120, 2_930
HALF = PAIRS // 2  # of each kind
SIZES = (50, 100, 200, 400, 800, 1_600, 2_500)
TURNS = (0.30, 0.25, 0.24, 0.16, 0.04, 0.01)  # shares of the real pairs
# Accuracy of the curve's models on a pair: of each pair by itself, and of pair
# and model. Few pairs change sides between neighbouring numbers of pairs.
SPREAD = 1.0


def _rows(rng, model, subset, n=HALF):
  """Rows of cross_pairs without scores, of pairs that no other row has."""
  group_N = rng.integers(CONVERSATIONS * n // PAIRS, size=n)
  return pd.DataFrame(
    {
      'run_id': 'cross/s1',
      'model': model,
      'pairs': SIZES[-1],
      'pair_id': [f'{subset}{i}' for i in range(n)],
      'prompt_id': [f'{subset}{g}' for g in group_N],
      'subset': subset,
      'turn': 1 + rng.choice(len(TURNS), size=n, p=TURNS),
    }
  )


def _scored(rows, level_N, delta_N):
  """With scores whose difference, chosen less rejected, is delta."""
  return rows.assign(
    score_chosen=level_N + delta_N / 2,
    score_rejected=level_N - delta_N / 2,
    right=(delta_N > 0).astype(float),
  )


def _tables(*frames):
  return {'cross_pairs': pd.concat(frames, ignore_index=True)}


def _signed(rng, p_N, size_N):
  """Differences of a size that are above 0 with probability p."""
  return np.where(rng.random(len(p_N)) < p_N, size_N, -size_N)


def data_scaling(rng, seeds, where):
  """Claim 1: a curve of seven points on the same pairs."""
  del seeds
  x_D = np.log(SIZES) - np.log(SIZES).mean()
  accuracy_D = 0.56 + (0.0 if where == 'slope' else 0.02) * x_D
  if where == 'r2':  # a bend that leaves R2 = .8
    bend_D = x_D**2 - (x_D**2).mean()
    bend_D -= x_D * (bend_D @ x_D) / (x_D @ x_D)
    accuracy_D = accuracy_D + bend_D * 0.006 * math.sqrt(
      (x_D @ x_D) / (bend_D @ bend_D)
    )
  rows = _rows(rng, 'conditional', 'helpful', PAIRS)
  own_N, frames = rng.standard_normal(PAIRS), []
  for size, accuracy in zip(SIZES, accuracy_D, strict=True):
    noise_N = (own_N * SPREAD + rng.standard_normal(PAIRS)) / math.sqrt(
      1 + SPREAD**2
    )
    cut = stats.norm.ppf(1 - accuracy)
    frames.append(
      rows.assign(
        pairs=size,
        right=(noise_N > cut).astype(float),
        score_chosen=0.0,
        score_rejected=0.0,
      )
    )
  return _tables(*frames)


def helpful_calibration(rng, seeds, where):
  """Claim 4: scores that are log-odds, of a head that is right in .64."""
  del seeds
  rows = _rows(rng, 'helpful', 'helpful')
  size_N = np.abs(0.75 * rng.standard_normal(HALF))
  p_N = expit(size_N * (1.15 if where == 't' else 1.0))
  if where == 'error':
    p_N = p_N - 0.02
  return _tables(_scored(rows, 0.0, _signed(rng, p_N, size_N)))


def high_score_accuracy(rng, seeds, where):
  """Claim 6: accuracy falls with the lower score of the pair, or not."""
  del seeds
  rows = _rows(rng, 'conditional', 'helpful', PAIRS)
  level_N, size_N = rng.standard_normal((2, PAIRS))
  slope = 0.0 if where == 'flat' else -0.6
  p_N = expit(0.45 + slope * level_N)
  return _tables(
    _scored(rows, level_N, _signed(rng, p_N, 0.1 * np.abs(size_N)))
  )


def turn_accuracy(rng, seeds, where):
  """Claim 7: first turns 5 points above later ones, which are flat."""
  del seeds
  share_T = np.full(len(TURNS), 0.58)
  share_T[0] += 0.0 if where == 'first' else 0.05
  if where == 'slope':
    share_T[1:] += 0.01 * np.arange(len(TURNS) - 1)
  rows = _rows(rng, 'conditional', 'helpful', PAIRS)
  p_N = share_T[rows['turn'] - 1]
  return _tables(_scored(rows, 0.0, _signed(rng, p_N, np.ones(PAIRS))))


def cross_accuracy(rng, seeds, where):
  """Claim 37: each head on its own kind and on the other."""
  del seeds
  cross = {'helpful': 0.37, 'harmless': 0.5 if where == 'harmless' else 0.45}
  frames = []
  for model, other in (('helpful', 'harmless'), ('harmless', 'helpful')):
    for subset, accuracy in ((other, cross[model]), (model, 0.65)):
      rows = _rows(rng, model, subset)
      delta_N = _signed(rng, np.full(HALF, accuracy), np.ones(HALF))
      frames.append(_scored(rows, 0.0, delta_N))
  return _tables(*frames)


def mixture_serves_both(rng, seeds, where):
  """Claim 38: heads of equal shares, right as often as a head of one kind.

  Of its own kind a specialist is right in .65 and of the other one in .37. Of a
  pair, half of what decides is common to all heads.
  """
  del seeds
  frames = []
  for kind, best in SPECIALIST.items():
    [other] = {*SPECIALIST.values()} - {best}
    level = {best: 0.65, other: 0.37, EQUAL: 0.65}
    if kind == 'helpful' and where == 'room':
      level[EQUAL] = SHARE_OF_BEST * level[best]
    if kind == 'helpful' and where == 'near':
      level |= {other: 0.63, EQUAL: 0.64}
    rows, own_N = _rows(rng, EQUAL, kind), rng.standard_normal(HALF)
    for share, accuracy in level.items():
      noise_N = (own_N + rng.standard_normal(HALF)) / math.sqrt(2)
      right_N = (noise_N < stats.norm.ppf(accuracy)).astype(float)
      frames.append(rows.assign(model=share, right=right_N))
  found = _tables(*frames)
  return found | {'cross_shares': found['cross_pairs'][:0]}


SCENARIOS = (
  Scenario(
    1,
    data_scaling,
    'slope .02 a unit of ln D: from .52 at 50 pairs to .60 at 2,500',
    {'slope': 'slope 0', 'r2': 'a bend that leaves R2 = .8'},
  ),
  Scenario(
    4,
    helpful_calibration,
    't = 1, right in .64; 1,560 pairs',
    {'t': 't = 1.15', 'error': 'an error of .02 less its floor'},
  ),
  Scenario(
    6,
    high_score_accuracy,
    'log-odds of being right fall by .6 a standard deviation of the level',
    {'flat': 'accuracy is the same at all levels'},
  ),
  Scenario(
    7,
    turn_accuracy,
    'first turn 5 points above later ones, which are flat',
    {'first': 'no difference', 'slope': '1 point a turn'},
  ),
  Scenario(
    37,
    cross_accuracy,
    'cross accuracies .37 and .45',
    {'harmless': 'the harmless head has .5 on helpful pairs'},
  ),
  Scenario(
    38,
    mixture_serves_both,
    'heads of equal shares are right as often as those of one kind, .65 of '
    '1,560 pairs of each',
    {
      'room': 'they have 95 % of the helpful accuracy',
      'near': 'they have the mean of both specialists on helpful pairs',
    },
  ),
)
