"""Pooled features on disk: order, reuse, resumption, damage."""

import numpy as np
import pytest

from rlhf_jax.data import pooled
from rlhf_jax.data.shared import share_prefix
from rlhf_jax.digests import DamagedError
from rlhf_jax.types import PairBatch, SharedPairs

N, EDGES = 9, (8, 12, 20)


@pytest.fixture
def rows():
  rng = np.random.default_rng(0)
  sides = rng.integers(1, 50, (2, N, 10)).astype(np.int32)
  lengths = rng.integers(3, 11, (2, N)).astype(np.int32)
  found = share_prefix(PairBatch(sides[0], lengths[0], sides[1], lengths[1]))
  return found, rng.integers(1, 3, N).astype(np.int32)


class Reader:
  """Features that tell the row; counts what it was asked for."""

  def __init__(self, fail_after=99):
    self.shapes, self.fail_after = [], fail_after

  def __call__(self, batch, prompt_length_B):
    if len(self.shapes) == self.fail_after:
      raise KeyboardInterrupt
    self.shapes.append(batch.tokens_BT.shape)
    told_B = batch.tokens_BT.sum(1) + 1000 * prompt_length_B
    return np.broadcast_to(
      told_B[:, None, None, None, None], (*told_B.shape, 3, 2, 1, 4)
    )


def cached(tmp_path, rows, read, key='model', edges=EDGES):
  return pooled.cached_pooled(
    tmp_path, key, *rows, read, edges=edges, tokens=24
  )


def told(rows):
  return rows[0].tokens_BT.sum(1) + 1000 * rows[1]


def test_features_stand_in_the_order_of_the_rows(tmp_path, rows):
  read = Reader()
  found = cached(tmp_path, rows, read)
  assert found.shape == (N, 3, 2, 1, 4) and found.dtype == np.float32
  np.testing.assert_array_equal(found[:, 2, 1, 0, 3], told(rows))
  assert set(read.shapes) <= {(3, 8), (2, 12), (1, 20)}


def test_the_same_rows_in_another_order_and_wider_are_not_read_again(
  tmp_path, rows
):
  cached(tmp_path, rows, Reader())
  order = np.random.default_rng(1).permutation(N)
  turned = SharedPairs(*(column[order] for column in rows[0])), rows[1][order]
  wide = lambda x: np.pad(x, ((0, 0), (0, 7)))
  turned = (
    turned[0]._replace(
      tokens_BT=wide(turned[0].tokens_BT), segment_BT=wide(turned[0].segment_BT)
    ),
    turned[1],
  )
  read = Reader()
  found = cached(tmp_path, turned, read)
  assert read.shapes == []
  np.testing.assert_array_equal(found[:, 0, 0, 0, 0], told(turned))


@pytest.mark.parametrize('change', ['key', 'tokens', 'prompt', 'fewer'])
def test_other_models_and_rows_are_read_anew(tmp_path, rows, change):
  cached(tmp_path, rows, Reader())
  (pairs, prompt_N), key = rows, 'model'
  if change == 'key':
    key = 'other'
  elif change == 'tokens':
    tokens_BT = pairs.tokens_BT.copy()
    tokens_BT[3, 0] += 1
    pairs = pairs._replace(tokens_BT=tokens_BT)
  elif change == 'prompt':
    prompt_N = prompt_N + 1
  else:
    pairs, prompt_N = SharedPairs(*(x[1:] for x in pairs)), prompt_N[1:]
  read = Reader()
  found = cached(tmp_path, (pairs, prompt_N), read, key)
  assert read.shapes
  np.testing.assert_array_equal(found[:, 0, 0, 0, 0], told((pairs, prompt_N)))


def test_a_reader_that_was_stopped_goes_on_where_it_was(
  tmp_path, rows, monkeypatch
):
  monkeypatch.setattr(pooled, 'CALLS', 1)
  whole = Reader()
  cached(tmp_path / 'whole', rows, whole)
  with pytest.raises(KeyboardInterrupt):
    cached(tmp_path, rows, Reader(fail_after=3))
  rest = Reader()
  found = cached(tmp_path, rows, rest)
  assert len(rest.shapes) == len(whole.shapes) - 3
  np.testing.assert_array_equal(found[:, 0, 0, 0, 0], told(rows))
  left = [path.name for path in tmp_path.iterdir() if path.name != 'whole']
  assert len(left) == 1 and '.part' not in left[0]


