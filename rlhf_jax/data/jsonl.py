"""Reads and writes comparisons: JSON lines, gzip, Parquet, message lists.

A line that is no record stops the reading with an error that names file and
line, or is skipped and counted by reason: `counts['read']` is always
`counts['kept']` plus the counts of the reasons. Beside them, `files not read`
counts files of a folder. A broken file, of which nobody knows how many rows it
costs, stops the reading unless it is asked for by name.
"""

import collections
import gzip
import json
import math
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from rlhf_jax.data import data_files
from rlhf_jax.data.dialogue_rows import (
  KEYS,
  field,
  require_unicode,
  text_of,
  transcripts,
)
from rlhf_jax.data.faults import BrokenFile, DataError, Malformed
from rlhf_jax.data.file_rows import rows_of
from rlhf_jax.data.records import KINDS, Comparison, RedTeam, make_comparison

__all__ = [
  'DataError',
  'iter_comparisons',
  'iter_red_team',
  'read_comparisons',
  'read_red_team',
  'write_comparisons',
  'write_rows',
]

ON_ERROR = ('raise', 'skip', 'skip-broken-files')
UNREAD = 'files not read'
_LARGEST = 1e30  # of a rating: the features of a build are float32
_WRITTEN = ('.jsonl', '.jsonl.gz')
_COLUMNS = (*KEYS, 'source', 'kind', 'p_label')
_ATTEMPT = ('transcript', 'rating', 'model_type', 'num_params')
_ATTEMPT += ('task_description', 'tags')


def iter_comparisons(
  path,
  on_error: str = 'raise',
  source: str | None = None,
  counts: collections.Counter | None = None,
) -> Iterator[Comparison]:
  """Yields the comparisons of a file, or of every data file of a directory.

  Memory does not grow with the files. A row has `chosen` and `rejected`, with
  or without `prompt` and `system`, in the forms of `dialogue_rows`; and
  optionally `source`, `kind`, `p_label`.

  Args:
    path: JSON lines or one JSON array, gzipped or not, or Parquet (told apart
      by content), or a directory of such files (`data_files`).
    on_error: 'raise'; 'skip' to count malformed rows and go on; or
      'skip-broken-files' to count broken files too, and read them as far as
      they go.
    source: the source of every record; without it, what the row says, else
      'FOLDER/FILE'. A source with 'harmless' in it makes `kind` harmless where
      the row does not say.
    counts: is added to: 'read', 'kept' and each reason.

  Raises:
    DataError: if there is nothing to read; at the first broken file; if
      on_error is 'raise', at the first malformed row.
  """

  def make(row, file):
    return comparison_of(row, source, _source_name(file))

  return _iterate(path, make, on_error, _COLUMNS, counts)


def read_comparisons(
  path, on_error: str = 'raise', source: str | None = None
) -> tuple[list[Comparison], collections.Counter]:
  """Reads as `iter_comparisons`, into memory.

  Returns:
    (comparisons, counts), counts of 'read', 'kept' and each reason.
  """
  counts = collections.Counter()
  return list(iter_comparisons(path, on_error, source, counts)), counts


def iter_red_team(
  path, on_error: str = 'raise', counts: collections.Counter | None = None
) -> Iterator[RedTeam]:
  """Yields red_team_attempts.jsonl.gz, or a file or directory of its kind.

  The released file is one JSON array in spite of its name; lines are read as
  well. In an array, the place of an error is the number of the element.

  Args, Raises: as of `iter_comparisons`.
  """
  make = lambda row, _: _red_team(row)
  return _iterate(path, make, on_error, _ATTEMPT, counts)


def read_red_team(
  path, on_error: str = 'raise'
) -> tuple[list[RedTeam], collections.Counter]:
  """Reads as `iter_red_team`, into memory; returns (attempts, counts)."""
  counts = collections.Counter()
  return list(iter_red_team(path, on_error, counts)), counts


def write_comparisons(path, comparisons: Iterable[Comparison]) -> None:
  """Writes JSON lines, gzipped if the name ends in .gz.

  Raises:
    DataError: if the name ends in neither .jsonl nor .jsonl.gz.
  """
  write_rows(path, map(_row, comparisons))


