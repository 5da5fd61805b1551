"""Tranches of comparisons under preference models, and policies by the crowd.

Source: Bai et al. 2022, section 4.5 and Figs. 15, 16 and 34. A row of
`tranche_pairs` is a held-out pair of a tranche, scored by a preference model.
"""

import numpy as np
import pandas as pd

from rlhf_jax.analysis import calibration as cal
from rlhf_jax.analysis import elo
from rlhf_jax.analysis.findings import NotRunError, keep, select

TAIL, TOP = 0.95, 0.9  # quantiles of base scores; of the pairs' smaller scores


def by_seed(frame: pd.DataFrame, measure) -> pd.DataFrame:
  """A row of `measure` for each seed."""
  rows = {seed: measure(own) for seed, own in frame.groupby('seed')}
  return pd.DataFrame.from_dict(rows, orient='index')


def final_pairs(tables) -> pd.DataFrame:
  """Held-out pairs of three tranches under the final preference model."""
  pairs = select(tables, 'tranche_pairs', pm='final')
  lacking = {'base', 'rs', 'online'} - set(pairs['tranche'])
  if lacking:
    raise NotRunError(f'no pairs of the tranche {", ".join(sorted(lacking))}')
  return pairs


def judges(tables, policies: pd.DataFrame):
  """Accuracy on base pairs of policies as judges, and of the final PM.

  A policy prefers the reply of larger mean log-probability of a token. Accuracy
  is expected over the labels where these have known probabilities.

  Args:
    tables: of which `tranche_pairs` is read.
    policies: rows of `online_policies`, pi_0 and final among them.

  Returns:
    (a row a seed and a column a policy, of the PM a value a seed).

  Raises:
    NotRunError: if one of these two policies is lacking, or the pairs are.
  """
  column = 'expected_accuracy'
  if policies[column].isna().all():
    column = 'accuracy'
  own = policies.pivot(index='seed', columns='policy', values=column)
  base = keep(final_pairs(tables), 'tranche_pairs.csv', tranche='base')
  pm = by_seed(base, accuracies)['accuracy_base']
  if 'pi_0' not in own or 'final' not in own:
    raise NotRunError('online_policies.csv lacks pi_0 or the final policy')
  return own, pm


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


def top_errors_by_seed(tables) -> pd.DataFrame:
  """`top_errors` of the PMs of equal totals and of the final one, by seed.

  Raises:
    NotRunError: if a PM of equal totals is lacking.
  """
  pairs = select(tables, 'tranche_pairs', pm=['base_only', 'thirds', 'final'])
  found = by_seed(pairs, top_errors)
  lacking = {'ece_base_only', 'ece_thirds'} - set(found)
  if lacking:
    raise NotRunError(f'tranche_pairs.csv lacks {", ".join(sorted(lacking))}')
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
