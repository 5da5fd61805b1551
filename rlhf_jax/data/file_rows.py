"""The rows of a data file, whatever its format, good and malformed.

Rows are read one after the other: memory does not grow with the file.
"""

import codecs
import gzip
import json
import os
from collections.abc import Collection, Iterator
from pathlib import Path

from rlhf_jax.data.faults import BrokenFile, DataError, Malformed
from rlhf_jax.data.file_kinds import HEAD, foreign
from rlhf_jax.data.json_array import elements, plain_object
from rlhf_jax.data.json_layout import ARRAY, GZIP_FAULTS, LINES, layout_of

_PARQUET = b'PAR1'  # at both ends of a file
_PARQUET_ROWS = 256  # that are in memory at once
_WORDS = ('role', 'content')  # of a message; its other fields are not read

Rows = Iterator[tuple[int, dict | Malformed]]


def rows_of(file: Path, columns: Collection[str] | None = None) -> Rows:
  """Yields (number from 1, row or what is wrong with it).

  Args:
    file: JSON lines or one JSON array of rows, gzipped or not, or Parquet; told
      apart by content.
    columns: of a Parquet file that are wanted, None: all; the others are None.
  """
  with open(file, 'rb') as stream:
    head = stream.read(HEAD)
    stream.seek(max(0, os.fstat(stream.fileno()).st_size - len(_PARQUET)))
    tail = stream.read()
  if _PARQUET in (head[: len(_PARQUET)], tail):
    yield from _parquet_rows(file, columns)
  elif head.startswith(b'\x1f\x8b'):
    yield from _gzip_rows(file)
  elif (fault := foreign(head)) is not None:
    yield 1, fault
  else:
    with open(file, 'rb') as stream:
      yield from _json_rows(stream)


def read_gzip(file: Path) -> str:
  """The text of a gzip, whole.

  Raises:
    DataError: saying what the file is, if it is no gzip of UTF-8.
  """
  data = Path(file).read_bytes()
  if not data.startswith(b'\x1f\x8b'):
    fault = foreign(data[:HEAD])
    raise DataError(f'{file}: {fault or "wanted a gzip, got another file"}')
  try:
    data = gzip.decompress(data)
    if (fault := foreign(data[:HEAD], packed=True)) is not None:
      raise DataError(f'{file}: {fault}')
    return data.decode()
  except GZIP_FAULTS as error:
    raise DataError(f'{file}: {_broken_gzip(0, error)}') from None
  except UnicodeDecodeError as error:
    raise DataError(f'{file}: {_not_utf8(error)}') from None


def _gzip_rows(file: Path) -> Rows:
  number = 0
  try:
    with gzip.open(file, 'rb') as stream:
      fault = foreign(stream.peek(HEAD)[:HEAD], packed=True)
      if fault is not None:
        yield 1, fault
        return
      for number, row in _json_rows(stream):
        yield number, row
  except GZIP_FAULTS as error:
    yield number + 1, _broken_gzip(number, error)


def _broken_gzip(number, error):
  return BrokenFile(
    'broken gzip',
    'a whole gzip file',
    f'one that breaks off after line {number} ({error})',
    'copy the file again',
  )


def _json_rows(stream) -> Rows:
  """Rows of a binary stream that can be read twice."""
  layout = layout_of(stream)
  if layout == ARRAY:
    yield from _array_rows(stream)
    return
  if layout != LINES:
    yield 1, layout
    return
  empty = True
  for number, line in enumerate(stream, 1):
    if number == 1:
      line = line.removeprefix(codecs.BOM_UTF8)
    if line.strip():
      empty, row = False, _parse_object(line)
      if isinstance(row, Malformed) and not line.endswith(b'\n'):
        row = _cut_off(number, row)
      yield number, row
  if empty:
    yield 1, _no_row('blank lines')


def _cut_off(number, row):
  """A last line that is no JSON, and has no end: the file breaks off in it."""
  if row.reason not in ('bad JSON', 'not UTF-8'):
    return row
  return BrokenFile(
    'cut off',
    'a whole file',
    f'one that breaks off in line {number}, of which there is no end',
    'copy the file again, or end or delete its last line',
  )


