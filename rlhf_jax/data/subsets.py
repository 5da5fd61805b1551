"""Training rows, drawn by the weight of each subset."""

import re
from collections.abc import Hashable, Mapping
from typing import NamedTuple

import numpy as np

from rlhf_jax.data.records import KINDS


class Subset(NamedTuple):
  """Pairs that a preference model is trained on.

  Attributes:
    shares: {kind: how many of 100 pairs are of it}; None: as they come.
    weight: of a harmless pair in the loss, where a helpful one weighs 1.
  """

  shares: Mapping[int, float] | None
  weight: float

  @property
  def kinds(self) -> tuple[int, ...]:
    """Kinds of which there is any pair."""
    if self.shares is None:
      return tuple(range(len(KINDS)))
    return tuple(kind for kind, share in self.shares.items() if share)

  def weights(self, kind_N: np.ndarray) -> np.ndarray:
    """Weight of each pair in the loss, by its kind; float32 [N]."""
    harmless_N = np.asarray(kind_N) == KINDS.index('harmless')
    return np.where(harmless_N, self.weight, 1.0).astype(np.float32)


_MIXED = re.compile(r'(?:mix|(\d+)/(\d+))(?:\*(\d+(?:\.\d+)?))?')


def subset_of(text: str) -> Subset:
  """The Subset that a config names.

    'mix'      both kinds, as they come
    'helpful', 'harmless'    one alone
    '30/70'    30 helpful pairs to 70 harmless ones
    'mix*4', '67/33*4'       a harmless pair weighs 4 times in the loss

  Raises:
    ValueError: if it is none of these.
  """
  if text in KINDS:
    return Subset({KINDS.index(text): 1.0}, 1.0)
  found = _MIXED.fullmatch(text)
  shares = None
  if found and found[1]:
    shares = {0: float(found[1]), 1: float(found[2])}
  weight = float(found[3] or 1) if found else 0.0
  if not weight or (shares and not sum(shares.values())):
    raise ValueError(
      f"wanted a train_subset such as 'mix', 'helpful', 'harmless', '30/70' "
      f"(helpful to harmless) or 'mix*4' (weight of a harmless pair), got "
      f'{text!r}'
    )
  return Subset(shares, weight)


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
