"""Shuffled batches of arrays in memory, with a state that can be saved."""

from collections.abc import Callable
from typing import Any

import grain
import numpy as np


class Batches:
  """Endless or counted batches of equal-length arrays.

  Rows come in one stream: epoch after epoch, each a new permutation of all
  rows. The stream is cut into batches, so a batch may hold the end of one
  epoch and the beginning of the next, and no row is ever left out; only the
  end of the last epoch may not fill a batch.

  With several processes, each loads its share of every batch, so together they
  see the batches that one process would: by default process p takes the rows p,
  p + count, ...; `share` says others. Everything runs in the calling thread.

  Attributes:
    last_rows: numbers of the rows of the last batch, with a `share` of all
      processes; None before the first.
  """

  def __init__(
    self,
    arrays: Any,
    batch_size: int,
    seed: int,
    num_epochs: int | None = None,
    drop_remainder: bool = True,
    process_index: int = 0,
    process_count: int = 1,
    share: Callable[[np.ndarray], np.ndarray] | None = None,
  ):
    """Makes an iterator.

    Args:
      arrays: dict or NamedTuple of numpy arrays with N rows each.
      batch_size: rows of a batch, of all processes together.
      seed: seed of the permutations.
      num_epochs: number of epochs; None never ends.
      drop_remainder: whether to drop a last batch that is not full.
      process_index: number of this process, from 0.
      process_count: number of processes; it divides batch_size.
      share: (numbers of a batch's rows) -> those that this process loads; None:
        all.

    Raises:
      ValueError: if the arrays are empty or differ in length, or if the batch
        cannot be shared out.
    """
    columns = arrays if isinstance(arrays, dict) else arrays._asdict()
    sizes = {name: len(column) for name, column in columns.items()}
    if len(set(sizes.values())) != 1 or 0 in sizes.values():
      raise ValueError(f'wanted arrays of one length above 0, got {sizes}')
    if batch_size % process_count or not 0 <= process_index < process_count:
      raise ValueError(
        f'wanted a batch that the processes share equally, got batch_size '
        f'{batch_size} for process {process_index} of {process_count}'
      )
    if process_count > 1 and not drop_remainder:
      raise ValueError('wanted drop_remainder with several processes')
    self._settings = {
      'rows': next(iter(sizes.values())),
      'batch_size': batch_size,
      'seed': seed,
    }
    strided = slice(process_index, None, process_count)
    dataset = (
      grain.MapDataset.range(self._settings['rows'])
      .shuffle(seed=seed)
      .repeat(num_epochs)
      .batch(batch_size, drop_remainder=drop_remainder, batch_fn=np.asarray)
      .map(lambda index_B: index_B[strided])
    )
    self._arrays, self._share, self.last_rows = arrays, share, None
    self._iterator = iter(
      dataset.to_iter_dataset(
        grain.ReadOptions(num_threads=0, prefetch_buffer_size=0)
      )
    )

  def __iter__(self) -> 'Batches':
    """Returns itself."""
    return self

  def __next__(self) -> Any:
    """The next batch, of the same structure as the arrays."""
    self.last_rows = next(self._iterator)
    own_B = self._share(self.last_rows) if self._share else self.last_rows
    return take_rows(self._arrays, own_B)

  def get_state(self) -> dict:
    """The position in the stream, as JSON values."""
    return {**self._settings, 'position': self._iterator.get_state()}

  def set_state(self, state: dict) -> None:
    """Goes to a position that `get_state` gave.

    Raises:
      ValueError: if the state is of another stream: rows, batch size or seed
        differ.
    """
    settings = {name: state.get(name) for name in self._settings}
    if settings != self._settings:
      raise ValueError(
        f'wanted the state of a stream with {self._settings}, got {settings}; '
        'resume with the settings of the saved run'
      )
    self._iterator.set_state(state['position'])


def take_rows(arrays: Any, index_B: np.ndarray) -> Any:
  """The rows of every array of a dict or NamedTuple."""
  if isinstance(arrays, dict):
    return {name: column[index_B] for name, column in arrays.items()}
  return type(arrays)(*(column[index_B] for column in arrays))
