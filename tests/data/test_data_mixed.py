"""Two streams side by side, each at a position of its own."""

import numpy as np
import pytest

from rlhf_jax.data.mixed import MixedBatches
from rlhf_jax.data.pipeline import Batches


def streams(seed=0):
  """Batches of 4 of 10 rows, and of 3 of 7."""
  first = Batches({'x': np.arange(10)}, 4, seed)
  return MixedBatches(first, Batches({'y': np.arange(100, 107)}, 3, seed))


def taken(batches, count):
  found = [next(batches) for _ in range(count)]
  return [(b.batch['x'].tolist(), b.mixed['y'].tolist()) for b in found]


def test_each_batch_is_the_next_of_both_streams():
  """Each at epochs and in an order of its own (checklist 75)."""
  alone = Batches({'y': np.arange(100, 107)}, 3, 0)
  found = taken(streams(), 5)
  assert [y for _, y in found] == [next(alone)['y'].tolist() for _ in range(5)]
  seen = [y for _, ys in found for y in ys]
  assert sorted(seen[:7]) == sorted(seen[7:14]) == [*range(100, 107)]
  batches = streams()
  assert iter(batches) is batches and batches.last_rows is None
  next(batches)
  assert batches.last_rows.tolist() == found[0][0]


def test_a_position_is_that_of_both_and_reading_goes_on_there():
  """Texts have a state of their own (checklist 75)."""
  batches = streams()
  taken(batches, 3)
  state = batches.get_state()
  again = streams()
  again.set_state(state)
  assert taken(again, 4) == taken(batches, 4)
  assert taken(again, 1) != taken(streams(), 1)


def test_a_position_of_one_stream_alone_is_refused():
  one = Batches({'x': np.arange(10)}, 4, 0).get_state()
  with pytest.raises(ValueError, match='positions of two streams, got none'):
    streams().set_state(one)
