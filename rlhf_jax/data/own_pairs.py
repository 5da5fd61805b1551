"""Pairs of one's own: a file or a folder, split as it says or as it is told.

The files are read one row after the other, and no more rows are kept than are
asked for, so memory does not grow with them.
"""

import collections
import hashlib
import heapq
import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from rlhf_jax.data import data_files
from rlhf_jax.data.faults import DataError
from rlhf_jax.data.jsonl import UNREAD, iter_comparisons
from rlhf_jax.data.pairs import prompt_uniform
from rlhf_jax.data.records import KINDS, Comparison, of_conversation

HELD = ('test', 'validation')
_NONE = collections.Counter()
SHARED = 'training pairs of a held-out conversation'
BEYOND = 'more pairs than were asked for'


class OwnPairs(NamedTuple):
  """Comparisons of one's own.

  Attributes:
    train: list of Comparison.
    test: the held-out ones; of no conversation that `train` has.
    counts: {'files': {file: counts of its rows}, side: pairs left out, why}.
    said: one line that says how they were split.
  """

  train: list[Comparison]
  test: list[Comparison]
  counts: dict
  said: str


class Limits(NamedTuple):
  """Most pairs that are kept of each side, drawn evenly; 0: all."""

  train: int = 0
  test: int = 0


ALL = Limits()


def read_own_pairs(
  path,
  on_error: str,
  test_fraction: float,
  seed: int,
  limits: Limits = ALL,
  held_out: str = 'test',
) -> OwnPairs:
  """Reads the pairs of a file or a folder.

  Train, validation and test files of a folder (`data_files.split_of`) stay what
  they are; files that say nothing are for training. Where there is nothing to
  hold out, conversations (first human turns) are split.

  Args:
    path: as of `iter_comparisons`.
    on_error: as there.
    test_fraction: of the conversations, where one split is made.
    seed: of the split and of what is drawn.
    limits: of both sides.
    held_out: 'test' or 'validation', the files that `test` is of; the others
      where there are none of these.

  Raises:
    DataError: if there is nothing to read or it is malformed, if there are no
      training files beside held-out ones, or if a side is empty.
    ValueError: if held_out is neither.
  """
  if held_out not in HELD:
    raise ValueError(f'wanted held_out of {HELD}, got {held_out!r}')
  found, root = data_files.find(path), Path(path)
  files = {split: [] for split in ('train', *HELD)}
  for file in found.data:
    split = None if file == root else data_files.split_of(file, root)
    files[split or 'train'].append(file)
  reader = _Reader(root, on_error)
  if found.unread:
    reader.counts['folder'] = {UNREAD: len(found.unread)}
  draws = {side: _Draw(limit, seed) for side, limit in limits._asdict().items()}
  used = next((s for s in (held_out, *HELD) if files[s]), None)
  if used is None:
    _split(reader, files['train'], draws, test_fraction, seed)
    how = f'split by conversation with seed {seed}, {test_fraction:g} held out'
  else:
    _as_named(reader, files, used, draws)
    how = f'held out are the {used} files'
  train, test = draws['train'].items(), draws['test'].items()
  _require_any(path, reader.counts)
  _require_both(path, train, test, used, test_fraction)
  counts = {'files': reader.counts}
  for side, draw in draws.items():
    left = reader.left[side] + collections.Counter({BEYOND: draw.left})
    counts[f'{side} pairs left out'] = dict(+left)
    if draw.left:
      how += (
        f'; {draw.left} more to {side} with left out (reading.{side}_pairs)'
      )
  said = f'{path}: {_kinds(train)} to train on, {_kinds(test)} held out; {how}'
  return OwnPairs(train, test, counts, said)


class _Reader:
  """Reads files and counts their rows.

  Attributes:
    counts: {file: counts}.
    left: {side: Counter of pairs that it leaves out}.
  """

  def __init__(self, root: Path, on_error: str):
    self._root, self._on_error = root, on_error
    self.counts = {}
    self.left = collections.defaultdict(collections.Counter)

  def read(self, files: list[Path]) -> Iterator[Comparison]:
    """The pairs of the files, told by their conversations."""
    for file in files:
      inside = file.relative_to(self._root).as_posix()
      counts = collections.Counter()
      for item in iter_comparisons(file, self._on_error, counts=counts):
        yield of_conversation(item)
      self.counts[file.name if inside == '.' else inside] = dict(counts)


