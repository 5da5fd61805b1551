"""Plain texts for language models: those of a data folder, or of named files.

DIR/text_*/*.txt.gz                 books and articles, lines unwrapped
DIR/reddit_top_posts/*.jsonl.gz     posts: title and selftext

Files that are named may also be JSON lines or another file of rows with a
field `text` (`file_rows`), such as text_misc/c4_demo.jsonl.gz.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from rlhf_jax.data import data_files
from rlhf_jax.data.faults import DataError, Malformed
from rlhf_jax.data.file_rows import read_gzip, rows_of

BOOK = '.txt.gz'
READ = (BOOK, *data_files.ENDINGS)


def read_plain_texts(path) -> list[str]:
  """All texts of a data folder, files in the order of their names.

  Raises:
    DataError: if there is no book, or a file is broken or malformed.
  """
  files = _of_data_folder(Path(path))
  if not files:
    raise DataError(f'{path} holds no text_*/*.txt.gz for the language model')
  return [text for file in files for text in read_texts(file)]


def named(told: str) -> list[str]:
  """Paths that a setting names, commas between; one that exists is one."""
  return [told] if Path(told).exists() else told.split(',')


def files_of(names: Sequence[str]) -> list[Path]:
  """Files that paths stand for, in their order, each once.

  A file is itself. A data folder stands for the files that `read_plain_texts`
  reads of it, and any other folder for all that lie in it and can be read.

  Raises:
    DataError: naming a path where nothing is, or nothing that can be read.
  """
  found = []
  for name in names:
    path = Path(name)
    if not name.strip() or not path.exists():
      raise DataError(
        f'wanted files or folders of text, commas between, got {name!r}, '
        'which is not there: mend the path'
      )
    files = [path]
    if path.is_dir():
      files = _of_data_folder(path) or data_files.visible(path.iterdir())
      files = [file for file in files if file.name.endswith(READ)]
    if not files or not files[0].name.endswith(READ):
      raise DataError(
        f'{path}: wanted a file that ends in {", ".join(READ)}, or a folder of '
        f'some, got {"a folder of none" if path.is_dir() else "another file"}; '
        'name another, or pack the text with gzip'
      )
    found += files
  return list(dict.fromkeys(found))


def is_book(file: Path) -> bool:
  """Whether a file is one long text, and not rows of texts."""
  return file.name.endswith(BOOK)


def read_texts(file: Path) -> list[str]:
  """The texts of a file: the whole of a book, unwrapped, or one a row.

  Raises:
    DataError: if it is broken, or naming a row without a text.
  """
  if is_book(file):
    return [re.sub(r'(?<!\n)\n(?!\n)', ' ', read_gzip(file))]
  return [_of_row(row, f'{file}:{number}') for number, row in rows_of(file)]


def _of_data_folder(path):
  """Books and posts of a data folder; [] if it holds no book."""
  books = data_files.visible(path.glob('text_*/*.txt.gz'))
  posts = data_files.visible(path.glob('reddit_top_posts/*.jsonl.gz'))
  return books and books + posts


def _of_row(row, where):
  """The text of a row, of a post with its title, or a DataError."""
  if isinstance(row, Malformed):
    raise DataError(f'{where}: {row}')
  for keys in (('title', 'selftext'), ('text',)):
    parts = [row.get(key) for key in keys]
    if all(isinstance(part, str) for part in parts):
      return '\n'.join(parts)
  raise DataError(
    f'{where}: wanted a title and a selftext, or a text, got {sorted(row)}; '
    'mend or delete the line'
  )
