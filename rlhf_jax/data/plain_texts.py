"""Plain texts of a data folder, for language models.

DIR/text_*/*.txt.gz                 books and articles, lines unwrapped
DIR/reddit_top_posts/*.jsonl.gz     posts: title and selftext
"""

import re
from pathlib import Path

from rlhf_jax.data import data_files
from rlhf_jax.data.faults import DataError, Malformed
from rlhf_jax.data.file_rows import read_gzip, rows_of


def read_plain_texts(path) -> list[str]:
  """All texts, files in the order of their names.

  Raises:
    DataError: if there is no book, or a file is broken or malformed.
  """
  path = Path(path)
  files = data_files.visible(path.glob('text_*/*.txt.gz'))
  if not files:
    raise DataError(f'{path} holds no text_*/*.txt.gz for the language model')
  texts = [re.sub(r'(?<!\n)\n(?!\n)', ' ', read_gzip(file)) for file in files]
  for file in data_files.visible(path.glob('reddit_top_posts/*.jsonl.gz')):
    for number, row in rows_of(file):
      texts.append(_post(row, f'{file}:{number}'))
  return texts


def _post(row, where):
  """The text of a post, or a DataError."""
  if isinstance(row, Malformed):
    raise DataError(f'{where}: {row}')
  parts = [row.get(key) for key in ('title', 'selftext')]
  if not all(isinstance(part, str) for part in parts):
    raise DataError(
      f'{where}: wanted a title and a selftext, got {sorted(row)}; mend or '
      'delete the line'
    )
  return '\n'.join(parts)
