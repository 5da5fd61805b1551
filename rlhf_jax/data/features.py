"""Activations of frozen layers, computed once and kept on disk.

    DIR/KEY/features_COLUMNS.npy   [rows of that bucket, COLUMNS, D]
    DIR/KEY/digests.json           of these files, compared as they are opened

KEY is a hash of everything that the features depend on: another model, layer,
or row is another KEY, and a rerun of the same finds its files. Files are mapped
into memory; only what is read is loaded.
"""

import dataclasses
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from rlhf_jax import digests
from rlhf_jax.data.buckets import BucketedBatches
from rlhf_jax.data.pipeline import take_rows
from rlhf_jax.types import FeaturePairs, SharedPairs

DIGESTS = 'digests.json'


def fingerprint(*parts: Any) -> str:
  """Sixteen hex digits that change when any name, value or array does.

  Args:
    *parts: nests of dicts, tuples, lists and dataclasses with arrays, numbers
      and strings; arrays of other libraries are read as NumPy's. The order of
      the keys of a dict does not count.

  Raises:
    TypeError: if a part is of another type, whose text might change by itself.
  """
  digest = hashlib.blake2b(digest_size=8)

  def add(x):
    if dataclasses.is_dataclass(x) and not isinstance(x, type):
      x = dataclasses.asdict(x)
    if isinstance(x, dict):
      digest.update(f'dict {len(x)};'.encode())
      for name in sorted(x):
        add(name)
        add(x[name])
    elif isinstance(x, list | tuple):
      digest.update(f'list {len(x)};'.encode())
      for item in x:
        add(item)
    elif isinstance(x, str | int | float | bool | None):
      digest.update(f'{type(x).__name__} {x!r};'.encode())
    elif hasattr(x, '__array__'):
      x = np.ascontiguousarray(x)
      digest.update(f'array {x.dtype} {x.shape};'.encode())
      digest.update(x.reshape(-1).view(np.uint8))
    else:
      raise TypeError(
        f'wanted numbers, strings and arrays to fingerprint, got {type(x)}'
      )

  add(parts)
  return digest.hexdigest()


class FeatureCache:
  """Features of N rows, by length bucket, in files.

  Attributes:
    path: the folder of this key.
    columns_N: int, columns that are stored of each row.
  """

  def __init__(self, path: Path, bucket_N: np.ndarray, edges: list[int]):
    """Opens the files of a finished folder; `cached_features` is the door."""
    self.path = Path(path)
    listed = self.path / DIGESTS
    if listed.exists():
      found = digests.read_json(listed, dict)
      digests.check_files(path, found, f'delete {path}: it is made again')
    self.columns_N = np.asarray(edges)[bucket_N]
    self._bucket_N, self._place_N = bucket_N, places(bucket_N)
    self._files = {
      k: np.load(self.path / _name(edges[k]), mmap_mode='r')
      for k in np.unique(bucket_N)
    }

  def read(
    self, rows_B: np.ndarray, columns: int, dtype: Any = np.float32
  ) -> np.ndarray:
    """features_BTD of some rows; zeros where less than `columns` is stored."""
    width = next(iter(self._files.values())).shape[2]
    features_BTD = np.zeros((len(rows_B), columns, width), dtype)
    for out, row in zip(features_BTD, rows_B, strict=True):
      stored = self._files[self._bucket_N[row]][self._place_N[row]]
      n = min(columns, len(stored))
      out[:n] = stored[:n]
    return features_BTD


class SomeRows:
  """Some rows of a cache, numbered from 0: a subset that is trained on."""

  def __init__(self, cache: FeatureCache, index_N: np.ndarray):
    """Keeps the cache and the numbers that the rows have in it."""
    self._cache, self._index_N = cache, index_N

  def read(
    self, rows_B: np.ndarray, columns: int, dtype: Any = np.float32
  ) -> np.ndarray:
    """Features of some of these rows, as `FeatureCache.read`."""
    return self._cache.read(self._index_N[rows_B], columns, dtype)