def test_a_damaged_file_says_what_to_delete(tmp_path, rows):
  cached(tmp_path, rows, Reader())
  (file,) = tmp_path.glob('*/pooled.npy')
  content = bytearray(file.read_bytes())
  content[-3] ^= 1
  file.write_bytes(content)
  with pytest.raises(DamagedError, match='delete .*: it is made again'):
    cached(tmp_path, rows, Reader())


def test_rows_that_do_not_fit_and_numbers_that_are_none_are_errors(
  tmp_path, rows
):
  with pytest.raises(ValueError, match='wanted an edge of at least'):
    cached(tmp_path, rows, Reader(), edges=(4,))
  nan = lambda *args: np.full_like(Reader()(*args), np.nan, float)
  with pytest.raises(ValueError, match='not finite: look for NaN'):
    cached(tmp_path, rows, nan)


class PromptReader:
  """Features that tell the prompt; counts what it was asked for."""

  def __init__(self, fail_after=99):
    self.shapes, self.fail_after = [], fail_after

  def __call__(self, tokens_BT, length_B):
    if len(self.shapes) == self.fail_after:
      raise KeyboardInterrupt
    self.shapes.append(tokens_BT.shape)
    inside_BT = np.arange(tokens_BT.shape[1]) < length_B[:, None]
    told_B = (tokens_BT * inside_BT).sum(1)
    return np.broadcast_to(
      told_B[:, None, None, None], (*told_B.shape, 2, 3, 4)
    )


def prompts():
  """Nine prompts, right-padded with an id that counts for nothing."""
  rng = np.random.default_rng(0)
  tokens_NP = rng.integers(1, 50, (N, 10)).astype(np.int32)
  length_N = rng.integers(3, 11, N).astype(np.int32)
  inside_NP = np.arange(10) < length_N[:, None]
  return (
    np.where(inside_NP, tokens_NP, 7),
    length_N,
    (tokens_NP * inside_NP).sum(1),
  )


def cached_prompts(tmp_path, tokens_NP, length_N, read):
  return pooled.cached_prompts(
    tmp_path, 'model', tokens_NP, length_N, read, edges=EDGES, tokens=24
  )


def test_prompts_are_read_once_whatever_their_order_and_pads(tmp_path):
  tokens_NP, length_N, wanted_N = prompts()
  read = PromptReader()
  found = cached_prompts(tmp_path, tokens_NP, length_N, read)
  assert found.shape == (N, 2, 3, 4) and found.dtype == np.float32
  np.testing.assert_array_equal(found[:, 1, 2, 3], wanted_N)
  assert set(read.shapes) <= {(3, 8), (2, 12)}
  order = np.random.default_rng(1).permutation(N)
  wide_NP = np.pad(tokens_NP, ((0, 0), (0, 5)))[order]
  again = PromptReader()
  found = cached_prompts(tmp_path, wide_NP, length_N[order], again)
  np.testing.assert_array_equal(found[:, 0, 0, 0], wanted_N[order])
  assert again.shapes == []


def test_a_stopped_reader_of_prompts_goes_on_and_another_prompt_is_read(
  tmp_path, monkeypatch
):
  monkeypatch.setattr(pooled, 'CALLS', 1)
  tokens_NP, length_N, wanted_N = prompts()
  with pytest.raises(KeyboardInterrupt):
    cached_prompts(tmp_path, tokens_NP, length_N, PromptReader(fail_after=2))
  rest = PromptReader()
  found = cached_prompts(tmp_path, tokens_NP, length_N, rest)
  np.testing.assert_array_equal(found[:, 0, 0, 0], wanted_N)
  whole = PromptReader()
  tokens_NP[0, 0] += 1
  cached_prompts(tmp_path, tokens_NP, length_N, whole)
  assert len(rest.shapes) == len(whole.shapes) - 2
