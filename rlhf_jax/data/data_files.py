"""Data files of a folder, and their splits.

Links are followed: a linked folder or file is what it points at, under the name
of the link. What starts with a dot is hidden, as are the AppleDouble files
(`._train.jsonl.gz`) and the `__MACOSX` folders that macOS leaves in archives.
"""

import functools
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from absl import logging

from rlhf_jax.data.faults import DataError

ENDINGS = ('.jsonl', '.jsonl.gz', '.json', '.json.gz', '.parquet')
# Notes that libraries lay beside the data.
_NOTES = ('dataset_info.json', 'dataset_infos.json', 'dataset_dict.json')
_NOTES += ('state.json', 'config.json')
_SPLITS = {
  'train': ('train', 'training'),
  'validation': ('validation', 'valid', 'val', 'dev', 'eval'),
  'test': ('test', 'testing'),
}


class Found(NamedTuple):
  """The files below a path.

  Attributes:
    data: that are read, sorted.
    unread: the others.
  """

  data: list[Path]
  unread: list[Path]


def find(path) -> Found:
  """The data files of a folder, or the one file, whatever its name.

  What is not read is said once, as a warning.

  Raises:
    DataError: if there is nothing to read, a link leads nowhere, or two files
      of a folder differ in their endings alone, as a packed file and what was
      unpacked of it do: both would count.
  """
  path = Path(path)
  if path.is_file():
    return Found([path], [])
  if not path.is_dir():
    raise DataError(
      f'{path}: wanted a data file or directory, got '
      f'{_missing(path)}; check the path'
    )
  data, unread = [], []
  for file in _files(path):
    known = file.name.endswith(ENDINGS) and file.name not in _NOTES
    (data if known else unread).append(file)
  if not data:
    got = f'{len(unread)} others' if unread else 'none'
    raise DataError(
      f'{path}: wanted {", ".join(ENDINGS)} files, got a directory '
      f'with {got}{_listed(path, unread)}; check the path'
    )
  for file in data:
    _require_target(file)
  _require_no_copies(data)
  if unread:
    _say_unread(path, len(data), tuple(unread))
  return Found(data, unread)


def visible(paths: Iterable[Path]) -> list[Path]:
  """The files among the paths that are not hidden, sorted.

  Raises:
    DataError: if one is a link that leads nowhere.
  """
  found = sorted(path for path in paths if not _hidden(path.name))
  for path in found:
    _require_target(path)
  return [path for path in found if path.is_file()]


def split_of(file: Path, root: Path) -> str | None:
  """The split that a file's name says, or else a folder of it below the root.

    train-00000-of-00002.parquet, train/0.jsonl -> 'train'
    val.jsonl, dev/0.jsonl -> 'validation';  hh_test/pairs.jsonl -> 'test'

  None: nothing says so, or one name says two things.
  """
  for name in reversed(file.relative_to(root).parts):
    words = set(re.split(r'[^a-z]+', name.lower()))
    found = [
      split for split, names in _SPLITS.items() if not words.isdisjoint(names)
    ]
    if found:
      return found[0] if len(found) == 1 else None
  return None


def _files(folder: Path, above: frozenset = frozenset()) -> Iterator[Path]:
  """Files below a folder, sorted; one that holds itself is entered once."""
  real = os.path.realpath(folder)
  if real in above:
    return
  for path in sorted(folder.iterdir()):
    if _hidden(path.name):
      continue
    if path.is_dir():
      yield from _files(path, above | {real})
    elif path.is_file() or path.is_symlink():
      yield path


def _hidden(name):
  return name.startswith('.') or name == '__MACOSX'


def _require_target(path):
  if not path.exists():
    raise DataError(
      f'{path}: wanted a file, got {_missing(path)}; '
      'fetch what it points at, or delete it'
    )


def _require_no_copies(files):
  """Raises a DataError if two files have one name but for their endings."""
  seen = {}
  for file in files:
    ending = max((x for x in ENDINGS if file.name.endswith(x)), key=len)
    bare = file.with_name(file.name.removesuffix(ending))
    first = seen.setdefault(bare, file)
    if first is not file:
      raise DataError(
        f'{first}: wanted one file of a name, got {file.name} beside it: '
        'delete one if they hold the same, or rename it'
      )


def _missing(path):
  if path.exists():
    return 'what is neither'
  if path.is_symlink():
    return f'a link to {os.readlink(path)}, where nothing is'
  return 'nothing there'


def _listed(root, files, most=8):
  """The first of the names, in brackets."""
  names = [str(file.relative_to(root)) for file in files[:most]]
  more = ', ...' if len(files) > most else ''
  return f' ({", ".join(names)}{more})' if names else ''


@functools.cache
def _say_unread(root, count, unread):
  logging.warning(
    '%s: %d files read; %d not, whose names do not end in %s%s: rename those '
    'that hold data',
    root,
    count,
    len(unread),
    ', '.join(ENDINGS),
    _listed(root, unread),
  )