def places(bucket_N: np.ndarray) -> np.ndarray:
  """Each row's number within its bucket, int."""
  place_N = np.zeros(len(bucket_N), int)
  for k in np.unique(bucket_N):
    inside = bucket_N == k
    place_N[inside] = np.arange(inside.sum())
  return place_N


def cached_features(
  folder: str | Path,
  key: str,
  rows: SharedPairs,
  read: Callable[[SharedPairs], Any],
  *,
  edges: Iterable[int],
  dtype: str = 'float16',
  tokens: int = 1024,
  progress: Callable[[int], Iterable[int]] = range,
) -> FeatureCache:
  """The features of all rows, from the files or, the first time, into them.

  At most one batch is in memory. A folder appears under its name when it is
  whole, so a run that was killed leaves none; the next one starts anew.

  Args:
    folder: where folders of features are kept.
    key: `fingerprint` of the model below the split, its config and the layer;
      rows, edges and type are added here.
    rows: SharedPairs.
    read: SharedPairs of one bucket -> features_BTD. All batches of a bucket
      have one shape, so a compiled function has one program a bucket.
    edges: columns of the buckets.
    dtype: 'float16' (half the disk, a relative error of 2^-11 an activation)
      or 'float32'.
    tokens: of a batch, about: max(1, tokens // columns) rows.
    progress: n -> the numbers 0 to n - 1 of the batches, shown as they pass.

  Raises:
    ValueError: if a row is longer than the largest edge, the type is unknown,
      the disk has no room, or an activation does not fit the type.
  """
  if dtype not in ('float16', 'float32'):
    raise ValueError(f"dtype must be 'float16' or 'float32', got {dtype!r}")
  edges, length_N = sorted(set(edges)), pair_lengths(rows)
  longest = int(length_N.max())
  if not edges or longest > edges[-1]:
    raise ValueError(
      f'wanted an edge of at least {longest} columns, got {edges}'
    )
  bucket_N = np.searchsorted(edges, length_N)
  used = rows._replace(tokens_BT=rows.tokens_BT[:, :longest])
  used = used._replace(segment_BT=rows.segment_BT[:, :longest])
  path = Path(folder) / fingerprint(key, used, edges, dtype)
  if not path.exists():
    part = path.with_name(f'{path.name}.part{os.getpid()}')
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
      _write(part, rows, bucket_N, edges, read, dtype, tokens, progress)
      listed = digests.of_folder(part, ())
      (part / DIGESTS).write_text(json.dumps(listed))
      part.replace(path)
    except OSError:
      if not path.exists():  # else another process was first: the same files
        raise
    finally:
      shutil.rmtree(part, ignore_errors=True)
  return FeatureCache(path, bucket_N, edges)


