"""Batches of rows of like length, so that pads cost little."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rlhf_jax.data.pipeline import Batches, take_rows


class BucketedBatches:
  """Endless batches, each from one length bucket and cut to its edge.

  A row of length n belongs to the smallest edge >= n. Every bucket is a
  `Batches` stream of its own; the next batch comes from the bucket that is
  furthest behind its share of the rows,

    argmax_k (n + 1) rows_k / N - served_k    after n batches,

  so each bucket has had its share to within about one batch at any time, in
  an order that is fixed. A bucket with fewer rows than a batch is
  merged into the next larger one (the last into the one before). One program
  is compiled a bucket.

  Attributes:
    last_rows: as of `Batches`.
  """

  def __init__(
    self,
    arrays: Any,
    length_N: np.ndarray,
    edges: Sequence[int],
    batch_size: int,
    seed: int,
    share: Callable[[np.ndarray], np.ndarray] | None = None,
  ):
    """Makes an iterator.

    Args:
      arrays: dict or NamedTuple of NumPy arrays with N rows; those with two
        axes are right-padded rows, cut to the edge of the batch's bucket.
      length_N: int, columns that each row needs.
      edges: columns of the buckets.
      batch_size: rows of a batch.
      seed: seed of the permutations.
      share: as of `Batches`.

    Raises:
      ValueError: if a row is longer than the largest edge.
    """
    edges = sorted(set(edges))
    longest = int(np.max(length_N))
    if not edges or longest > edges[-1]:
      raise ValueError(
        f'wanted an edge of at least {longest} columns, got {edges}'
      )
    index_N = np.searchsorted(edges, length_N)
    groups = _merge_small(
      [(e, np.flatnonzero(index_N == k)) for k, e in enumerate(edges)],
      batch_size,
    )
    self.edges = tuple(edge for edge, _ in groups)
    self._groups, self.last_rows = [rows for _, rows in groups], None
    self._rows = np.array([len(rows) for rows in self._groups])
    self._streams = [
      Batches(take_rows(arrays, rows), batch_size, seed + k, share=share)
      for k, (_, rows) in enumerate(groups)
    ]
    self._served = np.zeros(len(groups), int)

  def __iter__(self) -> 'BucketedBatches':
    """Returns itself."""
    return self

  def __next__(self) -> Any:
    """The next batch, of the same structure as the arrays."""
    share = self._rows / self._rows.sum()
    behind = (self._served.sum() + 1) * share - self._served
    k = int(np.argmax(np.round(behind, 9)))  # ties go to the shortest
    self._served[k] += 1
    batch = next(self._streams[k])
    self.last_rows = self._groups[k][self._streams[k].last_rows]
    return _cut(batch, self.edges[k])

  def get_state(self) -> dict:
    """The position, as JSON values."""
    return {
      'edges': list(self.edges),
      'served': self._served.tolist(),
      'streams': [stream.get_state() for stream in self._streams],
    }

  def set_state(self, state: dict) -> None:
    """Goes to a position that `get_state` gave.

    Raises:
      ValueError: if the state is of other buckets or another stream.
    """
    if state.get('edges') != list(self.edges):
      raise ValueError(
        f'wanted the state of buckets {list(self.edges)}, got '
        f'{state.get("edges")}; resume with the settings of the saved run'
      )
    self._served = np.array(state['served'], int)
    for stream, saved in zip(self._streams, state['streams'], strict=True):
      stream.set_state(saved)


def _merge_small(groups, batch_size):
  """Joins every bucket of less than a batch to a larger neighbour."""
  kept, waiting = [], np.empty(0, int)
  for edge, rows in groups:
    rows = np.concatenate([waiting, rows])
    if len(rows) >= batch_size:
      kept.append((edge, rows))
      waiting = np.empty(0, int)
    else:
      waiting = rows
  if len(waiting):
    before = kept.pop()[1] if kept else np.empty(0, int)
    kept.append((groups[-1][0], np.concatenate([before, waiting])))
  return [(edge, np.sort(rows)) for edge, rows in kept]


def _cut(batch: Any, columns: int) -> Any:
  cut = lambda x: x[:, :columns] if x.ndim == 2 else x
  if isinstance(batch, dict):
    return {name: cut(column) for name, column in batch.items()}
  return type(batch)(*(cut(column) for column in batch))
