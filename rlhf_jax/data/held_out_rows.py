"""Rows of evaluation sets, which are never trained on."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rlhf_jax.data.faults import DataError, Malformed
from rlhf_jax.data.file_rows import rows_of


def read_rows(
  file: Path,
  kind: str,
  parse: Callable[[dict], Any],
  wanted: Sequence[str] = (),
) -> list[Any]:
  """Every row of a file, parsed.

  Args:
    file: in whatever `file_rows` reads.
    kind: of its rows, for errors: 'a question of BBQ'.
    parse: of a row; its KeyError, TypeError, ValueError or AttributeError says
      that the row is of another kind.
    wanted: keys that a row has to have.

  Raises:
    DataError: if the file is missing, or naming the row that is wrong.
  """
  found = []
  file = require_file(file)
  for number, row in rows_of(file):
    if isinstance(row, Malformed):
      raise DataError(f'{file}:{number}: {row}')
    lacking = [key for key in wanted if key not in row]
    if lacking:
      raise DataError(
        f'{file}:{number}: wanted the keys {", ".join(wanted)}, '
        f'got none of the name {lacking[0]}; copy the file again'
      )
    try:
      found.append(parse(row))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
      raise DataError(
        f'{file}:{number}: wanted {kind}, got another row '
        f'({type(error).__name__}: {error}); copy the file again'
      ) from error
  return found


def require_file(file: Path) -> Path:
  """The path of a file.

  Raises:
    DataError: if it is missing, saying where it belongs.
  """
  file = Path(file)
  if not file.exists():
    raise DataError(
      f'{file} is missing: wanted the folder that holds '
      f'{file.parent.name}/{file.name}, copy the file there or name another '
      'folder'
    )
  return file