def _write(part, rows, bucket_N, edges, read, dtype, tokens, progress):
  """Writes the files of all buckets, batch after batch."""
  batches = []
  for k in np.unique(bucket_N):
    inside, size = np.flatnonzero(bucket_N == k), max(1, tokens // edges[k])
    batches += [(k, inside[i : i + size]) for i in range(0, len(inside), size)]
  files, place_N = {}, places(bucket_N)
  for i in progress(len(batches)):
    k, index_B = batches[i]
    columns, size = edges[k], max(1, tokens // edges[k])
    # A batch that is not full repeats its last row: one shape, one program.
    full_B = np.pad(index_B, (0, size - len(index_B)), mode='edge')
    batch = pairs_at(rows, full_B, columns)
    features_BTD = np.asarray(read(batch))[: len(index_B)]
    if not files:
      _require_room(part, bucket_N, edges, features_BTD.shape[2], dtype)
    if k not in files:
      shape = (int((bucket_N == k).sum()), columns, features_BTD.shape[2])
      files[k] = np.lib.format.open_memmap(
        part / _name(columns), mode='w+', dtype=dtype, shape=shape
      )
    real_BT = batch.segment_BT[: len(index_B)] > 0
    features_BTD = np.where(real_BT[..., None], features_BTD, 0)
    largest = np.abs(features_BTD).max()
    if not largest <= np.finfo(dtype).max:
      raise ValueError(
        f'an activation of size {largest:.4g} does not fit {dtype}: store '
        'float32, or look for NaN in the parameters'
      )
    files[k][place_N[index_B]] = features_BTD
  for file in files.values():
    file.flush()


def _require_room(part, bucket_N, edges, width, dtype):
  wanted = int(np.asarray(edges)[bucket_N].sum()) * width
  wanted *= np.dtype(dtype).itemsize
  free = shutil.disk_usage(part).free
  if wanted > free:
    raise ValueError(
      f'features need {wanted / 1e6:.0f} MB in {part.parent}, which has '
      f'{free / 1e6:.0f} MB free: free some, or cut rows'
    )


def _name(columns):
  return f'features_{columns}.npy'


def pair_lengths(rows: SharedPairs) -> np.ndarray:
  """Columns that each row needs, int [B]."""
  return np.asarray(rows.last_B2).max(1) + 1


def pairs_at(
  rows: SharedPairs, index_B: np.ndarray, columns: int
) -> SharedPairs:
  """Some rows, cut or padded to as many columns."""
  batch = take_rows(rows, index_B)
  have = batch.tokens_BT.shape[1]
  pad = ((0, 0), (0, max(0, columns - have)))
  fit = lambda x_BT: np.pad(x_BT[:, :columns], pad)
  return batch._replace(
    tokens_BT=fit(batch.tokens_BT), segment_BT=fit(batch.segment_BT)
  )


class FeatureBatches:
  """Endless FeaturePairs of a cache, each batch from one length bucket.

  Attributes:
    last_rows: as of `Batches`.
  """

  def __init__(
    self,
    cache: FeatureCache | SomeRows,
    rows: SharedPairs,
    edges: Iterable[int],
    batch_size: int,
    seed: int,
    share: Callable[[np.ndarray], np.ndarray] | None = None,
  ):
    """Makes an iterator; the order is that of `BucketedBatches`.

    Args:
      cache: of these rows.
      rows: SharedPairs.
      edges: columns of the buckets; they need not be those of the cache.
      batch_size: rows of a batch.
      seed: seed of the permutations.
      share: as of `Batches`.
    """
    edges, every_N = list(edges), np.arange(len(rows.last_B2))
    wide = pairs_at(rows, every_N, max(edges))
    self._cache, self.last_rows = cache, None
    self._batches = BucketedBatches(
      {'row': every_N, **wide._asdict()},
      pair_lengths(rows),
      edges,
      batch_size,
      seed,
      share,
    )

  def __iter__(self) -> Iterator[FeaturePairs]:
    """Returns itself."""
    return self

  def __next__(self) -> FeaturePairs:
    """The next batch, its features read from the files."""
    batch = next(self._batches)
    row_B, tokens_BT = batch.pop('row'), batch.pop('tokens_BT')
    self.last_rows = self._batches.last_rows
    features_BTD = self._cache.read(row_B, tokens_BT.shape[1])
    return FeaturePairs(features_BTD, **batch)

  def get_state(self) -> dict:
    """The position, as JSON values."""
    return self._batches.get_state()

  def set_state(self, state: dict) -> None:
    """Goes to a position that `get_state` gave."""
    self._batches.set_state(state)


def feature_pairs(
  cache: FeatureCache, rows: SharedPairs, index_B: np.ndarray, columns: int
) -> FeaturePairs:
  """Some rows with their features in place of tokens."""
  batch = pairs_at(rows, index_B, columns)
  return FeaturePairs(cache.read(index_B, columns), *batch[1:])
