"""Training rows, drawn by the weight of each subset."""

from collections.abc import Hashable, Mapping

import numpy as np

from rlhf_jax.data.records import KINDS


def kind_weights(subset: str | Mapping[str, float]) -> dict[int, float] | None:
  """Weights of `draw_rows` by kind, from what a config says.

    'helpful' -> {0: 1}, {'helpful': 2, 'harmless': 1} -> {0: 2, 1: 1}
    'mix' -> None: both, each as often as it occurs

  Raises:
    ValueError: if there is no such kind.
  """
  if subset == 'mix':
    return None
  weights = {subset: 1.0} if isinstance(subset, str) else dict(subset)
  unknown = sorted(set(weights) - set(KINDS))
  if unknown or not weights:
    raise ValueError(
      f"wanted 'mix', one of {', '.join(KINDS)}, or a weight for some of them, "
      f'got {subset!r}'
    )
  return {KINDS.index(kind): weight for kind, weight in weights.items()}


def draw_rows(
  label_N: np.ndarray,
  weights: Mapping[Hashable, float] | None,
  rng: np.random.Generator,
  among_N: np.ndarray | None = None,
) -> np.ndarray:
  """Row numbers in an order of the generator's, labels as often as they weigh.

  Of the first m rows, m w_l / sum w are of label l, to within a row or two,
  whatever m is: a run may take as many as it wants from the start. No row comes
  twice; where a label has no more, the numbers end. With one label, or with no
  weights, they are a plain permutation.

  Args:
    label_N: label of each row: its kind, its source.
    weights: {label: weight >= 0}; rows of other labels are not drawn. None: all
      rows.
    rng: generator; one permutation is drawn from it.
    among_N: bool, rows that may be drawn; None: all.

  Returns:
    int [M].

  Raises:
    ValueError: if a weight is negative, or none is positive.
  """
  there_N = np.ones(len(label_N), bool) if among_N is None else among_N
  if weights is None:
    return rng.permutation(np.flatnonzero(there_N))
  if min(weights.values()) < 0 or sum(weights.values()) <= 0:
    raise ValueError(
      f'wanted weights of 0 and more, not all 0, got {dict(weights)}'
    )
  share = {k: w / sum(weights.values()) for k, w in weights.items() if w > 0}
  order = rng.permutation(
    np.flatnonzero(there_N & np.isin(label_N, list(share)))
  )
  # Row k of a label is due when (k + 1/2) / share rows have been drawn.
  due, room = np.zeros(len(order)), np.inf
  for label, part in share.items():
    own = label_N[order] == label
    due[own] = (np.arange(own.sum()) + 0.5) / part
    room = min(room, own.sum() / part)
  last = np.ceil(room - 1e-9) if np.isfinite(room) else 0
  return order[np.argsort(due, kind='stable')][: int(last)]
