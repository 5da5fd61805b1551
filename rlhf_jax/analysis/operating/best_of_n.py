"""Simulated studies for the claims on best-of-n: 33 to 36."""

import math

import numpy as np
import pandas as pd
from scipy.special import expit

from rlhf_jax.analysis import gold_forms
from rlhf_jax.analysis.operating import rl
from rlhf_jax.analysis.operating.noise import NOISE
from rlhf_jax.analysis.operating.scenario import Scenario
from rlhf_jax.analysis.operating.tables import (
  LABELS,
  LARGEST,
  POLICIES,
  SIZES,
  THREE,
  checkpoints,
  pi0_row,
  run_of,
)

CHOICES = 2 ** np.arange(1, 11)
KL = np.log(CHOICES) - (CHOICES - 1) / CHOICES
ROOT = np.sqrt(KL)
PAIRS = 12_288
POINT = 0.01  # error of a gain, a share of its slope: 64 prompts, 2,048 replies
BETTER = 1.2  # gain of best-of-n over that of PPO


def rows(run, scorer, gain_N, pm=LARGEST, pairs=PAIRS):
  """Rows of best_of_n of what a train PM chooses."""
  columns = {
    **LABELS,
    'subset': 'all',
    'chooser': 'train',
    'scorer': scorer,
    'pm_params': SIZES[pm],
    'pm_pairs': pairs,
    'n_prompts': 64,
    'n_replies': 2048,
    'n': CHOICES,
    'gain': gain_N,
    'kl': KL,
    **run,
  }
  return pd.DataFrame(columns)


def _seed_slope(rng):
  return math.exp(NOISE['slope_seed'] * rng.standard_normal())


def _errors(rng, N):
  scale = POINT * NOISE['residual'] / 0.049  # off where residuals are
  return scale * rng.standard_normal(N)


def best_of_k(rng, seeds, where):
  """Claim 33: reward slope sqrt(KL); workers' log-odds half of it."""
  p = 0.4 if where == 'bent' else 0.5
  frames = []
  for seed in seeds:
    run, slope = run_of('linear', LARGEST, seed, 'a'), _seed_slope(rng)
    own = p + NOISE['exponent_seed'] * rng.standard_normal()
    reward_N = slope * (KL**own + _errors(rng, len(KL)))
    odds_N = 0.5 * slope * ROOT
    if where == 'step':  # from 16 on nothing is gained, on average
      odds_N[CHOICES > 16] = odds_N[CHOICES == 16]
    odds_N = odds_N + NOISE['test_residual'] * rng.standard_normal(len(KL))
    frames += [
      rows(run, 'train', reward_N),
      rows(run, 'worker', expit(odds_N) - 0.5),
    ]
  return {'best_of_n': pd.concat(frames, ignore_index=True)}


def spends_better(rng, seeds, where):
  """Claim 34: both gains are straight, that of best-of-n is steeper."""
  curve, pi0, frames = [], [], []
  for seed in seeds:
    shared = NOISE['slope'] * _seed_slope(rng)
    for size in POLICIES:
      run = run_of('linear', size, seed, 'a')
      own = shared * math.exp(NOISE['test_slope_run'] * rng.standard_normal())
      gain_N = own * rl.ROOT
      curve.append(
        checkpoints(
          run, rl.SAMPLES, rl.ROOT, {'train_pm': gain_N, 'gold': gain_N}
        )
      )
      for scorer in ('train', 'gold'):
        level = where == scorer and size == LARGEST
        factor = 1.0 if level else BETTER
        frames.append(rows(run, scorer, factor * shared * ROOT))
        pi0.append(pi0_row(run, scorer, 0.0, 0.7))
  return {
    'best_of_n': pd.concat(frames, ignore_index=True),
    'rl_curve': pd.concat(curve, ignore_index=True),
    'rl_pi0': pd.DataFrame(pi0),
  }


ALPHA = 1.0
LONG = np.linspace(0.3, 5.3, 18)  # sqrt(KL) of the long runs
BETA = {'best_of_n': 0.15, 'rl': 0.4}  # of the middle size
FALL = 0.04  # of beta, relative, a unit of ln PM size
DESIGNS = {
  'best_of_n': gold_forms.best_of_n_design,
  'rl': gold_forms.rl_design,
}


