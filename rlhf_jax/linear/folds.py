"""Folds that keep what belongs together on one side."""

import numpy as np


def grouped_folds(group_N, folds: int, rng: np.random.Generator) -> np.ndarray:
  """Fold of each unit, 0 to folds - 1; a group lies in one fold.

  Groups are dealt out in a random order, so that the folds have as many groups
  as each other, or one more.

  Args:
    group_N: what each unit belongs to, such as its conversation.
    folds: 2 or more.
    rng: NumPy generator.

  Raises:
    ValueError: if there are fewer groups than folds.
  """
  _, place_N = np.unique(np.asarray(group_N), return_inverse=True)
  groups = int(place_N.max(initial=-1)) + 1
  if not 2 <= folds <= groups:
    raise ValueError(
      f'wanted 2 folds or more and as many groups, got {folds} folds of '
      f'{groups} groups'
    )
  return (rng.permutation(groups) % folds)[place_N]


def first_groups(group_N, units: int, rng: np.random.Generator) -> np.ndarray:
  """Rows of whole groups in a random order, `units` of them or a few more.

  More where the last group has several; all where there are not as many.
  """
  _, place_N = np.unique(np.asarray(group_N), return_inverse=True)
  rank_G = rng.permutation(int(place_N.max(initial=-1)) + 1)
  order_N = np.argsort(rank_G[place_N], kind='stable')
  rank_N = rank_G[place_N][order_N]
  if units < len(order_N):
    order_N = order_N[rank_N <= rank_N[units - 1]]
  return order_N
