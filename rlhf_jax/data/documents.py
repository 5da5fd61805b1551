"""Documents of plain texts, each on one side: to train on, or held out.

A row of a file is a document, and so is a passage of a book: whole paragraphs,
2,000 characters of it or a little more. One document in ten is held out, and
its words alone say whether: a document is on the same side in every file, in
every run, whatever else is read with it.
"""

import hashlib
import itertools
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from rlhf_jax.data import plain_texts

HELD_OUT = 10  # one document in so many
# Up to the first end of a paragraph after 2,000 characters, or, where there is
# none in 6,000 more, to the end of a word.
PASSAGE = re.compile(
  r'.{1,2000}(?:.{0,6000}?(?:\n{2,}|\Z)|.{6000}\S*\s*)', re.DOTALL
)


class Document(NamedTuple):
  """A text that is held out as a whole.

  Attributes:
    file: its folder and name.
    number: from 1, in the file.
    text: its words.
  """

  file: str
  number: int
  text: str


class Sides(NamedTuple):
  """The texts of some files, on two sides.

  Attributes:
    train: texts; passages of a book that follow one another are one.
    held: documents, each once, in the order of their digests: the first few are
      a draw from all.
    counts: {file: {'read', 'kept', 'held out', 'empty': documents}}.
  """

  train: list[str]
  held: list[Document]
  counts: dict


def digest_of(text: str) -> str:
  """SHA-256 of the words of a text, whatever white space is between them."""
  return hashlib.sha256(' '.join(text.split()).encode()).hexdigest()


def side_of(text: str) -> str:
  """'held out' of one document in ten, 'kept' of the others, or 'empty'.

  held out = the first 60 bits of the digest are a multiple of 10
  """
  if not text.strip():
    return 'empty'
  held = int(digest_of(text)[:15], 16) % HELD_OUT == 0
  return 'held out' if held else 'kept'


def documents_of(file: Path, text: str) -> list[str]:
  """A text of a file as documents, which joined are the text."""
  return PASSAGE.findall(text) if plain_texts.is_book(file) else [text]


def read_sides(names: Sequence[str]) -> Sides:
  """Both sides of what paths stand for (`plain_texts.files_of`).

  Raises:
    DataError: if a path is missing, or a file is broken or malformed.
  """
  train, held, counts = [], {}, {}
  for file in plain_texts.files_of(names):
    name = f'{file.parent.name}/{file.name}'
    count = counts.setdefault(name, Counter(read=0, kept=0))
    for text in plain_texts.read_texts(file):
      parts = documents_of(file, text)
      for side, run in itertools.groupby(parts, side_of):
        run = list(run)
        if side == 'kept':
          train.append(''.join(run))
        for number, part in enumerate(run, count['read'] + 1):
          if side == 'held out':
            held[digest_of(part)] = Document(name, number, part)
        count['read'] += len(run)
        count[side] += len(run)
  return Sides(train, [held[key] for key in sorted(held)], counts)


def said(counts: dict) -> str:
  """A line that says what was read.

  Args:
    counts: of `Sides`.
  """
  total = sum(counts.values(), Counter())
  line = f'{len(counts)} files, {total["read"]} documents: {total["kept"]} to '
  line += f'train on, {total["held out"]} held out'
  return line + (f', {total["empty"]} empty' if total['empty'] else '')
