"""Rows of evaluation sets, which are never trained on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from rlhf_jax.data.faults import DataError, Malformed
from rlhf_jax.data.file_rows import rows_of


def read_rows(file: Path, kind: str, parse: Callable[[dict], Any]) -> list[Any]:
  """Every row of a file, parsed.

  Args:
    file: in whatever `file_rows` reads.
    kind: of its rows, for errors: 'a question of BBQ'.
    parse: of a row; its KeyError, TypeError, ValueError or AttributeError says
      that the row is of another kind.

  Raises:
    DataError: if the file is missing, or naming the row that is wrong.
  """
  found = []
  require_file(file)
  for number, row in rows_of(file):
    if isinstance(row, Malformed):
      raise DataError(f'{file}:{number}: {row}')
    try:
      found.append(parse(row))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
      raise DataError(
        f'{file}:{number}: wanted {kind}, got another row '
        f'({type(error).__name__}: {error}); copy the file again'
      ) from error
  return found


def require_file(file: Path) -> None:
  """Raises DataError, saying where to put it, if a file is missing."""
  file = Path(file)
  if not file.exists():
    raise DataError(
      f'{file} is missing: set --data to the folder that holds '
      f'{file.parent.name}'
    )
