"""Comparisons that people add to files while a study waits for them.

A folder of `.jsonl` files in the format of the HH release, or one such file, to
which whoever asks people appends a line an answer. What was read is kept as a
position, so that the next reader starts where the last one stopped:

    {file name: {'offset': bytes read, 'last': SHA-256 of the last line read}}

A line without its newline is still being written and is left for later.
"""

import collections
import json
from pathlib import Path
from typing import NamedTuple

from rlhf_jax import digests
from rlhf_jax.data.faults import DataError, Malformed
from rlhf_jax.data.jsonl import comparison_of
from rlhf_jax.data.records import Comparison

SUFFIX = '.jsonl'
_NOTHING = {'offset': 0, 'last': ''}


class Found(NamedTuple):
  """New comparisons.

  Attributes:
    comparisons: in the order of files and lines.
    position: behind the last line that was read.
    counts: 'read', 'kept' and each reason why a line was skipped.
  """

  comparisons: list[Comparison]
  position: dict
  counts: collections.Counter


def read_new(path, position, most, source, on_error='raise') -> Found:
  """The comparisons behind a position, `most` of them or as many as there are.

  Args:
    path: a `.jsonl` file, or a folder of them, read in order of their names.
    position: of the reader before, {} for the first.
    most: comparisons wanted; lines behind them are left for later.
    source: of every record.
    on_error: 'raise', or anything else to count a malformed line and go on.

  Raises:
    DataError: if there is no such path; if a file lost or changed what was
      read of it; at a whole line that is no comparison, if on_error says so.
  """
  files = _files(Path(path))
  lost = sorted(position.keys() - {file.name for file in files})
  if lost:
    raise DataError(
      f'{path}: {lost[0]} is gone, of which {position[lost[0]]["offset"]} '
      'bytes were read: put it back'
    )
  found = Found([], dict(position), collections.Counter(read=0, kept=0))
  for file in files:
    before = found.position.get(file.name, _NOTHING)
    for line, end in _whole_lines(file, before):
      if len(found.comparisons) == most:
        return found
      _take(found, line, f'{file}, before byte {end}', source, on_error)
      last = digests.of_bytes(line)
      found.position[file.name] = {'offset': end, 'last': last}
  return found


def _files(path):
  """The files to read, in order of their names."""
  if path.is_dir():
    return sorted(path.glob(f'[!.]*{SUFFIX}'))
  if path.is_file() and path.name.endswith(SUFFIX):
    return [path]
  raise DataError(
    f'{path}: wanted a folder of *{SUFFIX} files, or one such file; make it'
  )


def _whole_lines(file, before):
  """Yields (line, offset of its end) of the whole lines behind a position."""
  start = before['offset']
  with file.open('rb') as stream:
    seen = stream.read(start)
    line = seen[:-1].rpartition(b'\n')[2] + seen[-1:]
    same = not start or digests.of_bytes(line) == before['last']
    if len(seen) < start or not same:
      raise DataError(
        f'{file} has changed before byte {start}, up to which it was read: '
        'only append to it'
      )
    for line in stream:
      if not line.endswith(b'\n'):
        return
      start += len(line)
      yield line, start


def _take(found, line, where, source, on_error):
  """Adds the comparison of a line; a blank line is none."""
  if not line.strip():
    return
  found.counts['read'] += 1
  try:
    found.comparisons.append(_comparison(line, source))
    found.counts['kept'] += 1
  except Malformed as bad:
    if on_error == 'raise':
      raise DataError(f'{where}: {bad}') from None
    found.counts[bad.reason] += 1


def _comparison(line, source):
  try:
    row = json.loads(line.decode('utf-8'))
  except (ValueError, RecursionError) as error:
    why = digests.reason(error)
    raise Malformed('not JSON', 'a JSON object', why, 'correct it') from None
  if not isinstance(row, dict):
    got = type(row).__name__
    raise Malformed('not an object', 'a JSON object', got, 'correct it')
  return comparison_of(row, source, source)
