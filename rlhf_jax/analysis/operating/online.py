"""Simulated studies for the claims on online training: 9, 28 and 30 to 32.

Nothing in micro says how far tranches and policies of two seeds lie apart, so
the spreads below are taken larger than those of its preference models: of an
accuracy .009 (`data_residual` there), of a win rate .018 (`cross_seed`).
"""

import numpy as np
import pandas as pd
from scipy.special import expit

from rlhf_jax.analysis.operating.noise import NOISE
from rlhf_jax.analysis.operating.scenario import Scenario
from rlhf_jax.analysis.operating.tables import LARGEST, run_of

PAIRS = 1_536  # held out of each tranche, as the chapter has them
TRANCHES = ('base', 'rs', 'online')
LEVEL = 0.15  # between seeds, of a tranche's mean score
SPREAD = {'base': 1.2, 'rs': 1.0, 'online': 0.85}  # of differences of scores
STEP = 0.8  # from the mean score of a tranche to that of the next


def _pairs(rng, seed, pm, tranche, level, spread, t=1.0):
  """Held-out pairs: P(higher is preferred) = sigmoid(t |delta|)."""
  delta_N = spread * rng.standard_normal(PAIRS)
  middle_N = level + rng.standard_normal(PAIRS)
  p_N = expit(t * np.abs(delta_N))
  sign_N = np.where(rng.random(PAIRS) < p_N, 1, -1)
  half_N = sign_N * np.abs(delta_N) / 2
  return pd.DataFrame(
    run_of('online', LARGEST, seed)
    | {
      'pm': pm,
      'tranche': tranche,
      'pair_id': np.arange(PAIRS),
      'score_chosen': middle_N + half_N,
      'score_rejected': middle_N - half_N,
      'p_label': np.where(sign_N > 0, p_N, 1 - p_N),
    }
  )


def _tranches(rng, seed, levels, spreads):
  """The three tranches of a seed under its final preference model."""
  frames = []
  for tranche in TRANCHES:
    level = levels[tranche] + LEVEL * rng.standard_normal()
    # An accuracy moves by .12 or so a unit of the logarithm of the spread.
    wide = np.exp(NOISE['data_residual'] / 0.12 * rng.standard_normal())
    args = level, wide * spreads[tranche]
    frames.append(_pairs(rng, seed, 'final', tranche, *args))
  return frames


def _levels(step_rs=STEP, step_online=STEP):
  return {'base': 0.0, 'rs': step_rs, 'online': step_rs + step_online}


def harder_tranches(rng, seeds, where):
  """Claim 9: differences of scores shrink from tranche to tranche."""
  spreads = dict(SPREAD)
  if where == 'rs':
    spreads |= {'base': 1.0}
  if where == 'online':
    spreads |= {'online': 1.0}
  frames = [x for s in seeds for x in _tranches(rng, s, _levels(), spreads)]
  return {'tranche_pairs': pd.concat(frames, ignore_index=True)}


def shifted_tranches(rng, seeds, where):
  """Claim 30: mean scores rise from tranche to tranche."""
  levels = _levels(
    0.0 if where == 'rs' else STEP, 0.0 if where == 'online' else STEP
  )
  flat = dict.fromkeys(TRANCHES, 1.0)
  frames = [x for s in seeds for x in _tranches(rng, s, levels, flat)]
  return {'tranche_pairs': pd.concat(frames, ignore_index=True)}


def policies_rank(rng, seeds, where):
  """Claim 28: a policy gains 3 points and stays 10 below its PM."""
  rows, frames = [], []
  for seed in seeds:
    pairs = _tranches(rng, seed, _levels(), SPREAD)
    frames += pairs
    base = pairs[0]
    right = (base['score_chosen'] > base['score_rejected']).to_numpy()
    p_N = base['p_label'].to_numpy()
    pm = np.where(right, p_N, 1 - p_N).mean()
    noise = NOISE['data_residual'] * rng.standard_normal(2)
    final = pm if where == 'pm' else pm - 0.1
    start = final if where == 'gain' else final - 0.03
    run = run_of('online', LARGEST, seed)
    for name, value, own in zip(
      ('pi_0', 'final'), (start, final), noise, strict=True
    ):
      row = {'policy': name, 'accuracy': value, 'n_pairs': PAIRS}
      rows.append(run | row | {'expected_accuracy': value + own})
  return {
    'tranche_pairs': pd.concat(frames, ignore_index=True),
    'online_policies': pd.DataFrame(rows),
  }


def preferred(rng, seeds, where):
  """Claim 31: the policy of equal thirds wins 54 of 100."""
  rows = []
  for seed in seeds:
    rate = 0.5 if where == 'even' else 0.54
    rate += NOISE['cross_seed'] * rng.standard_normal()
    odds = {('thirds', 'base_only'): rate, ('thirds', 'pi_0'): 0.75}
    odds |= {('base_only', 'pi_0'): 0.72}
    odds |= {(b, a): 1 - won for (a, b), won in odds.items()}
    for (player, opponent), won in odds.items():
      row = {'player': player, 'opponent': opponent, 'win_rate': won}
      rows.append(run_of('online', LARGEST, seed) | row | {'games': 1_024})
  return {'matches': pd.DataFrame(rows)}


def calibrated_top(rng, seeds, where):
  """Claim 32: at the top a PM of base pairs alone is too sure, t = .7."""
  frames = []
  for seed in seeds:
    for tranche, level in _levels().items():
      level += LEVEL * rng.standard_normal()
      args = rng, seed, 'final', tranche, level, SPREAD[tranche]
      final = _pairs(*args)
      frames.append(final)
      sign_N = np.sign(final['score_chosen'] - final['score_rejected'])
      half_N = np.abs(final['score_chosen'] - final['score_rejected']) / 2
      for pm, t in (('thirds', 1.0), ('base_only', 0.7)):
        t = 0.7 if where == 'equal' else t
        t = t + NOISE['t_mix_seed'] * rng.standard_normal()
        # Its differences are those of the labels over t, with errors of its
        # own, which cost calibration where t is 1.
        own_N = sign_N * half_N / t
        middle = (final['score_chosen'] + final['score_rejected']) / 2
        frames.append(
          final.assign(
            pm=pm, score_chosen=middle + own_N, score_rejected=middle - own_N
          )
        )
  return {'tranche_pairs': pd.concat(frames, ignore_index=True)}


SCENARIOS = (
  Scenario(
    9,
    harder_tranches,
    'differences of scores of sd 1.2, 1 and .85; 1,536 pairs of each tranche',
    {
      'rs': 'best of k is as hard as base',
      'online': 'online is as hard as best of k',
    },
  ),
  Scenario(
    28,
    policies_rank,
    'the policy gains 3 points and stays 10 below its PM',
    {'gain': 'it gains nothing', 'pm': 'it ends as good as its PM'},
  ),
  Scenario(
    30,
    shifted_tranches,
    'mean scores .8 apart, which vary by .15 from seed to seed',
    {
      'rs': 'best of k scores as base does',
      'online': 'online scores as best of k does',
    },
  ),
  Scenario(
    31,
    preferred,
    'a win rate of .54, which varies by .018 from seed to seed',
    {'even': 'a win rate of one half'},
  ),
  Scenario(
    32,
    calibrated_top,
    'at the top base pairs alone give t = .7, equal thirds t = 1',
    {'equal': 't = .7 for both'},
  ),
)