class _Draw:
  """Some of the items that pass, each with the same chance; in their order."""

  def __init__(self, limit: int, seed: int):
    self._limit, self._seed, self._passed = limit, seed, 0
    self._kept = []  # (minus a random number, place, item): largest first

  @property
  def left(self) -> int:
    """The number of items that were not kept."""
    return self._passed - len(self._kept)

  def add(self, item: Comparison) -> None:
    """Lets one pass."""
    place = self._passed
    self._passed += 1
    digest = hashlib.sha1(f'{self._seed}:{place}'.encode()).digest()
    entry = (-int.from_bytes(digest[:8], 'big'), place, item)
    if not self._limit:
      self._kept.append(entry)
    elif len(self._kept) < self._limit:
      heapq.heappush(self._kept, entry)
    else:
      heapq.heappushpop(self._kept, entry)

  def items(self) -> list[Comparison]:
    """The items that were kept."""
    return [item for _, _, item in sorted(self._kept, key=lambda x: x[1])]


def _split(reader, files, draws, test_fraction, seed):
  """Draws from both sides of one split by conversation."""
  for item in reader.read(files):
    held = prompt_uniform(item.prompt_id, seed) < test_fraction
    draws['test' if held else 'train'].add(item)


def _as_named(reader, files, used, draws):
  """Draws from the files that are held out, and then from those for training.

  Conversations of files that are held out, used or not, are not trained on.

  Raises:
    DataError: if no file is for training.
  """
  if not files['train']:
    names = ', '.join(file.name for held in HELD for file in files[held])
    raise DataError(
      f'{files[used][0].parent}: wanted files to train on beside those held '
      f'out, got {names}: add some, or give one file, which is split'
    )
  known = set()
  for split in HELD:
    for item in reader.read(files[split]):
      known.add(bytes.fromhex(item.prompt_id))
      if split == used:
        draws['test'].add(item)
      else:
        reader.left['test'][f'of the {split} files'] += 1
  for item in reader.read(files['train']):
    if bytes.fromhex(item.prompt_id) in known:
      reader.left['train'][SHARED] += 1
    else:
      draws['train'].add(item)


def _require_any(path, counts):
  """Raises a DataError with what the rows are, if none of them is a pair."""
  total = sum((collections.Counter(x) for x in counts.values()), start=_NONE)
  if not total['kept']:
    said = ', '.join(
      f'{reason}: {count}'
      for reason, count in total.items()
      if count and reason not in ('read', UNREAD)
    )
    raise DataError(
      f'{path}: wanted pairs, got none of {total["read"]} rows ({said}); '
      'docs/own-pairs.md has the forms of a row'
    )


def _require_both(path, train, test, used, test_fraction):
  """Raises a DataError that says why a side is empty, and what to do."""
  if train and test:
    return
  side = 'held-out' if train else 'training'
  total = len(train) + len(test)
  if used:
    why = 'a conversation that is held out is not trained on: use other files'
  else:
    places = max(1, math.ceil(1 / max(test_fraction, 1e-3)))
    why = (
      f'conversations are split, {test_fraction:g} of them held out: give '
      f'{10 * places} pairs of different first questions or more, set another '
      '--config.data.split_seed or fraction, or put train and test files in a '
      'folder'
    )
  raise DataError(f'{path}: got no {side} pairs of {total}; {why}')


def _kinds(items) -> str:
  """'181 pairs (120 helpful, 61 harmless)'; of one kind, its name alone."""
  count = collections.Counter(item.kind for item in items)
  parts = [f'{count[kind]} {kind}' for kind in KINDS if count[kind]]
  if len(parts) == 1:
    return f'{parts[0]} pairs'
  return f'{len(items)} pairs ({", ".join(parts)})'
