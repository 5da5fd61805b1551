"""The rows of a data file, whatever its format, good and malformed."""

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path


class Malformed(Exception):  # noqa: N818 (a row that is yielded, and counted)
  """Fault of a row; the reader knows file and line.

  Attributes:
    reason: a few fixed words, to count by.
  """

  def __init__(self, reason: str, wanted: str, got: str, remedy: str):
    super().__init__(f'wanted {wanted}, got {got}; {remedy}')
    self.reason = reason


def rows_of(file: Path, array: bool) -> Iterator[tuple[int, dict | Malformed]]:
  """Yields (number from 1, row or what is wrong with it).

  Args:
    file: JSON lines, gzipped or not, or Parquet; told apart by content.
    array: whether the file may also be one JSON array of rows.
  """
  with open(file, 'rb') as stream:
    magic = stream.read(4)
  if not magic:
    yield (
      1,
      Malformed(
        'empty file', 'at least one row', '0 bytes', 'copy the file again'
      ),
    )
  elif magic == b'PAR1':
    yield from _parquet_rows(file)
  else:
    opener = gzip.open if magic.startswith(b'\x1f\x8b') else open
    with opener(file, 'rb') as stream:
      yield from _json_rows(stream, array)


def _json_rows(stream, array: bool) -> Iterator[tuple[int, dict | Malformed]]:
  number = 0
  try:
    for number, line in enumerate(stream, 1):
      if array and number == 1 and line.lstrip().startswith(b'['):
        yield from _array_rows(line + stream.read())
      elif line.strip():
        yield number, _parse_object(line)
  except (EOFError, zlib.error, gzip.BadGzipFile) as error:
    yield (
      number + 1,
      Malformed(
        'broken gzip',
        'a whole gzip file',
        f'one that breaks off after line {number} ({error})',
        'copy the file again',
      ),
    )


def _array_rows(data: bytes) -> Iterator[tuple[int, dict | Malformed]]:
  rows = _parse(data)
  if isinstance(rows, Malformed):
    yield 1, rows
  else:
    for number, row in enumerate(rows, 1):
      yield number, _require_object(row)


def _parquet_rows(file: Path) -> Iterator[tuple[int, dict | Malformed]]:
  import pyarrow
  from pyarrow import parquet

  number = 0
  try:
    with parquet.ParquetFile(file) as table:
      for batch in table.iter_batches():
        for row in batch.to_pylist():
          number += 1
          yield number, row
  except (pyarrow.ArrowException, OSError, ValueError) as error:
    yield (
      number + 1,
      Malformed(
        'broken parquet',
        'a whole Parquet file',
        str(error).splitlines()[0],
        'copy the file again',
      ),
    )


def _parse(data: bytes):
  """The JSON value of the bytes, or a Malformed."""
  try:
    return json.loads(data.decode())
  except UnicodeDecodeError as error:
    return Malformed(
      'not UTF-8',
      'UTF-8 text',
      f'byte 0x{data[error.start]:02x} at column {error.start + 1}',
      'convert the file to UTF-8',
    )
  except (ValueError, RecursionError) as error:
    return Malformed(
      'bad JSON', 'one JSON value', str(error), 'mend or delete the line'
    )


def _parse_object(line: bytes) -> dict | Malformed:
  value = _parse(line)
  return value if isinstance(value, Malformed) else _require_object(value)


def _require_object(value) -> dict | Malformed:
  if isinstance(value, dict):
    return value
  return Malformed(
    'not an object',
    'a JSON object',
    type(value).__name__,
    'write one {...} for each record',
  )
