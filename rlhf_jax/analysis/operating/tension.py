"""Simulated studies for the claims on mixtures and attacks: 38 to 42."""

import numpy as np
import pandas as pd

from rlhf_jax.analysis.operating.noise import NOISE
from rlhf_jax.analysis.operating.scenario import Scenario
from rlhf_jax.analysis.operating.tables import (
  LABELS,
  LARGEST,
  LOWER,
  SIZES,
  accuracy_row,
  run_of,
)

SHARES = tuple(range(0, 101, 10))
WEIGHTS = (1, 2, 3, 4, 10)
PAIRS = 6_144
HELPFUL, HARMLESS = 0.70, 0.75  # accuracies of specialists


def _rows(seed, size, role, subset, helpful, harmless):
  run = run_of(role, size, seed, tag=f'-{subset}')
  return [
    accuracy_row(run, subset, 'decay', PAIRS, kind, value, value)
    for kind, value in (('helpful', helpful), ('harmless', harmless))
  ]


def _noise(rng, N):
  return NOISE['size_residual'] * rng.standard_normal(N)


def serves_both(rng, seeds, where):
  """Claim 38: both accuracies fall off towards the other specialist."""
  rows = []
  for seed in seeds:
    for percent in SHARES:
      s = percent / 100
      lost = 0.02  # of either, wherever there are pairs of both kinds
      if where == 'helpful':  # 95 %, at every mixture
        lost = HELPFUL * 0.05
      # The PM of harmless pairs alone: where 'near', as far below mixtures.
      other = 2 * lost if where == 'near' else 0.3
      helpful = HELPFUL - (lost if s < 1 else 0)
      if s == 0:
        helpful = HELPFUL - other
      harmless = HARMLESS - (0.02 if s > 0 else 0) - (0.3 if s == 1 else 0)
      pair = np.array([helpful, harmless]) + _noise(rng, 2)
      subset = f'{percent}/{100 - percent}'
      rows += _rows(seed, '42K', 'mixed', subset, *pair)
  return {'pm_curve': pd.DataFrame(rows)}


def large_mind_less(rng, seeds, where):
  """Claim 39: a tent over the shares, lower by its depth at both ends."""
  rows = []
  for seed in seeds:
    for i, size in enumerate(LOWER):
      depth = 0.2 if where == 'level' else 0.24 - 0.045 * i
      for percent in SHARES:
        mean = 0.7 * (1 - depth * abs(percent / 50 - 1))
        pair = mean + _noise(rng, 2)
        subset = f'{percent}/{100 - percent}'
        rows += _rows(seed, size, 'mixed', subset, *pair)
  return {'pm_curve': pd.DataFrame(rows)}


def weights_mind_less(rng, seeds, where):
  """Claim 40: helpful falls with the weight, harmless rises and bends."""
  gains = {1: -0.02, 2: 0.0, 3: 0.0, 4: 0.0, 10: -0.02}
  if where == 'high':
    gains[10] = 0.0
  if where == 'low':
    gains[1] = 0.0
  if where in ('high', 'low'):  # one inner weight, or the best is chosen
    gains |= {2: -0.05, 4: -0.05}
  rows = []
  for seed in seeds:
    for i, size in enumerate(LOWER):
      drop = 0.05 if where == 'level' else 0.08 - 0.03 * i
      for weight in WEIGHTS:
        mean, fall = 0.7 + gains[weight], drop * np.log10(weight)
        pair = np.array([-fall, fall]) + mean + _noise(rng, 2)
        rows += _rows(seed, size, 'weighted', f'67/33*{weight}', *pair)
  return {'pm_curve': pd.DataFrame(rows)}


def scored_row(run, subset, pm='197K mix 12288', params=None, **values):
  """A row of scored; gold is the PM 'gold' of no parameters."""
  columns = {
    'world': LABELS['world'],
    'pm': pm,
    'pm_params': SIZES[LARGEST] if params is None else params,
    'pm_pairs': 12_288 if params is None else 0,
    'subset': subset,
    'n_prompts': 256,
    'n_replies': 2,
    'mean': 0.0,
    'se': 0.05,
    'median': 0.0,
    'negative': 0.5,
  }
  return run | columns | values


def over_optimised(rng, seeds, where):
  """Claim 41: data scores lie evenly from -3 to 3, medians of policies at 1."""
  lead = 0.0 if where == 'level' else 0.5
  rows, pairs = [], []
  for seed in seeds:
    run = run_of('linear', '13K', seed, 'a')
    # Percentiles follow the spread of a run's gain.
    noise = 0.5 * NOISE['gain_seed'] * rng.standard_normal(2)
    medians = {'helpful': 1.0 + noise[0], 'harmless': 1.0 + lead + noise[1]}
    rows += [scored_row(run, k, median=v) for k, v in medians.items()]
    score_2N = np.linspace(-3, 3, 2_000).reshape(2, -1)
    for subset in medians:
      columns = {'subset': subset, 'pairs': 12_288, 'schedule': 'constant'}
      columns |= {'score_chosen': score_2N[0], 'score_rejected': score_2N[1]}
      own = columns | run_of('scaling', LARGEST, seed, 'a')
      pairs.append(pd.DataFrame(own))
  return {
    'scored': pd.DataFrame(rows),
    'pm_pairs': pd.concat(pairs, ignore_index=True),
  }


def easy_to_attack(rng, seeds, where):
  """Claim 42: helpful gold and attacks of two policies a seed."""
  rows = []
  for seed in seeds:
    lead = {'helpful': 0.5, 'harmless': 0.2}
    if where in lead:
      lead[where] = 0.0
    for role, share in (('helpful_pm', 1.0), ('mixed_pm', 0.0)):
      run = run_of(role, '13K', seed, 'a')
      noise = NOISE['gain_seed'] * rng.standard_normal(2)
      gold = share * lead['helpful'] + noise[0]
      attacked = 0.4 + share * lead['harmless'] + 0.25 * noise[1]
      rows += [
        scored_row(run, 'helpful', 'gold', 0, mean=gold),
        scored_row(run, 'harmless', 'gold', 0, negative=attacked),
      ]
  return {'scored': pd.DataFrame(rows)}


SCENARIOS = (
  Scenario(
    38,
    serves_both,
    'every mixture loses 2 points on both sets; residuals of micro',
    {
      'helpful': 'every mixture has 95 % of the helpful accuracy',
      'near': 'every mixture has the mean of both specialists on helpful pairs',
    },
  ),
  Scenario(
    39,
    large_mind_less,
    'the largest loses 15 % at both ends, the smallest 24 %',
    {'level': 'all sizes lose 20 %'},
  ),
  Scenario(
    40,
    weights_mind_less,
    'drops of 8 to 2 points by size; 2 points lost at weights 1 and 10',
    {
      'level': 'drops of 5 points at every size',
      'low': 'weight 1 is as good as the best inner one',
      'high': 'weight 10 is as good as the best inner one',
    },
  ),
  Scenario(
    41,
    over_optimised,
    'the median harmless reply lies .5 above the helpful one; scores of the '
    'data lie evenly from -3 to 3',
    {'level': 'both lie at one percentile'},
  ),
  Scenario(
    42,
    easy_to_attack,
    'half a unit of helpful gold, 20 points of attacks; spread of micro',
    {'helpful': 'equal helpful gold', 'harmless': 'equally many attacks'},
  ),
)
