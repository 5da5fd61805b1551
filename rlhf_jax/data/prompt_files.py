"""Prompts of a file by others: benchmarks, instructions, lists of questions.

One object a row, in whatever `file_rows` reads. The prompt is the first of
these that a row has:

    prompt                    text
    turns                     list of texts; the first is asked
    instruction               text, and what `input` or the first of `instances`
                              adds to it
"""

from pathlib import Path
from typing import NamedTuple

from rlhf_jax.data import data_files
from rlhf_jax.data.faults import DataError, Malformed
from rlhf_jax.data.file_rows import rows_of
from rlhf_jax.data.jsonl import iter_comparisons
from rlhf_jax.text.answer_rows import is_dialogue
from rlhf_jax.text.dialogue import (
  HUMAN,
  DialogueError,
  Turn,
  first_words,
  format_dialogue,
)

WANTED = 'a prompt, turns or an instruction'


class FilePrompt(NamedTuple):
  """A prompt of a file.

  Attributes:
    text: a dialogue of one human turn, which ends in the Assistant marker.
    family: of the row.
  """

  text: str
  family: str


def read_prompt_file(path, where=None, family='') -> list[FilePrompt]:
  """The prompts of a file, in its order.

  Args:
    path: of the file.
    where: {column: value} of the rows that are wanted; None: all.
    family: column that names the family; '': that is the file itself, as
      FOLDER/NAME.

  Raises:
    DataError: if a row is malformed or has no prompt or family, or none is
      left.
  """
  path, found = Path(path), []
  named = f'{path.resolve().parent.name}/{path.name.split(".")[0]}'
  for number, row in rows_of(path):
    if isinstance(row, Malformed):
      raise DataError(f'{path}:{number}: {row}')
    if any(str(row.get(k)) != value for k, value in (where or {}).items()):
      continue
    if family and not isinstance(row.get(family), str):
      raise DataError(
        f'{path}:{number}: wanted a text under {family!r}, which names its '
        f'family, got {sorted(row)}'
      )
    try:
      turns = [Turn('human', f' {asked(row)}'), Turn('assistant', '')]
      text = format_dialogue(turns)
    except (DialogueError, DataError) as error:
      raise DataError(f'{path}:{number}: {error}') from None
    found.append(FilePrompt(text, row[family] if family else named))
  if not found:
    some = ', '.join(f'{k}={v}' for k, v in (where or {}).items())
    raise DataError(f'{path}: wanted prompts, got no row of {some or "any"}')
  return found


def asked(row):
  """Words of the human in a row.

  Raises:
    DataError: if it has none.
  """
  turns = row.get('turns')
  first = turns[0] if isinstance(turns, list) and turns else None
  for text in (row.get('prompt'), first):
    if isinstance(text, str) and text.strip():
      return text.strip()
  text = row.get('instruction')
  if not isinstance(text, str) or not text.strip():
    raise DataError(f'wanted {WANTED}, got {sorted(row)}')
  more = row.get('input')
  instances = row.get('instances')
  if isinstance(instances, list) and instances:
    more = instances[0].get('input') if isinstance(instances[0], dict) else ''
  more = more.strip() if isinstance(more, str) else ''
  return '\n\n'.join(filter(None, (text.strip(), more)))


def words_of(prompt: str) -> str:
  """First words of a prompt that is a dialogue, or words already."""
  return first_words(prompt) if is_dialogue(prompt) else prompt


def key_of(words: str) -> str:
  """Words without what may differ between two copies: case and spaces."""
  return ' '.join(words.split()).casefold()


def keys_of_file(path) -> frozenset[str]:
  """Keys of the first words of a file, or of all data files of a folder.

  Args:
    path: pairs as `iter_comparisons` reads them; or rows as at the top of this
      file, a prompt being words or a dialogue.

  Raises:
    DataError: if there is nothing to read, or a row is malformed.
  """
  found = set()
  for file in data_files.find(path).data:
    _, row = next(rows_of(file), (0, {}))
    if isinstance(row, dict) and 'chosen' in row:
      words = (first_words(item.chosen) for item in iter_comparisons(file))
    else:
      words = _first_words_of_rows(file)
    found |= set(map(key_of, words))
  if not found:
    raise DataError(f'{path}: wanted prompts, got none')
  return frozenset(found)


def _first_words_of_rows(file):
  for number, row in rows_of(file):
    try:
      if isinstance(row, Malformed):
        raise DataError(str(row))
      text = asked(row)
    except DataError as error:
      raise DataError(f'{file}:{number}: {error}') from None
    yield words_of(f'\n\n{text}' if text.startswith(HUMAN.strip()) else text)
