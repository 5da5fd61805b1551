"""Tables and lines of a frontier: of all prompts, and of each kind of them."""

import math

import numpy as np
import pandas as pd

from rlhf_jax.analysis import frontier

ALL = 'all'  # prompts of every kind together
COLUMN = {'train': 'train_pm', 'test': 'test_pm', 'gold': 'gold'}
SQRT_KL = (0.5, 1.0, 1.5, 2.0)  # where the efficiency is printed


def subsets_of(kinds):
  """{'all' or a kind: which prompts}; kinds of two prompts or more."""
  kinds = np.array(kinds)
  found = {ALL: np.ones(len(kinds), bool)}
  own = {str(kind): kinds == kind for kind in np.unique(kinds)}
  return found | {kind: own_P for kind, own_P in own.items() if own_P.sum() > 1}


def tables_of(scores, kinds, labels):
  """(rows of frontier.csv, rows of best_of_n.csv, what has no frontier).

  Args:
    scores: {scorer: score_PN}.
    kinds: of the prompts.
    labels: columns that all rows share.

  Raises:
    ValueError: if there is no frontier at all.
  """
  edges, best, without = [], [], []
  for name, score_PN in scores.items():
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
      sizes = [2**k for k in range(1, 8) if 2 ** (k + 2) <= own_PN.shape[1]]
      rows = frontier.best_of(own_PN, sizes).to_dict('records')
      best += [head | row for row in rows]
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