def _array_rows(stream) -> Rows:
  """Elements of one JSON array; a fault in it ends them."""
  number = 0
  try:
    for number, value in enumerate(
      elements(codecs.getreader('utf-8-sig')(stream)), 1
    ):
      yield number, _require_object(value)
    if not number:
      yield 1, _no_row('an empty array')
  except UnicodeDecodeError as error:
    yield number + 1, _not_utf8(error, BrokenFile)
  except (ValueError, RecursionError) as error:
    yield number + 1, _bad_json(error, BrokenFile)


def _parquet_rows(file: Path, columns: Collection[str] | None) -> Rows:
  import pyarrow
  from pyarrow import parquet

  number = 0
  try:
    with parquet.ParquetFile(file, pre_buffer=False) as table:
      names = table.schema_arrow.names
      absent = dict.fromkeys(names)
      if len(absent) < len(names):
        yield 1, _two_columns(names)
        return
      leaves = _leaves(table.schema, columns)
      for batch in table.iter_batches(_PARQUET_ROWS, columns=leaves):
        for row in _batch_rows(batch):
          number += 1
          yield number, row if isinstance(row, Malformed) else absent | row
      if not number:
        yield 1, _no_row('a table without rows')
  except (pyarrow.ArrowException, OSError) as error:
    yield (
      number + 1,
      BrokenFile(
        'broken parquet',
        'a whole Parquet file',
        str(error).splitlines()[0],
        'copy the file again',
      ),
    )


def _two_columns(names):
  twice = next(name for name in names if names.count(name) > 1)
  return BrokenFile(
    'column twice',
    'columns of different names',
    f'{twice!r} twice',
    'rename or drop one of them',
  )


def _leaves(schema, columns) -> list[str] | None:
  """Paths of the Parquet columns that are read: of messages, the words alone.

  A field that nobody asked for may hold what Python cannot, such as a time in
  the year 30000.
  """
  if columns is None:
    return None
  paths = [schema.column(i).path for i in range(len(schema))]
  wanted = [path for path in paths if path.split('.')[0] in columns]
  if not wanted:
    return paths[:1]  # by which rows are counted
  inner = {path.split('.')[0] for path in wanted if _is_word(path)}
  return [
    path for path in wanted if path.split('.')[0] not in inner or _is_word(path)
  ]


def _is_word(path):
  return any(part in _WORDS for part in path.split('.')[1:])


def _batch_rows(batch) -> Iterator[dict | Malformed]:
  """The rows of a batch; one that Python cannot hold costs no other."""
  try:
    yield from batch.to_pylist()
    return
  except (ValueError, OverflowError):
    pass
  for i in range(batch.num_rows):
    try:
      yield batch.slice(i, 1).to_pylist()[0]
    except UnicodeDecodeError as error:
      yield _not_utf8(error)
    except (ValueError, OverflowError) as error:
      yield Malformed(
        'bad value', 'values that Python knows', str(error), 'correct the value'
      )


def _parse_object(line: bytes) -> dict | Malformed:
  try:
    return _require_object(
      json.loads(line.decode(), object_pairs_hook=plain_object)
    )
  except UnicodeDecodeError as error:
    return _not_utf8(error)
  except (ValueError, RecursionError) as error:
    return _bad_json(error)


def _require_object(value) -> dict | Malformed:
  if isinstance(value, dict):
    return value
  return Malformed(
    'not an object',
    'a JSON object',
    type(value).__name__,
    'write one {...} for each record',
  )


def _not_utf8(error: UnicodeDecodeError, kind=Malformed) -> Malformed:
  byte, column = error.object[error.start], error.start + 1
  return kind(
    'not UTF-8',
    'UTF-8 text',
    f'byte 0x{byte:02x} at column {column}',
    'convert the file to UTF-8',
  )


def _bad_json(error, kind=Malformed) -> Malformed:
  return kind(
    'bad JSON', 'one JSON value', str(error), 'mend or delete the line'
  )


def _no_row(got) -> BrokenFile:
  return BrokenFile(
    'empty file', 'at least one row', got, 'copy the file again'
  )