def _gold(rng, way, d_N, beta, halfway=False):
  """Gold in one form, or in the mixture that both forms miss by as much."""
  design_NK = DESIGNS[way](d_N)
  gain_N = design_NK @ [ALPHA, beta]
  if halfway:
    (other,) = DESIGNS.keys() - {way}
    theirs_N = DESIGNS[other](d_N) @ [ALPHA, BETA[other]]
    miss = lambda design, y: y - design @ np.linalg.lstsq(design, y)[0]
    ours = np.linalg.norm(miss(DESIGNS[other](d_N), gain_N))
    other = np.linalg.norm(miss(design_NK, theirs_N))
    share = ours / (ours + other)
    gain_N = (1 - share) * gain_N + share * theirs_N
  return gain_N + _errors(rng, len(d_N))


def follows_forms(rng, seeds, where):
  """Claim 35: best-of-n by PMs of four sizes, long runs under three."""
  middle = np.mean(np.log(list(SIZES.values())))
  best, curve, pms = [], [], []
  for seed in seeds:
    for pm, params in SIZES.items():
      for way in DESIGNS:
        fall = 0.0 if where == f'slope_{way}' else FALL
        beta = BETA[way] * (1 - fall * (math.log(params) - middle))
        beta *= math.exp(NOISE['slope_seed'] / 4 * rng.standard_normal())
        d_N = ROOT if way == 'best_of_n' else LONG
        gain_N = _gold(rng, way, d_N, beta, where == f'form_{way}')
        if way == 'best_of_n':
          run = run_of('best_of_n', '13K', seed)
          best.append(rows(run, 'gold', gain_N, pm))
          continue
        if pm not in THREE:
          continue
        role = 'robust' if pm == LARGEST else f'under_{pm}'
        run = run_of(role, '13K', seed, 'a')
        steps = 256 * np.arange(len(d_N) + 1)
        gold = {'gold': np.append(0.0, gain_N)}
        own = checkpoints(run, steps, np.append(0.0, d_N), gold)
        curve.append(own.assign(pm_size=pm))
      pms.append(run_of('scaling', pm, seed, 'a'))
  return {
    'best_of_n': pd.concat(best, ignore_index=True),
    'rl_curve': pd.concat(curve, ignore_index=True),
    'pm_curve': pd.DataFrame(pms),
  }


def little_data(rng, seeds, where):
  """Claim 36: PMs of 2 % of the pairs choose at random, or nearly."""
  frames = []
  for seed in seeds:
    run = run_of('best_of_n', '13K', seed)
    for pm in SIZES:
      share = 0.05 if where == 'gain' and pm == LARGEST else 0.0
      share += NOISE['penalty'] * rng.standard_normal()
      for pairs, part in ((256, share), (PAIRS, 1.0)):
        frames.append(rows(run, 'gold', part * ROOT, pm, pairs))
  return {'best_of_n': pd.concat(frames, ignore_index=True)}


SCENARIOS = (
  Scenario(
    33,
    best_of_k,
    'exponent .5 on average, log-odds of half the reward; spread of micro',
    {
      'bent': 'exponent .4',
      'step': 'workers see nothing gained from 16 on',
    },
  ),
  Scenario(
    34,
    spends_better,
    'best-of-n gains 20 % more, by gold and train PM; spread of micro',
    {
      'gold': 'as much gold as PPO at the largest size',
      'train': 'as much of the train PM at the largest size',
    },
  ),
  Scenario(
    35,
    follows_forms,
    'each form on its own data; beta falls by 4 % a unit of ln PM size, with '
    'a spread of 3 %',
    {
      'form_best_of_n': 'a mixture of both for best-of-n, missed by as much',
      'form_rl': 'the same for RL',
      'slope_best_of_n': 'equal beta of best-of-n at all PM sizes',
      'slope_rl': 'equal beta of RL at all PM sizes',
    },
  ),
  Scenario(
    36,
    little_data,
    'PMs of 2 % of the pairs gain nothing, with a spread of 2 %',
    {'gain': 'the largest gains 5 % of what that of all pairs does'},
  ),
)
