"""Simulated studies for the claims on context distillation: 49 to 51 and 55."""

import numpy as np
import pandas as pd

from rlhf_jax.analysis.elo import win_rate_from_elo
from rlhf_jax.analysis.operating.scenario import Scenario
from rlhf_jax.analysis.operating.tables import LARGEST, THREE, run_of

LN_SIZES = np.log(list(THREE.values()))
# Spread over seeds, rough: set before any study had run.
LEFT_SEED = 0.05  # of the log of what is left
KL_SEED = 0.01  # nats a token
ACCURACY_SEED = 0.02  # 512 choices, the same for both readings
PROMPTS = 1024


def distillation_works(rng, seeds, where):
  """Claim 49: three students a seed, before and after."""
  left = 0.2 if where == 'left' else 0.1
  slope = 0.0 if where == 'slope' else -0.02
  rows = []
  for seed in seeds:
    own = left * np.exp(LEFT_SEED * rng.standard_normal())
    tilt = slope + KL_SEED / 4 * rng.standard_normal()
    for x, size in zip(LN_SIZES, THREE, strict=True):
      after = own + tilt * (x - LN_SIZES[-1])
      for tokens, kl in ((0, 1.0), (400_000, after)):
        run = run_of('distilled', size, seed)
        rows.append(run | {'tokens': tokens, 'texts': 'all', 'kl': kl})
  return {'distillation': pd.DataFrame(rows)}


def buckets_bound(rng, seeds, where):
  """Claim 50: divergences of random distributions, added up in buckets."""
  rows = []
  for seed in seeds:
    p_NV, q_NV = rng.dirichlet(np.full(60, 0.3), (2, 100))
    terms_NV = p_NV * np.log(p_NV / q_NV)
    rest = p_NV[:, 50:].sum(1), q_NV[:, 50:].sum(1)
    kept_N = terms_NV[:, :50].sum(1) + rest[0] * np.log(rest[0] / rest[1])
    full_N = terms_NV.sum(1)
    if where == 'wrong':  # one token in a hundred is above
      full_N[0] = kept_N[0] - 1e-6
    for ids, excess_N in ((60, kept_N - full_N), (50, np.zeros(1))):
      row = {'ids': ids, 'top': 50, 'tokens': 100}
      row |= {'full': full_N.mean(), 'bucketed': kept_N.mean()}
      row |= {'largest_excess': excess_N.max()}
      row |= {'smallest_excess': excess_N.min()}
      rows.append(run_of('teacher', LARGEST, seed) | row)
  return {'buckets': pd.DataFrame(rows)}


def distilled_like_prompted(rng, seeds, where):
  """Claim 51: right choices of three readings of the largest model."""
  apart = {'worse': -0.03, 'better': 0.03}.get(where, 0.0)
  rows = []
  for seed in seeds:
    level, noise = rng.standard_normal(2)
    prompted = 0.85 + ACCURACY_SEED * level
    right = {'plain': 0.7, 'prompted': prompted}
    right['distilled'] = prompted + apart + ACCURACY_SEED / 2 * noise
    for reading, accuracy in right.items():
      row = {'model': LARGEST, 'model_params': THREE[LARGEST]}
      row |= {'reading': reading, 'gold': 1.0, 'accuracy': accuracy}
      row |= {'nats_per_token': 1.0}
      rows.append(run_of('prompted', LARGEST, seed) | row)
  return {'prompted': pd.DataFrame(rows)}


def elo_by_size(rng, seeds, where):
  """Claim 55: games of three sizes, of so many prompts."""
  slope = 0.0 if where == 'slope' else 30.0
  elo_P = slope * (LN_SIZES - LN_SIZES.mean())
  if where == 'r2':  # a bend that leaves R2 = .95
    bend_P = np.array([-1.0, 1.0, -1.0])
    bend_P -= np.polyval(np.polyfit(LN_SIZES, bend_P, 1), LN_SIZES)
    explained = (elo_P**2).sum() / (bend_P**2).sum()
    elo_P = elo_P + np.sqrt(explained * 0.05 / 0.95) * bend_P
  rows = []
  for seed in seeds:
    noise_P = 1.5 * rng.standard_normal(3)
    own_P = elo_P + noise_P
    for i, (one, params) in enumerate(THREE.items()):
      for j, (other, others) in enumerate(THREE.items()):
        if i == j:
          continue
        row = {'model': one, 'model_params': params, 'reading': 'prompted'}
        row |= {'other': other, 'other_params': others, 'n_prompts': PROMPTS}
        row['win_rate'] = win_rate_from_elo(own_P[i] - own_P[j])
        rows.append(run_of('prompted', LARGEST, seed) | row)
  return {'games': pd.DataFrame(rows)}


SCENARIOS = (
  Scenario(
    49,
    distillation_works,
    'a tenth of the KL is left at the largest size, .02 nats more an e-fold '
    'below it',
    {'left': 'a fifth is left', 'slope': 'all sizes end alike'},
  ),
  Scenario(
    50,
    buckets_bound,
    'random distributions over 60 ids',
    {'wrong': 'one token whose buckets are 1e-6 above'},
  ),
  Scenario(
    51,
    distilled_like_prompted,
    'no difference, .01 between seeds; the prompt adds 15 points',
    {'worse': '3 points below', 'better': '3 points above'},
  ),
  Scenario(
    55,
    elo_by_size,
    '30 Elo an e-fold, 1.5 between the seeds of a model',
    {'slope': 'no slope', 'r2': 'a bend that leaves R2 = .95'},
  ),
)
