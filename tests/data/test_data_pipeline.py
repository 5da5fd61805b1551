import json
from typing import NamedTuple

import numpy as np
import pytest

from rlhf_jax.data.pipeline import Batches


class Columns(NamedTuple):
  x_N: np.ndarray
  y_NT: np.ndarray


def columns(rows):
  x_N = np.arange(rows)
  return Columns(x_N, np.stack([10 * x_N, 10 * x_N + 1], 1))


def test_a_batch_has_the_structure_and_whole_rows_of_the_arrays():
  batch = next(Batches(columns(10), 4, seed=0))
  assert isinstance(batch, Columns) and batch.y_NT.shape == (4, 2)
  np.testing.assert_array_equal(batch.y_NT[:, 0], 10 * batch.x_N)
  as_dict = next(Batches(columns(10)._asdict(), 4, seed=0))
  np.testing.assert_array_equal(as_dict['x_N'], batch.x_N)


def test_every_epoch_is_another_permutation_of_all_rows():
  batches = Batches(columns(10), 4, seed=3)
  stream = np.concatenate([next(batches).x_N for _ in range(10)])
  epochs = stream.reshape(4, 10)
  for epoch in epochs:
    assert sorted(epoch) == list(range(10))
    assert list(epoch) != list(range(10))
  assert len({tuple(epoch) for epoch in epochs}) == 4
  other = Batches(columns(10), 10, seed=4)
  assert list(next(other).x_N) != list(epochs[0])


def test_counted_epochs_end_and_the_remainder_is_kept_or_dropped():
  sizes = lambda **options: [
    len(batch.x_N)
    for batch in Batches(columns(5), 4, seed=0, num_epochs=2, **options)
  ]
  assert sizes() == [4, 4]
  assert sizes(drop_remainder=False) == [4, 4, 2]


def test_a_saved_state_resumes_exactly():
  batches = Batches(columns(7), 3, seed=5)
  for _ in range(4):
    next(batches)
  state = json.loads(json.dumps(batches.get_state()))
  wanted = [next(batches).x_N.tolist() for _ in range(6)]
  resumed = Batches(columns(7), 3, seed=5)
  next(resumed)
  resumed.set_state(state)
  assert [next(resumed).x_N.tolist() for _ in range(6)] == wanted
  batches.set_state(state)
  assert next(batches).x_N.tolist() == wanted[0]


def test_the_state_of_another_stream_is_refused():
  state = Batches(columns(7), 3, seed=5).get_state()
  for other in (
    Batches(columns(7), 3, seed=6),
    Batches(columns(8), 3, seed=5),
    Batches(columns(7), 2, seed=5),
  ):
    with pytest.raises(ValueError, match='settings of the saved run'):
      other.set_state(state)


def test_processes_share_out_the_batches_of_one_process():
  alone = Batches(columns(10), 4, seed=1)
  shared = [
    Batches(columns(10), 4, seed=1, process_index=i, process_count=2)
    for i in range(2)
  ]
  for _ in range(6):
    whole = next(alone).x_N
    first, second = [next(batches).x_N for batches in shared]
    np.testing.assert_array_equal(whole[0::2], first)
    np.testing.assert_array_equal(whole[1::2], second)


def test_a_share_is_all_that_is_loaded_and_shares_are_the_batch():
  """In the order of one process; what is said of the rows is of all of them."""
  alone = Batches(columns(10), 4, seed=1)
  shared = [
    Batches(columns(10), 4, seed=1, share=lambda rows_B, i=i: rows_B[i : i + 2])
    for i in (0, 2)
  ]
  for _ in range(6):
    whole = next(alone).x_N
    parts = [next(batches).x_N for batches in shared]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    for batches in shared:
      np.testing.assert_array_equal(batches.last_rows, alone.last_rows)
  assert shared[1].get_state() == alone.get_state()


def test_what_cannot_be_batched_is_refused():
  with pytest.raises(ValueError, match='one length above 0'):
    Batches({'x': np.zeros(3), 'y': np.zeros(2)}, 2, seed=0)
  with pytest.raises(ValueError, match='one length above 0'):
    Batches({'x': np.zeros(0)}, 2, seed=0)
  with pytest.raises(ValueError, match='share equally'):
    Batches(columns(9), 3, seed=0, process_count=2)
  with pytest.raises(ValueError, match='drop_remainder'):
    Batches(columns(9), 4, 0, 1, drop_remainder=False, process_count=2)


def test_the_global_random_state_is_left_alone():
  """Making and reading batches draws nothing (checklist 86)."""
  before = np.random.get_state()[1].copy()  # noqa: NPY002
  next(Batches(columns(9), 4, seed=0))
  np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002
