"""Tables and lines of a frontier: of all prompts, and of each kind of them."""

import math

import numpy as np
import pandas as pd

from experiments.shared.best_of_n_tables import ALL, rows_of, subsets_of
from rlhf_jax.analysis import frontier

COLUMN = {'train': 'train_pm', 'test': 'test_pm', 'gold': 'gold'}
SQRT_KL = (0.5, 1.0, 1.5, 2.0)  # where the efficiency is printed


def tables_of(scores, kinds, labels, pm_labels=None):
  """(rows of frontier.csv, rows of best_of_n.csv, what has no frontier).

  Best-of-n by each scorer is measured by itself; by the train PM by all.

  Args:
    scores: {scorer: score_PN}; 'worker' measures alone.
    kinds: of the prompts.
    labels: columns that all rows share.
    pm_labels: more of best_of_n.csv: pm_params, pm_pairs.

  Raises:
    ValueError: if there is no frontier at all.
  """
  edges, best, without = [], [], []
  for name, score_PN in scores.items():
    if name == 'worker':
      continue
    for subset, own_P in subsets_of(kinds).items():
      own_PN = score_PN[own_P]
      head = {'scorer': name, 'subset': subset, 'n_prompts': len(own_PN)}
      head |= {'n_replies': own_PN.shape[1]} | labels
      try:
        rows = frontier.curve(own_PN).to_dict('records')
      except ValueError as error:
        without.append(f'{name}, {subset}: {error}')
        continue
      edges += [head | row for row in rows]
    measured = scores if name == 'train' else [name]
    best += rows_of(scores, kinds, labels | (pm_labels or {}), name, measured)
  if not edges:
    raise ValueError(f'no frontier: {without[0]}')
  return edges, best, without


def lines_of(scores, edges, kinds, curve):
  """Yields what is printed of each scorer.

  Args:
    scores: {scorer: score_PN}.
    edges: rows of frontier.csv.
    kinds: of the prompts.
    curve: rl_curve of the run; None: there is no policy of RL.
  """
  table = pd.DataFrame(edges)
  for (name, subset), edge in table.groupby(['scorer', 'subset'], sort=False):
    score_PN = scores[name][subsets_of(kinds)[subset]]
    found, shape = frontier.moments(score_PN), frontier.shape(edge)
    tilted = frontier.tilted_moments(edge)
    yield (
      f'{name}, {subset}: to sqrt(KL) {shape["sqrt_kl"]:.2f}, bow '
      f'{shape["bow"]:+.3f}, exponent {shape["p"]:.3f}; within prompts: '
      f'standard deviation {math.sqrt(found["variance"]):.3f}, skew '
      f'{found["skew"]:+.2f}, excess kurtosis {found["kurtosis"]:+.2f}; tilted '
      f'to the end: skew {tilted["tilted_skew"]:+.2f}, excess kurtosis '
      f'{tilted["tilted_kurtosis"]:+.2f}'
    )
    if subset == ALL and curve is not None:
      yield from _efficiency_lines(edge, curve, COLUMN[name], score_PN.mean())


def _efficiency_lines(edge, curve, column, start):
  """Yields the gain of the policy over that of the frontier, if both reach."""
  own = curve.sort_values('kl')
  share_N = frontier.efficiency(edge, own['kl'], own[column] - start)
  root_N = np.sqrt(np.maximum(own['kl'].to_numpy(), 0))
  known = np.isfinite(share_N)
  if known.any():
    shown = [
      f'{np.interp(x, root_N[known], share_N[known]):.0%} at {x:g}'
      for x in SQRT_KL
      if x <= root_N[known].max()
    ]
    yield f'  gain of the policy over it at sqrt(KL): {", ".join(shown)}'
