"""Errors that a user can do something about, and the line that says so."""

import errno
from pathlib import Path

from rlhf_jax.data.jsonl import DataError
from rlhf_jax.text.dialogue import DialogueError
from rlhf_jax.train.about import RunError

EXPECTED = (RunError, DataError, DialogueError, ValueError, OSError)


def said_of(error):
  """The line that is said of any exception: an unexpected one with its type."""
  if isinstance(error, EXPECTED):
    return one_line(error)
  return f'{type(error).__name__}: {error}'.splitlines()[0]


def one_line(error):
  """What an error says, in one line; of a quoted traceback its last line."""
  if isinstance(error, UnicodeDecodeError):
    return f'a file is not UTF-8 text, or is damaged: {error}'
  if isinstance(error, OSError) and error.errno == errno.ENOSPC:
    where = f' for {error.filename}' if error.filename else ''
    return (
      f'no space is left{where}: free some and give the same command again, '
      'the run goes on from its last checkpoint'
    )
  kinds = FileExistsError, NotADirectoryError
  if isinstance(error, kinds) and not Path(error.filename or '.').is_dir():
    return (
      f'{error.filename}: wanted a folder, and a file is there or on the way: '
      'name another place, or move the file away'
    )
  first = error.args[0] if error.args else ''
  text = first if isinstance(first, str) else str(error)
  lines = [line.strip() for line in text.splitlines() if line.strip()]
  if any(line.startswith('Traceback ') for line in lines):
    return lines[-1]
  return ' '.join(lines)