def write_rows(path, rows: Iterable[dict]) -> None:
  """Writes rows as JSON lines; errors as those of `write_comparisons`.

  The same rows give the same bytes, and the file appears whole or not at all.
  """
  path = Path(path)
  if not path.name.endswith(_WRITTEN):
    raise DataError(f'{path}: wanted a name in .jsonl or .jsonl.gz; rename it')
  path.parent.mkdir(parents=True, exist_ok=True)
  text = ''.join(json.dumps(row, ensure_ascii=False) + '\n' for row in rows)
  data = text.encode()
  if path.suffix == '.gz':
    data = gzip.compress(data, mtime=0)
  partial = path.with_name(f'.{path.name}.{os.getpid()}')
  partial.write_bytes(data)
  partial.replace(path)


def _row(item: Comparison) -> dict:
  row = {
    'chosen': item.chosen,
    'rejected': item.rejected,
    'source': item.source,
    'kind': item.kind,
  }
  if not math.isnan(item.p_label):
    row['p_label'] = float(item.p_label)
  return row


def _source_name(file: Path) -> str:
  """'FOLDER/FILE' as the path says it, whatever a link on it points at."""
  folder = os.path.basename(os.path.dirname(os.path.abspath(file)))
  return f'{folder}/{file.name.split(".")[0]}'


def _iterate(path, make: Callable, on_error: str, columns, counts):
  """Checks the arguments, and then makes a record of every row."""
  if on_error not in ON_ERROR:
    raise ValueError(
      f'wanted on_error {" or ".join(map(repr, ON_ERROR))}, got {on_error!r}'
    )
  counts = collections.Counter() if counts is None else counts
  found = data_files.find(path)
  for name in ('read', 'kept'):
    counts[name] += 0
  if found.unread:
    counts[UNREAD] += len(found.unread)
  return _records(found.data, make, on_error, columns, counts)


def _records(files, make, on_error, columns, counts) -> Iterator:
  """Yields records; raises or counts what is malformed."""
  for file in files:
    for number, row in rows_of(file, columns):
      counts['read'] += 1
      try:
        if isinstance(row, Malformed):
          raise row
        record = make(row, file)
      except Malformed as bad:
        _pass_over(bad, f'{file}:{number}', on_error)
        counts[bad.reason] += 1
        continue
      counts['kept'] += 1
      yield record


def _pass_over(bad: Malformed, where: str, on_error: str) -> None:
  """Returns if the fault may be skipped.

  Raises:
    DataError: if not.
  """
  if on_error == 'raise':
    raise DataError(f'{where}: {bad}') from None
  if isinstance(bad, BrokenFile) and on_error != ON_ERROR[-1]:
    raise DataError(
      f'{where}: {bad}; or read it as far as it goes with on_error '
      f'{ON_ERROR[-1]!r}'
    ) from None


def comparison_of(row: dict, source: str | None, name: str) -> Comparison:
  """The comparison of one row, as `iter_comparisons` makes it.

  Args:
    row: of a file.
    source: of the record; without it what the row says, else `name`.
    name: of the file.

  Raises:
    Malformed: if the row is none.
  """
  if row.get('source') is not None:
    name = text_of(row, 'source')
  source = source or name
  kind = row.get('kind')
  if kind is None:
    kind = 'harmless' if 'harmless' in source else 'helpful'
  if kind not in KINDS:
    raise Malformed(
      'bad kind', f'kind in {KINDS}', _short(kind), 'correct or omit it'
    )
  chosen, rejected = transcripts(row)
  return make_comparison(chosen, rejected, source, _probability(row), kind)


def _red_team(row: dict) -> RedTeam:
  tags = () if row.get('tags') is None else field(row, 'tags', (list,))
  return RedTeam(
    transcript=text_of(row, 'transcript'),
    rating=_rating(row),
    model_type=text_of(row, 'model_type'),
    num_params=str(field(row, 'num_params', (str, int, float))),
    task_description=text_of(row, 'task_description'),
    tags=tuple(require_unicode('tags', str(tag)) for tag in tags),
  )


def _rating(row: dict) -> float:
  """The rating as a finite number."""
  value = field(row, 'rating', (int, float))
  if not abs(value) < _LARGEST:  # NaN is not either
    raise Malformed(
      'bad rating', 'a finite rating', _short(value), 'correct or delete it'
    )
  return float(value)


def _probability(row: dict) -> float:
  value = row.get('p_label')
  if value is None or (isinstance(value, float) and math.isnan(value)):
    return math.nan
  if type(value) not in (int, float) or not 0 <= value <= 1:
    raise Malformed(
      'bad p_label', 'p_label from 0 to 1', _short(value), 'correct or omit it'
    )
  return float(value)


def _short(value) -> str:
  """A value in at most 60 characters."""
  return repr(value)[:60]
