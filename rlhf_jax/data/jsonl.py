"""Reads and writes comparisons: JSON lines, gzip, Parquet, message lists.

A line that is no record stops the reading with an error that names file and
line, or is skipped and counted by reason: `counts['read']` is always
`counts['kept']` plus the counts of the reasons.
"""

import collections
import gzip
import json
import math
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from rlhf_jax.data.file_rows import Malformed, rows_of
from rlhf_jax.data.records import KINDS, Comparison, RedTeam, make_comparison
from rlhf_jax.text.dialogue import (
  DialogueError,
  Turn,
  format_dialogue,
  split_reply,
)

_SUFFIXES = ('.jsonl', '.jsonl.gz', '.parquet')
_ROLES = {'user': 'human'}


class DataError(ValueError):
  """Data that cannot be read; the message says where and what to do."""


def read_comparisons(
  path, on_error: str = 'raise', source: str | None = None
) -> tuple[list[Comparison], collections.Counter]:
  """Reads one file, or every data file below a directory in sorted order.

  A row has the keys `chosen` and `rejected`, each a transcript or a list of
  messages {'role', 'content'}; and optionally `source`, `kind`, `p_label`.

  Args:
    path: .jsonl, .jsonl.gz or .parquet file (told apart by content), or a
      directory of such files.
    on_error: 'raise', or 'skip' to count malformed rows and go on.
    source: the source of every record; without it, what the row says, else
      'FOLDER/FILE'. A source with 'harmless' in it makes `kind` harmless where
      the row does not say.

  Returns:
    (comparisons, counts), counts of 'read', 'kept' and each reason.

  Raises:
    DataError: if there is nothing to read; if on_error is 'raise', at the
      first malformed row.
  """

  def make(row, file):
    return _comparison(row, source, _source_name(file))

  return _read(_data_files(Path(path)), make, on_error, array=False)


def read_red_team(
  path, on_error: str = 'raise'
) -> tuple[list[RedTeam], collections.Counter]:
  """Reads red_team_attempts.jsonl.gz, or a file or directory of its kind.

  The released file is one JSON array in spite of its name; lines are read as
  well. In an array, the place of an error is the number of the element.

  Args, Returns, Raises: as `read_comparisons`.
  """
  files = _data_files(Path(path))
  return _read(files, lambda row, _: _red_team(row), on_error, array=True)


def write_comparisons(path, comparisons: Iterable[Comparison]) -> None:
  """Writes JSON lines, gzipped if the name ends in .gz.

  The same records give the same bytes, and the file appears whole or not at
  all.

  Raises:
    DataError: if the name ends in neither .jsonl nor .jsonl.gz.
  """
  path = Path(path)
  if not path.name.endswith(_SUFFIXES[:2]):
    raise DataError(f'{path}: wanted a name in .jsonl or .jsonl.gz; rename it')
  path.parent.mkdir(parents=True, exist_ok=True)
  text = ''.join(
    json.dumps(_row(item), ensure_ascii=False) + '\n' for item in comparisons
  )
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


def _data_files(path: Path) -> list[Path]:
  if path.is_file():
    return [path]
  if not path.is_dir():
    raise DataError(
      f'{path}: wanted a data file or directory, got nothing there; '
      'check the path'
    )
  files = sorted(
    p
    for p in path.rglob('*')
    if p.name.endswith(_SUFFIXES) and not p.name.startswith('.') and p.is_file()
  )
  if not files:
    raise DataError(
      f'{path}: wanted {", ".join(_SUFFIXES)} files, got a directory '
      'with none; check the path'
    )
  return files


def _source_name(file: Path) -> str:
  return f'{file.resolve().parent.name}/{file.name.split(".")[0]}'


def _read(
  files: list[Path], make: Callable, on_error: str, array: bool
) -> tuple[list, collections.Counter]:
  """Makes a record of every row; raises or counts what is malformed."""
  if on_error not in ('raise', 'skip'):
    raise ValueError(f"wanted on_error 'raise' or 'skip', got {on_error!r}")
  records = []
  counts = collections.Counter(read=0, kept=0)
  for file in files:
    for number, row in rows_of(file, array):
      counts['read'] += 1
      try:
        if isinstance(row, Malformed):
          raise row
        records.append(make(row, file))
        counts['kept'] += 1
      except Malformed as bad:
        if on_error == 'raise':
          raise DataError(f'{file}:{number}: {bad}') from None
        counts[bad.reason] += 1
  return records, counts


def _comparison(row: dict, source: str | None, name: str) -> Comparison:
  if row.get('source') is not None:
    name = _field(row, 'source', (str,))
  source = source or name
  kind = row.get('kind')
  if kind is None:
    kind = 'harmless' if 'harmless' in source else 'helpful'
  if kind not in KINDS:
    raise Malformed(
      'bad kind', f'kind in {KINDS}', repr(kind), 'correct or omit it'
    )
  return make_comparison(
    _transcript(row, 'chosen'),
    _transcript(row, 'rejected'),
    source,
    _probability(row),
    kind,
  )


def _red_team(row: dict) -> RedTeam:
  tags = () if row.get('tags') is None else _field(row, 'tags', (list,))
  return RedTeam(
    transcript=_field(row, 'transcript', (str,)),
    rating=float(_field(row, 'rating', (int, float))),
    model_type=_field(row, 'model_type', (str,)),
    num_params=str(_field(row, 'num_params', (str, int, float))),
    task_description=_field(row, 'task_description', (str,)),
    tags=tuple(str(tag) for tag in tags),
  )


def _field(row: dict, key: str, types: tuple[type, ...]):
  if key not in row:
    raise Malformed(
      'missing key', f'the key {key!r}', f'{sorted(row)}', 'add the key'
    )
  value = row[key]
  if type(value) not in types:
    raise Malformed(
      'wrong type',
      f'{key} as {" or ".join(t.__name__ for t in types)}',
      repr(value)[:60],
      'correct the value',
    )
  return _unicode(key, value) if isinstance(value, str) else value


def _unicode(key: str, text: str) -> str:
  try:
    text.encode()
  except UnicodeEncodeError as error:
    raise Malformed(
      'not Unicode',
      f'{key} to be Unicode text',
      f'half a surrogate pair at character {error.start + 1}',
      'mend the escape',
    ) from None
  return text


def _probability(row: dict) -> float:
  value = row.get('p_label')
  if value is None or (isinstance(value, float) and math.isnan(value)):
    return math.nan
  if type(value) not in (int, float) or not 0 <= value <= 1:
    raise Malformed(
      'bad p_label', 'p_label from 0 to 1', repr(value), 'correct or omit it'
    )
  return float(value)


def _transcript(row: dict, key: str) -> str:
  """The transcript under the key, checked to end in an Assistant turn."""
  value = _field(row, key, (str, list))
  try:
    if isinstance(value, list):
      value = format_dialogue([_turn(message) for message in value])
    split_reply(value)
  except DialogueError as error:
    raise Malformed(
      error.reason, f'{key} to be a dialogue', str(error), 'mend the transcript'
    ) from None
  return _unicode(key, value)


def _turn(message) -> Turn:
  """The turn of {'role', 'content'}, spaced as the transcripts are."""
  fields = message if isinstance(message, dict) else {}
  role, body = fields.get('role'), fields.get('content')
  if not isinstance(role, str) or not isinstance(body, str):
    raise Malformed(
      'bad message',
      "a message {'role': str, 'content': str}",
      repr(message)[:60],
      'mend the message',
    )
  return Turn(_ROLES.get(role, role), f' {body}')
