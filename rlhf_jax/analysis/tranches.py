"""Tranches of comparisons under preference models, and policies by the crowd.

Source: Bai et al. 2022, section 4.5 and Figs. 15, 16 and 34. A row of
`tranche_pairs` is a held-out pair of a tranche, scored by a preference model.
"""

import numpy as np
import pandas as pd

from rlhf_jax.analysis import calibration as cal
from rlhf_jax.analysis import elo

TAIL, TOP = 0.95, 0.9  # quantiles of base scores; of the pairs' smaller scores


def replies_of(pairs: pd.DataFrame) -> np.ndarray:
  """Scores of both replies of every pair, [2 N]."""
  return pairs[['score_chosen', 'score_rejected']].to_numpy(float).ravel()


def shift(pairs: pd.DataFrame) -> dict[str, float]:
  """Mean score and upper tail of each tranche under one preference model.

    mean_t = mean score of the replies of t
    tail_t = share of them above the 95th percentile of the replies of base

  Args:
    pairs: of one preference model, with column `tranche`.
  """
  own = {name: replies_of(rows) for name, rows in pairs.groupby('tranche')}
  edge = np.quantile(own['base'], TAIL)
  found = {f'mean_{name}': float(x.mean()) for name, x in own.items()}
  return found | {
    f'tail_{name}': float((x > edge).mean()) for name, x in own.items()
  }


def accuracies(pairs: pd.DataFrame) -> dict[str, float]:
  """Accuracy of one preference model on each tranche, and its ceiling."""
  found = {}
  for name, rows in pairs.groupby('tranche'):
    found[f'accuracy_{name}'] = cal.accuracy(rows)
    found[f'ceiling_{name}'] = cal.ceiling(rows)
  return found


def top_errors(pairs: pd.DataFrame, by: str = 'final') -> dict[str, float]:
  """Calibration error of each preference model where scores are high.

  The pairs are the same for all: those whose smaller score, under the model
  `by`, is in its top tenth over all tranches. The error is less its expectation
  under perfect calibration, as in claim 4.

  Args:
    pairs: of one seed: every model has the same pairs, named by tranche and
      pair_id.
    by: which model chooses them.
  """
  keys = ['tranche', 'pair_id']
  judge = pairs[pairs['pm'] == by].set_index(keys)
  smaller = judge[['score_chosen', 'score_rejected']].min(axis=1)
  top = smaller.index[smaller >= smaller.quantile(TOP)]
  found = {'top_pairs': float(len(top))}
  for name, rows in pairs.groupby('pm'):
    chosen = rows.set_index(keys).loc[top].reset_index()
    found[f'ece_{name}'] = cal.calibrate(chosen).excess
  return found


def ratings(matches: pd.DataFrame) -> dict[str, float]:
  """Elo of every policy over pi_0, from the matches of one seed.

  Args:
    matches: rows of player, opponent, win_rate, games; both ways round.
  """
  names = sorted(set(matches['player']))
  place = {name: i for i, name in enumerate(names)}
  wins_NN = np.zeros((len(names), len(names)))
  for row in matches.itertuples():
    at = place[row.player], place[row.opponent]
    wins_NN[at] = row.win_rate * row.games
  rating_N = elo.fit_elo(wins_NN).rating_N
  start = rating_N[place['pi_0']]
  return {name: float(rating_N[i] - start) for name, i in place.items()}
