"""Two streams read side by side: what a loss is of, and what is mixed in."""

from typing import Any

import numpy as np

from rlhf_jax.types import MixedBatch


class MixedBatches:
  """A stream of MixedBatch, whose parts keep positions of their own.

  Attributes:
    last_rows: numbers of the rows of the first stream's last batch.
  """

  def __init__(self, batches: Any, mixed: Any):
    """Puts two streams together.

    Args:
      batches: such as `data.pipeline.Batches`.
      mixed: the second stream, of as many batches.
    """
    self._batches, self._mixed = batches, mixed

  def __iter__(self) -> 'MixedBatches':
    """Returns itself."""
    return self

  def __next__(self) -> MixedBatch:
    """The next batch of each."""
    return MixedBatch(next(self._batches), next(self._mixed))

  @property
  def last_rows(self) -> np.ndarray | None:
    """Row numbers of the first stream; see the class."""
    return self._batches.last_rows

  def get_state(self) -> dict:
    """Both positions, as JSON values."""
    return {
      'batches': self._batches.get_state(),
      'mixed': self._mixed.get_state(),
    }

  def set_state(self, state: dict) -> None:
    """Goes to positions that `get_state` gave.

    Raises:
      ValueError: if they are of one stream, or of other ones.
    """
    lacking = {'batches', 'mixed'} - state.keys()
    if lacking:
      raise ValueError(
        f'wanted positions of two streams, got none of {", ".join(lacking)}: '
        'resume with the settings of the saved run'
      )
    self._batches.set_state(state['batches'])
    self._mixed.set_state(state['mixed'])
