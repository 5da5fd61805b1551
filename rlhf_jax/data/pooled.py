"""Pooled activations of pairs or prompts, computed once and kept on disk.

    DIR/KEY/pooled.npy      [N, 3, P, L, D] float32; of prompts [N, P, L, D]
    DIR/KEY/digests.json    of that file, compared as it is opened
    DIR/KEY.parts/          what has been read so far; gone when all has

KEY is a hash of everything that they depend on, as of `data.features`, but for
the order of the rows: however they are split, the same rows find their file. A
run that was killed goes on with the parts that are there.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from rlhf_jax import digests
from rlhf_jax.data.features import (
  DIGESTS,
  fingerprint,
  pair_lengths,
  pairs_at,
)
from rlhf_jax.types import SharedPairs

CALLS = 16  # of the reader, to a part


def cached_pooled(
  folder: str | Path,
  key: str,
  rows: SharedPairs,
  prompt_length_N: np.ndarray,
  read: Callable[[SharedPairs, np.ndarray], Any],
  *,
  edges: Iterable[int],
  tokens: int = 1024,
  progress: Callable[[int], Iterable[int]] = range,
) -> np.ndarray:
  """The pooled features of all rows, from the file or, the first time, into it.

  Args:
    folder: where folders of features are kept.
    key: `fingerprint` of the model, its config and the layers; the rows are
      added here.
    rows: SharedPairs of N rows.
    prompt_length_N: int32, tokens of each prompt.
    read: (SharedPairs of one bucket, prompt_length_B) -> pooled_B3PLD. All
      batches of a bucket have one shape.
    edges: columns of the buckets.
    tokens: of a batch, about: max(1, tokens // columns) rows.
    progress: n -> the numbers 0 to n - 1 of the parts, shown as they pass.

  Returns:
    pooled_N3PLD, float32.

  Raises:
    ValueError: if a row is longer than the largest edge, or a feature is not
      finite.
  """
  prompt_length_N = np.asarray(prompt_length_N)
  length_N = pair_lengths(rows)
  used = pairs_at(rows, np.arange(len(length_N)), int(length_N.max()))
  names = [
    fingerprint(*(column[i] for column in used), prompt_length_N[i])
    for i in range(len(length_N))
  ]

  def read_rows(index_B, columns):
    return read(pairs_at(rows, index_B, columns), prompt_length_N[index_B])

  found = names, length_N, read_rows
  return _cached(folder, key, *found, edges, tokens, progress)


def cached_prompts(
  folder: str | Path,
  key: str,
  tokens_NP: np.ndarray,
  length_N: np.ndarray,
  read: Callable[[np.ndarray, np.ndarray], Any],
  *,
  edges: Iterable[int],
  tokens: int = 1024,
  progress: Callable[[int], Iterable[int]] = range,
) -> np.ndarray:
  """The pooled features of prompts without replies, as `cached_pooled`.

  Args:
    folder: as there.
    key: as there.
    tokens_NP: int32, right-padded.
    length_N: int32.
    read: (tokens_BT, length_B) -> pooled_BPLD.
    edges: as there.
    tokens: as there.
    progress: as there.

  Returns:
    pooled_NPLD, float32.

  Raises:
    ValueError: as there.
  """
  names = [
    fingerprint(row_P[:length])
    for row_P, length in zip(tokens_NP, length_N, strict=True)
  ]

  def read_rows(index_B, columns):
    tokens_BT = tokens_NP[index_B, :columns]
    pad = ((0, 0), (0, columns - tokens_BT.shape[1]))
    return read(np.pad(tokens_BT, pad), length_N[index_B])

  found = names, length_N, read_rows
  return _cached(folder, key, *found, edges, tokens, progress)


def _cached(folder, key, names, length_N, read, edges, tokens, progress):
  """Features of rows of any kind, as `cached_pooled` has those of pairs.

  Args:
    folder: where folders of features are kept.
    key: of the model and its layers.
    names: a fingerprint of each row.
    length_N: columns that each row needs.
    read: (index_B, columns) -> features of these rows.
    edges: columns of the buckets.
    tokens: of a batch.
    progress: shows the parts.
  """
  edges, longest = sorted(set(edges)), int(length_N.max())
  if not edges or longest > edges[-1]:
    raise ValueError(
      f'wanted an edge of at least {longest} columns, got {edges}'
    )
  order_N = np.argsort(names, kind='stable')
  path = Path(folder) / fingerprint(key, sorted(names))
  if not path.exists():
    bucket_N = np.searchsorted(edges, length_N[order_N])
    batches = _batches(order_N, bucket_N, edges, tokens)
    done = lambda part: _part(part, read)
    _write(path, np.argsort(order_N), [*_grouped(batches)], done, progress)
  found = digests.read_json(path / DIGESTS, dict)
  digests.check_files(path, found, f'delete {path}: it is made again')
  pooled = np.empty_like(stored := np.load(path / 'pooled.npy'))
  pooled[order_N] = stored
  return pooled


def _batches(order_N, bucket_N, edges, tokens):
  """[(rows, columns, rows of a full batch)], bucket after bucket.

  Args:
    order_N: rows in the order of the file.
    bucket_N: of each of these.
    edges: columns of the buckets.
    tokens: of a batch.
  """
  found = []
  for k in np.unique(bucket_N):
    inside, size = order_N[bucket_N == k], max(1, tokens // edges[k])
    for i in range(0, len(inside), size):
      found.append((inside[i : i + size], edges[k], size))
  return found


def _grouped(batches):
  """Yields parts: lists of CALLS batches."""
  for i in range(0, len(batches), CALLS):
    yield batches[i : i + CALLS]


def _part(batches, read):
  """Features of the rows of a part.

  A batch that is not full repeats its last row: one shape, one program.
  """
  found = []
  for index_B, columns, size in batches:
    full_B = np.pad(index_B, (0, size - len(index_B)), mode='edge')
    pooled = np.asarray(read(full_B, columns), np.float32)
    found.append(pooled[: len(index_B)])
  found = np.concatenate(found)
  if not np.isfinite(found).all():
    raise ValueError(
      'a pooled feature is not finite: look for NaN in the parameters'
    )
  return found


def _write(path, place_N, parts, read, progress):
  """Reads the parts that are not there, and puts all of them together.

  Two processes at once write equal files, each whole or absent.

  Args:
    path: of the folder.
    place_N: of each row in the file.
    parts: of `_grouped`.
    read: a part -> its pooled features.
    progress: as of `cached_pooled`.
  """
  folder = path.with_name(f'{path.name}.parts')
  folder.mkdir(parents=True, exist_ok=True)
  for i in progress(len(parts)):
    file = folder / f'{i:05d}.npy'
    if not file.exists():
      _save(file, read(parts[i]))
  read_N = np.concatenate([index_B for part in parts for index_B, *_ in part])
  found = [np.load(folder / f'{i:05d}.npy') for i in range(len(parts))]
  pooled = np.empty((len(read_N), *found[0].shape[1:]), np.float32)
  pooled[place_N[read_N]] = np.concatenate(found)
  whole = path.with_name(f'{path.name}.part{os.getpid()}')
  whole.mkdir()
  np.save(whole / 'pooled.npy', pooled)
  (whole / DIGESTS).write_text(json.dumps(digests.of_folder(whole, ())))
  try:
    whole.replace(path)
  except OSError:
    if not path.exists():  # else another process was first: the same file
      raise
    shutil.rmtree(whole)
  shutil.rmtree(folder, ignore_errors=True)


def _save(file, array):
  half = file.with_name(f'{file.name}.{os.getpid()}')
  with half.open('wb') as out:
    np.save(out, array)
  half.replace(file)
