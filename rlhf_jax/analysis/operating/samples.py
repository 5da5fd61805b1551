"""Simulated studies for the claims on games: 10, 25 and 68.

Nothing in micro says how far slopes of Elo of two seeds lie apart, so the
spreads below are taken larger than those of slopes of PM scores there (.11 and
.047 of their logarithm, `slope_seed` and `test_slope_seed`). Games are drawn.
"""

import numpy as np
import pandas as pd
from scipy.special import expit

from rlhf_jax.analysis import elo
from rlhf_jax.analysis.operating.scenario import Scenario
from rlhf_jax.analysis.operating.tables import run_of

SIZES = ('13K', '42K')
MARKS = np.array([0, 4, 10, 16, 24, 34])  # iterations of the snapshots
GAIN_N = np.array([0.0, 0.2, 0.6, 0.75, 0.95, 1.1])  # of the test PM
GAMES = {'prompts': 256, 'dialogues': 80}  # of every two players
SLOPE_SPREAD, GAIN_SPREAD, SCORE_ERROR = 0.15, 0.15, 0.04
LAST = 300.0  # naive Elo of the last snapshot
# Log-odds of being preferred to a writer: 56 %; over seeds; of 64 prompts.
WRITER_LOGIT, WRITER_SPREAD, WRITER_ERROR = 0.24, 0.15, 0.1


def _names():
  return ['pi_0', *(f'@{mark}' for mark in MARKS[1:])]


def _snapshots(run, train_N, test_N):
  """Rows of snapshots, as far as the claims read them."""
  columns = {'play': 'prompts', 'player': _names(), 'iteration': MARKS}
  columns |= {'train_pm': train_N, 'test_pm': test_N}
  return pd.DataFrame(columns | run)


def _games(rng, run, play, logit_N, choice_N=None, margin_N=None):
  """Rows of snapshot_games of ratings, in log-odds.

  Args:
    rng: NumPy generator.
    run: its run columns.
    play: 'prompts' or 'dialogues'.
    logit_N: ratings by gold.
    choice_N: by the choices of the PM; None: as by gold.
    margin_N: by its scores; None: as by gold.
  """
  names, n, rows = _names(), GAMES[play], []
  choice_N = logit_N if choice_N is None else choice_N
  margin_N = logit_N if margin_N is None else margin_N
  for i in range(len(names)):
    for j in range(i):
      wins = rng.binomial(n, expit(logit_N[i] - logit_N[j]))
      pm = rng.binomial(n, expit(choice_N[i] - choice_N[j]))
      margin = margin_N[i] - margin_N[j]
      for a, b, won, chosen, by in (
        (i, j, wins, pm, margin),
        (j, i, n - wins, n - pm, -margin),
      ):
        row = {'play': play, 'player': names[a], 'opponent': names[b]}
        row |= {'games': n, 'wins': won, 'pm_wins': chosen}
        rows.append(run | row | {'train_margin': by})
  return pd.DataFrame(rows)


def _tables(snapshots, games):
  join = lambda frames: pd.concat(frames, ignore_index=True)
  return {'snapshots': join(snapshots), 'snapshot_games': join(games)}


def scores_predict_elo(rng, seeds, where):
  """Claim 10: Elo is 173.72 times so much of the gain of the test PM."""
  middle = {'low': 0.6, 'high': 1.2}.get(where, 0.85)
  snapshots, games = [], []
  for seed in seeds:
    slope = middle * (1 + SLOPE_SPREAD * rng.standard_normal())
    for size in SIZES:
      run = run_of('games', size, seed, 'a')
      gain_N = GAIN_N * np.exp(GAIN_SPREAD * rng.standard_normal())
      score_N = gain_N + SCORE_ERROR * rng.standard_normal(len(gain_N))
      snapshots.append(_snapshots(run, 1.5 * gain_N, score_N))
      games.append(_games(rng, run, 'prompts', slope * gain_N))
  return _tables(snapshots, games)


def gap_parts(rng, seeds, where):
  """Claim 25: .7 of the naive Elo in conversations, .45 by gold there."""
  mean = 1.0 if where == 'shift' else 0.7
  gold = mean if where == 'gold' else 0.45
  snapshots, games = [], []
  for seed in seeds:
    own = [x * (1 + SLOPE_SPREAD * rng.standard_normal()) for x in (mean, gold)]
    for size in SIZES:
      run = run_of('games', size, seed, 'a')
      top = LAST * np.exp(GAIN_SPREAD * rng.standard_normal())
      naive_N = top / elo.ELO_PER_LOGIT * GAIN_N / GAIN_N[-1]
      snapshots.append(_snapshots(run, naive_N, naive_N))
      mean_N, gold_N = (x * naive_N for x in own)
      found = _games(rng, run, 'dialogues', gold_N, mean_N, mean_N)
      games.append(found)
  return _tables(snapshots, games)


def meets_writers(rng, seeds, where):
  """Claim 68: log-odds of the preference, with a spread over seeds."""
  middle, rows = 0.0 if where == 'level' else WRITER_LOGIT, []
  for seed in seeds:
    level = middle + WRITER_SPREAD * rng.standard_normal()
    for size in SIZES:
      own = level + WRITER_ERROR * rng.standard_normal()
      for mark, logit in ((0, own - 0.5), (MARKS[-1], own)):
        row = {'player': f'@{mark}', 'iteration': mark, 'gold': logit}
        row |= {'preferred': expit(logit), 'writer_gold': 0.0}
        rows.append(run_of('games', size, seed, 'a') | row)
  return {'writer_games': pd.DataFrame(rows)}


SCENARIOS = (
  Scenario(
    10,
    scores_predict_elo,
    'slopes of .85 of 174, which vary by 15 % from seed to seed; 256 games of '
    'every two of six players',
    {'low': 'slopes of .6', 'high': 'slopes of 1.2'},
  ),
  Scenario(
    25,
    gap_parts,
    'of 300 naive Elo .7 are left in conversations and .45 by gold, each with '
    'a spread of 15 %',
    {
      'shift': 'conversations cost nothing',
      'gold': 'gold says what the PM says',
    },
  ),
  Scenario(
    68,
    meets_writers,
    'preferred with 56 %, the number of the paper; log-odds vary by .15 from '
    'seed to seed, and of 64 prompts by .1',
    {'level': 'as good as the writers'},
  ),
)
