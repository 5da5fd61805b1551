"""Simulated studies for the claims on a model of activations: 61 to 65.

Every seed has a classifier and images of its own. Spreads between seeds are
guesses, since one development seed tells none, and so are the levels where a
claim is true; a seed's images are the same for all methods, which share a part.
"""

import numpy as np
import pandas as pd

from rlhf_jax.analysis.claims.activations import (
  ABLATIONS,
  BASELINES,
  HASHES,
  OCCLUDERS,
  QUERIES,
)
from rlhf_jax.analysis.operating.scenario import Scenario

# Between seeds, of all methods alike and of each.
SHARED, OWN = 0.01, 0.01
SHARED_MSE, OWN_MSE = 0.003, 0.002
CLAMP_SPREAD = 0.015
MARGIN, BASELINE = 0.35, 0.25
AS_CLAMP, UNCLAMPED = 0.95, 0.45
MSE, WORSE_MSE = 0.07, 0.08
ACCURACY, GAIN = 0.7, 0.05


def _row(seed, query, case, method, measure, value):
  """A row of activation_queries."""
  run = {
    'run_id': f'activations/s{seed}',
    'seed': seed,
    'config_hash': 'c0ffee',
  }
  run |= {'commit': 'abc1234', 'role': 'activations', 'size': 'cnn'}
  run |= {'n_params': 200_000, 'half': 'all'}
  row = {'query': query, 'case': case, 'method': method, 'measure': measure}
  return run | row | {'value': value, 'n': 200}


def _table(rows):
  return {QUERIES: pd.DataFrame(rows)}


def overlap(rng, seeds, where):
  """Claim 61: .35 for V2, .25 for every baseline."""
  rows = []
  level = 0.2 if where == 'margin' else MARGIN
  best = level if where == 'baseline' else level - (MARGIN - BASELINE)
  for seed in seeds:
    shared = SHARED * rng.standard_normal()
    own = {'v2': level, 'v0': best, 'v1': best, 'v2_together': level}
    for number, name in enumerate(BASELINES):
      own[name] = best if number == 0 else level - (MARGIN - BASELINE)
    for name, middle in own.items():
      value = middle + shared + OWN * rng.standard_normal()
      rows.append(_row(seed, 'overlap', 'all', name, 'iou_margin', value))
    for name, value in (('iou_own', 0.6), ('iou_other', 0.25)):
      rows.append(_row(seed, 'overlap', 'all', 'v2', name, value))
  return _table(rows)


def ambiguity(rng, seeds, where):
  """Claim 62: 95 % as the clamp, 45 % without one."""
  middle = 0.9 if where == 'clamped' else AS_CLAMP
  free = 0.6 if where == 'unclamped' else UNCLAMPED
  rows = []
  for seed in seeds:
    levels = {'v2': middle, 'autoencoder': free, 'v0': 0.6, 'v1': 0.8}
    levels |= {'class_mean': 0.9, 'top_down': 0.9, 'input': 0.45}
    for name, level in levels.items():
      value = level + CLAMP_SPREAD * rng.standard_normal()
      value = float(np.clip(value, 0, 1))
      rows.append(_row(seed, 'blend', 'all', name, 'as_clamp', value))
  return _table(rows)


def occlusion(rng, seeds, where):
  """Claim 63: errors .01 lower, accuracies .05 higher, at every size."""
  rows = []
  for seed in seeds:
    for case in OCCLUDERS:
      ties = case == OCCLUDERS[-1]
      row = lambda name, measure, value, seed=seed, case=case: rows.append(
        _row(seed, 'occlusion', case, name, measure, value)
      )
      shared = SHARED_MSE * rng.standard_normal()
      noise = lambda shared=shared: shared + OWN_MSE * rng.standard_normal()
      for name in ('class_mean', 'autoencoder', 'v0', 'v1'):
        level = MSE if ties and where == name else WORSE_MSE
        row(name, 'mse', level + noise())
      row('mean_of_true_class', 'mse', WORSE_MSE + noise())
      row('v2', 'mse', MSE + noise())
      shared = SHARED * rng.standard_normal()
      gain = 0.0 if ties and where == 'accuracy' else GAIN
      for name, level in (('v2', gain), ('input', 0.0), ('truth', 0.25)):
        value = ACCURACY + level + shared + OWN * rng.standard_normal()
        row(name, 'accuracy', value)
  return _table(rows)


def both_directions(rng, seeds, where):
  """Claim 64: each ablation costs .1 of margin, .01 of both errors."""
  rows = []
  for seed in seeds:
    shared, error = rng.standard_normal(2) * (SHARED, SHARED_MSE)
    for name in ('v2', *ABLATIONS):
      lost = name != 'v2'
      tie = lambda what, name=name: where == what and name == ABLATIONS[0]
      value = MARGIN - 0.1 * (lost and not tie('margin'))
      value += shared + OWN * rng.standard_normal()
      rows.append(_row(seed, 'overlap', 'all', name, 'iou_margin', value))
      value = MSE + 0.01 * (lost and not tie('blend'))
      value += error + OWN_MSE * rng.standard_normal()
      rows.append(_row(seed, 'blend', 'all', name, 'mse', value))
      rows.append(_row(seed, 'blend', 'all', name, 'as_clamp', 0.9))
      for case in OCCLUDERS:
        value = MSE + 0.01 * (lost and not tie('hidden'))
        value += error + OWN_MSE * rng.standard_normal()
        rows.append(_row(seed, 'occlusion', case, name, 'mse', value))
  return _table(rows)


def untouched(rng, seeds, where):
  """Claim 65: three equal digests a seed; of one seed, another one."""
  del rng
  rows = []
  for number, seed in enumerate(seeds):
    for moment in ('trained', 'used', 'stored'):
      other = where == 'changed' and number == 0 and moment == 'used'
      row = _row(seed, '', '', '', '', 0.0)
      run = {k: row[k] for k in list(row)[:8]}
      digest = f'{seed}{"b" if other else "a"}'
      rows.append(run | {'moment': moment, 'digest': digest})
  return {HASHES: pd.DataFrame(rows)}


SCENARIOS = (
  Scenario(
    61,
    overlap,
    'a margin of .35, .1 above every baseline; .01 between seeds that all '
    'methods share, .01 of each',
    {
      'margin': 'a margin of .2',
      'baseline': 'one baseline is as good',
    },
  ),
  Scenario(
    62,
    ambiguity,
    '95 % as the clamp, 45 % without one; .015 between seeds',
    {
      'clamped': '90 % as the clamp',
      'unclamped': '60 % without one',
    },
  ),
  Scenario(
    63,
    occlusion,
    'errors of .07 against .08, .002 between seeds; accuracies .05 higher, '
    '.01 between seeds',
    {
      'class_mean': 'at 50 per cent the class mean is as good',
      'autoencoder': 'at 50 per cent the autoencoder is as good',
      'accuracy': 'at 50 per cent accuracy gains nothing',
    },
  ),
  Scenario(
    64,
    both_directions,
    'each ablation costs .1 of the margin and .01 of both errors',
    {
      'margin': 'without bottom-up masks are as good',
      'blend': 'without bottom-up blends are as good',
      'hidden': 'without bottom-up hidden pixels are as good',
    },
  ),
  Scenario(
    65,
    untouched,
    'three equal digests of every seed',
    {'changed': 'one seed has another digest after the queries'},
  ),
)
