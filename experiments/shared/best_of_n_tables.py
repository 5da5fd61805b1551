"""Rows of best_of_n.csv: of all prompts, and of each kind of them."""

import numpy as np

from rlhf_jax.analysis import best_of_n

ALL = 'all'  # prompts of every kind together
LARGEST = 1024  # n


def sizes_of(replies):
  """N = 2, 4, 8, ...: twice as many replies as n, so that two choices differ.

  Args:
    replies: to a prompt.
  """
  powers = (2**k for k in range(1, LARGEST.bit_length()))
  return [n for n in powers if 2 * n <= replies]


def subsets_of(kinds):
  """{'all' or a kind: which prompts}; kinds of two prompts or more."""
  kinds = np.array(kinds)
  found = {ALL: np.ones(len(kinds), bool)}
  own = {str(kind): kinds == kind for kind in np.unique(kinds)}
  return found | {kind: own_P for kind, own_P in own.items() if own_P.sum() > 1}


def rows_of(scores, kinds, labels, chooser, scorers):
  """Rows of what one scorer chooses, as it is measured by some.

  Args:
    scores: {scorer: score_PN}.
    kinds: of the prompts.
    labels: columns that all rows share.
    chooser: name of the scorer that chooses.
    scorers: names of those that measure.
  """
  rows, N = [], scores[chooser].shape[1]
  for scorer in scorers:
    for subset, own_P in subsets_of(kinds).items():
      head = {'chooser': chooser, 'scorer': scorer, 'subset': subset}
      head |= {'n_prompts': int(own_P.sum()), 'n_replies': N}
      chosen_PN, measured_PN = scores[chooser][own_P], scores[scorer][own_P]
      found = best_of_n.best_of(chosen_PN, sizes_of(N), measured_PN)
      rows += [labels | head | row for row in found.to_dict('records')]
  return rows
