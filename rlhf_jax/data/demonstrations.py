r"""Demonstrations of a file by others: what was asked, and a good reply.

One object a row, in whatever `file_rows` reads. What is asked is read as
`prompt_files` does; the reply is the first of these that a row has:

    response, output      text
    instances             list of {'input', 'output'}, a demonstration each

A prompt inside the template of Alpaca ('### Instruction:') is taken out of it:
a model is asked in its own template.
"""

import collections
import re
from collections.abc import Iterator
from typing import NamedTuple

from rlhf_jax.data import data_files
from rlhf_jax.data.faults import BrokenFile, DataError, Malformed
from rlhf_jax.data.file_rows import rows_of
from rlhf_jax.data.pairs import prompt_uniform
from rlhf_jax.data.prompt_files import asked
from rlhf_jax.data.records import prompt_hash
from rlhf_jax.text.dialogue import DialogueError, Turn, format_dialogue

REPLIES = ('response', 'output')
_ALPACA = re.compile(
  r'\ABelow is an instruction.*?\n### Instruction:\n(.*?)'
  r'(?:\n+### Input:\n(.*?))?\n+### Response:\s*\Z',
  re.DOTALL,
)


class Demonstration(NamedTuple):
  """A reply to imitate.

  Attributes:
    prompt: transcript that ends in the Assistant marker.
    reply: text, with the space that follows the marker.
  """

  prompt: str
  reply: str


def read_demonstrations(path, on_error='raise'):
  """The demonstrations below a path, in the order of files and rows.

  Args:
    path: a file, or a folder of files.
    on_error: 'raise', or 'skip' to leave malformed rows out and count them.

  Returns:
    ([Demonstration], counts): rows 'read', demonstrations 'kept', and what was
    left out by reason; 'repeated' is one that was there before.

  Raises:
    DataError: naming file and row; or if nothing is left.
  """
  found, counts = {}, collections.Counter(read=0, kept=0)
  for file in data_files.find(path).data:
    for number, row in rows_of(file):
      counts['read'] += 1
      try:
        new = list(_of_row(row))
      except Malformed as fault:
        if on_error == 'raise' or isinstance(fault, BrokenFile):
          raise DataError(f'{file}:{number}: {fault}') from None
        counts[fault.reason] += 1
        continue
      for item in new:
        counts['repeated' if item in found else 'kept'] += 1
        found[item] = None
  if not found:
    raise DataError(f'{path}: wanted demonstrations, got none: {dict(counts)}')
  return list(found), counts


def _of_row(row) -> Iterator[Demonstration]:
  """Yields the demonstrations of a row."""
  if isinstance(row, Malformed):
    raise row
  instances = row.get('instances')
  if not isinstance(instances, list) or not instances:
    instances = [{}]
  for own in instances:
    one = {k: v for k, v in row.items() if k != 'instances'}
    yield _demonstration(one | (own if isinstance(own, dict) else {}))


def _demonstration(row):
  reply = next((row[key] for key in REPLIES if row.get(key)), None)
  if not isinstance(reply, str) or not reply.strip():
    raise Malformed(
      'no reply',
      f'a text under {" or ".join(REPLIES)}',
      f'{sorted(row)}',
      'add it or leave the row out',
    )
  try:
    turns = [Turn('human', f' {_question(row)}'), Turn('assistant', '')]
    prompt = format_dialogue(turns)
    format_dialogue([Turn('assistant', reply)])  # no marker in it
  except DialogueError as error:
    raise Malformed(
      error.reason, 'plain text', str(error), 'leave the row out'
    ) from None
  except DataError as error:
    raise Malformed(
      'no prompt', 'something asked', str(error), 'leave the row out'
    ) from None
  return Demonstration(prompt, f' {reply.strip()}')


def _question(row):
  """Words of the human, out of Alpaca's template if they stand in one."""
  text = asked(row)
  found = _ALPACA.match(text + '\n')
  if not found:
    return text
  return '\n\n'.join(filter(None, map(str.strip, filter(None, found.groups()))))


def split(demonstrations, held_out, seed):
  """(those to train on, those held out): no prompt is on two sides.

  Args:
    demonstrations: list of Demonstration.
    held_out: share of the prompts, on average.
    seed: of the split.
  """
  sides = [], []
  for item in demonstrations:
    uniform = prompt_uniform(prompt_hash(item.prompt), seed)
    sides[uniform < held_out].append(item)
  return sides
