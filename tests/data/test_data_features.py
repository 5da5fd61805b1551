"""Features on disk: what is stored, when it is reused, what it costs."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from rlhf_jax.data import features
from rlhf_jax.data.features import cached_features, fingerprint
from rlhf_jax.data.shared import share_prefix
from rlhf_jax.types import PairBatch

N, D, EDGES = 9, 3, (8, 12, 20)


@pytest.fixture
def rows():
  """Pairs of 6 to 20 columns, some of which share a prefix."""
  rng = np.random.default_rng(0)
  sides = rng.integers(1, 50, (2, N, 10)).astype(np.int32)
  share_N = rng.integers(0, 4, N)
  sides[1] = np.where(np.arange(10) < share_N[:, None], sides[0], sides[1])
  lengths = rng.integers(3, 11, (2, N)).astype(np.int32)
  return share_prefix(PairBatch(sides[0], lengths[0], sides[1], lengths[1]))


class Reader:
  """Features that tell row and column; counts what it was asked for."""

  def __init__(self, scale=1.0):
    self.shapes, self.scale = [], scale

  def __call__(self, batch):
    self.shapes.append(batch.tokens_BT.shape)
    place_T = np.arange(batch.tokens_BT.shape[1])[:, None]
    return self.scale * (
      batch.tokens_BT[..., None] + place_T / 32 + np.arange(D) / 1024
    )


def cached(tmp_path, rows, read, key='model', **options):
  options = {'edges': EDGES, 'dtype': 'float32', 'tokens': 24} | options
  return cached_features(tmp_path, key, rows, read, **options)


def test_what_is_read_back_is_what_was_computed(tmp_path, rows):
  """Row by row and in any order, pads zero, wider and narrower than stored."""
  cache, read = cached(tmp_path, rows, Reader()), Reader()
  length_N = features.pair_lengths(rows)
  assert len(set(cache.columns_N)) == 3
  for columns in (20, 27):
    index_B = np.array([7, 0, 3, 3, 8])
    batch = features.feature_pairs(cache, rows, index_B, columns)
    assert batch.features_BTD.shape == (5, columns, D)
    assert batch.segment_BT.shape == (5, columns)
    expected = read(features.pairs_at(rows, index_B, columns))
    expected = np.where(batch.segment_BT[..., None] > 0, expected, 0)
    np.testing.assert_array_equal(
      batch.features_BTD, expected.astype(np.float32)
    )
  row = int(np.argmin(length_N))
  narrow = cache.read(np.array([row]), int(length_N[row]))
  np.testing.assert_array_equal(
    narrow[0], cache.read(np.array([row]), 20)[0, : length_N[row]]
  )


def test_a_bucket_is_read_in_batches_of_one_shape(tmp_path, rows):
  """So that a compiled reader has one program a bucket, memory bounded."""
  read = Reader()
  cached(tmp_path, rows, read, tokens=24)
  assert set(read.shapes) == {(3, 8), (2, 12), (1, 20)}


def test_the_second_time_nothing_is_computed(tmp_path, rows):
  first, read = cached(tmp_path, rows, Reader()), Reader()
  again = cached(tmp_path, rows, read)
  assert read.shapes == []
  assert again.path == first.path
  index_B = np.arange(N)
  np.testing.assert_array_equal(
    again.read(index_B, 20), first.read(index_B, 20)
  )
  assert [p.name for p in tmp_path.iterdir()] == [first.path.name]


@pytest.mark.parametrize(
  'change', ['key', 'tokens', 'prefix', 'edges', 'dtype']
)
def test_another_model_row_or_layout_is_computed_anew(tmp_path, rows, change):
  cached(tmp_path, rows, Reader())
  options, tokens_BT, prefix_B = {}, rows.tokens_BT.copy(), rows.prefix_B.copy()
  if change == 'key':
    options = {'key': 'another model'}
  elif change == 'tokens':
    tokens_BT[N - 1, 0] += 1
  elif change == 'prefix':
    prefix_B[0] += 1
  else:
    options = {'edges': (10, 20)} if change == 'edges' else {'dtype': 'float16'}
  rows, read = rows._replace(tokens_BT=tokens_BT, prefix_B=prefix_B), Reader()
  cached(tmp_path, rows, read, **options)
  assert read.shapes
  assert len(list(tmp_path.iterdir())) == 2


def test_a_folder_is_made_with_those_above_it(tmp_path, rows):
  cache = cached(tmp_path / 'study' / 'features', rows, Reader())
  assert cache.path.parent == tmp_path / 'study' / 'features'


def test_columns_that_no_row_needs_do_not_count(tmp_path, rows):
  """The same rows laid out wider find their features."""
  cached(tmp_path, rows, Reader())
  read = Reader()
  cached(tmp_path, features.pairs_at(rows, np.arange(N), 40), read)
  assert read.shapes == []


def test_a_writer_that_was_stopped_leaves_nothing_behind(tmp_path, rows):
  class Stopped(KeyboardInterrupt):
    pass

  def stop(n):
    yield from range(n - 1)
    raise Stopped

  with pytest.raises(Stopped):
    cached(tmp_path, rows, Reader(), progress=stop)
  assert list(tmp_path.iterdir()) == []
  read = Reader()
  cached(tmp_path, rows, read)
  assert len(read.shapes) > 3


def test_half_precision_is_off_by_a_rounding_and_half_the_size(tmp_path, rows):
  """At most 2^-11 of each activation."""
  whole = cached(tmp_path, rows, Reader(scale=7.7))
  half = cached(tmp_path, rows, Reader(scale=7.7), dtype='float16')
  size = lambda cache: sum(f.stat().st_size for f in cache.path.glob('*.npy'))
  assert size(half) < 0.75 * size(whole)  # headers are a part of so few rows
  expected, got = whole.read(np.arange(N), 20), half.read(np.arange(N), 20)
  error = np.abs(got - expected)
  assert 0 < error.max()
  assert np.all(error <= 2.0**-11 * np.abs(expected))


@pytest.mark.parametrize('scale', [1e4, np.nan])
def test_activations_that_do_not_fit_are_an_error(tmp_path, rows, scale):
  with pytest.raises(ValueError, match='does not fit float16: store float32'):
    cached(tmp_path, rows, Reader(scale), dtype='float16')
  assert list(tmp_path.iterdir()) == []


def test_settings_that_cannot_be_are_an_error(tmp_path, rows):
  longest = features.pair_lengths(rows).max()
  with pytest.raises(ValueError, match=f'at least {longest} columns, got'):
    cached(tmp_path, rows, Reader(), edges=(8, 12))
  with pytest.raises(ValueError, match="'float16' or 'float32', got 'int8'"):
    cached(tmp_path, rows, Reader(), dtype='int8')


def test_a_disk_without_room_is_an_error(tmp_path, rows, monkeypatch):
  usage = type('Usage', (), {'free': 100})
  monkeypatch.setattr(features.shutil, 'disk_usage', lambda _: usage)
  with pytest.raises(ValueError, match='MB free: free some, or cut rows'):
    cached(tmp_path, rows, Reader())


def test_batches_are_rows_of_one_bucket_and_go_on_from_a_saved_place(
  tmp_path, rows
):
  cache = cached(tmp_path, rows, Reader())
  start = lambda: features.FeatureBatches(cache, rows, EDGES, 2, seed=3)
  batches, read, seen = start(), Reader(), []
  for _ in range(9):
    batch = next(batches)
    B, columns, _ = batch.features_BTD.shape
    assert B == 2 and columns in EDGES
    assert batch.segment_BT.shape == (2, columns)
    real_BT = batch.segment_BT > 0
    tokens_BT = np.where(real_BT, np.floor(batch.features_BTD[..., 0]), 0)
    assert (batch.last_B2.max(1) < columns).all()
    seen += [tuple(row[row > 0]) for row in tokens_BT]
    expected = read(SimpleNamespace(tokens_BT=tokens_BT))
    np.testing.assert_array_equal(
      np.where(real_BT[..., None], expected, 0).astype(np.float32),
      batch.features_BTD,
    )
  assert len(set(seen)) == N
  other, state = start(), batches.get_state()
  other.set_state(state)
  np.testing.assert_array_equal(
    next(batches).features_BTD, next(other).features_BTD
  )


def test_some_rows_of_a_cache_are_those_of_their_numbers(tmp_path, rows):
  cache = cached(tmp_path, rows, Reader())
  some = features.SomeRows(cache, np.array([N - 1, 2, 5]))
  np.testing.assert_array_equal(
    some.read(np.array([2, 0]), max(EDGES)),
    cache.read(np.array([5, N - 1]), max(EDGES)),
  )


def test_a_fingerprint_changes_with_any_name_value_or_array():
  @dataclasses.dataclass
  class Config:
    layers: int = 2

  array = np.arange(4.0)
  base = {'a': array, 'b': {'c': 1}}
  assert fingerprint(base) == fingerprint({'b': {'c': 1}, 'a': array.copy()})
  changed = array.copy()
  changed[3] = np.nextafter(changed[3], 9)
  different = [
    base,
    {'a': changed, 'b': {'c': 1}},
    {'a': array.astype(np.float32), 'b': {'c': 1}},
    {'a': array.reshape(2, 2), 'b': {'c': 1}},
    {'a': array, 'b': {'d': 1}},
    {'a': array, 'b': {'c': 1.0}},
    {'a': array, 'b': ['c', 1]},
    Config(),
    Config(3),
    None,
  ]
  assert len({fingerprint(x) for x in different}) == len(different)
  with pytest.raises(TypeError, match='to fingerprint, got'):
    fingerprint(object())
