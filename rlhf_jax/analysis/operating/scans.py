"""Simulated studies for the claims on sizes of PMs and passes: 21 to 23, 26."""

import math

import numpy as np
import pandas as pd

from rlhf_jax.analysis.operating import robust
from rlhf_jax.analysis.operating.noise import NOISE
from rlhf_jax.analysis.operating.scenario import Scenario
from rlhf_jax.analysis.operating.tables import (
  LARGEST,
  POLICIES,
  SIZES,
  THREE,
  checkpoints,
  run_of,
)
from rlhf_jax.analysis.operating.tension import scored_row

LATE_GAP = 0.4  # of the gain, as micro has it
PARTED = 0.15  # of the gain, as soon as there is a gap
FALL = 0.15  # of the late gap, a step of the ladder


def large_pms_last(rng, seeds, where):
  """Claim 21: no gap at first, then 15 % of the gain and more."""
  frames, pms = [], []
  share_N = robust.SHARE
  for seed in seeds:
    shared = NOISE['late_gap_seed'] * rng.standard_normal()
    for i, size in enumerate(THREE):
      late = LATE_GAP + shared + NOISE['late_gap_seed'] / 2 * rng.normal()
      late -= 0.0 if where == 'gap' else FALL * (i - 1)
      start = 0.4 if where == 'samples' else 0.2 + 0.225 * i
      train_N = NOISE['late_gain'] * np.sqrt(share_N)
      grown_N = np.maximum(share_N - start, 0)
      level_N = PARTED + (late - PARTED) * grown_N / grown_N[-1]
      gap_N = level_N * train_N * (share_N > start)
      for half in 'ab':
        role = 'robust' if size == LARGEST else f'under_{size}'
        run = run_of(role, '13K', seed, half)
        columns = {'train_pm': train_N, 'test_pm': train_N - gap_N}
        own = checkpoints(run, robust.SAMPLES, robust.ROOT, columns)
        frames.append(own.assign(pm_size=size))
      pms.append(run_of('scaling', size, seed, 'a'))
  return {
    'rl_curve': pd.concat(frames, ignore_index=True),
    'pm_curve': pd.DataFrame(pms),
  }


def large_tests_discriminate(rng, seeds, where):
  """Claim 22: slopes on ln policy size that rise with ln test-PM size."""
  rows, middle = [], np.mean(np.log(list(SIZES.values())))
  for seed in seeds:
    for size in POLICIES:
      run = run_of('judged_shared', size, seed, 'a')
      noise = NOISE['gain_run'] * rng.standard_normal()
      for pm in SIZES.values():
        change = 0.0 if where == 'level' else 0.02
        slope = 0.1 + change * (math.log(pm) - middle)
        own = NOISE['test_residual'] * rng.standard_normal()
        mean = slope * math.log(run['n_params']) + noise + own
        rows.append(scored_row(run, 'all', params=pm, mean=mean))
  return {'scored': pd.DataFrame(rows)}


def poor_policies(rng, seeds, where):
  """Claim 23: policies under small PMs score less by the largest."""
  rows = []
  for seed in seeds:
    shared = NOISE['gain_seed'] * rng.standard_normal()
    for i, size in enumerate(POLICIES[:-1]):
      lost = 0.4 if where == 'equal' and i == 1 else 0.0
      for role, mean in (('judged_own', lost), ('judged_shared', 0.4)):
        run = run_of(role, size, seed, 'a')
        noise = NOISE['gain_run'] * rng.standard_normal()
        score = mean + shared + noise
        rows.append(scored_row(run, 'all', mean=score))
  return {'scored': pd.DataFrame(rows)}


SPREADS = {1: 1.0, 2: 0.4, 4: 0.15}


def passes(rng, seeds, where):
  """Claim 26: normal gains, of which more passes have less spread."""
  frames = []
  spread = dict.fromkeys(SPREADS, 1.0) if where == 'level' else SPREADS
  roles = {1: 'passes_1', 2: 'linear', 4: 'passes_4'}
  for seed in seeds:
    for k, role in roles.items():
      noise = spread[k] * NOISE['gain_seed'] * rng.standard_normal()
      run = run_of(role, '13K', seed, 'a')
      columns = {'train_pm': [0.0, NOISE['gain'] + noise]}
      frames.append(checkpoints(run, [0, 8_704], [0.0, 4.0], columns))
  return {'rl_curve': pd.concat(frames, ignore_index=True)}


SCENARIOS = (
  Scenario(
    21,
    large_pms_last,
    'gaps of 55 to 25 % of the gain, parting after 20 to 65 % of the samples; '
    'spread of micro',
    {
      'gap': 'equal gaps at the end',
      'samples': 'all part after 40 % of the samples',
    },
  ),
  Scenario(
    22,
    large_tests_discriminate,
    'slope .1 on ln policy size, more by .02 a unit of ln test-PM size',
    {'level': 'equal slopes under all test PMs'},
  ),
  Scenario(
    23,
    poor_policies,
    'policies under small PMs score .4 less by the largest; spread of micro',
    {'equal': 'the middle policy scores as much'},
  ),
  Scenario(
    26,
    passes,
    'four passes have 15 % of the spread of one',
    {'level': 'equal spreads'},
  ),
)
