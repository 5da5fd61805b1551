"""Files of scores: JSON lines of prompt, reply, score.

Whatever scores replies can write one: `experiments.judge` and
`experiments.detect_harm` write those of a preference model, and read others.
"""

import math

from rlhf_jax.data.held_out_rows import read_rows
from rlhf_jax.data.jsonl import write_rows
from rlhf_jax.data.judged import ROW


def read(path) -> dict:
  """{(prompt, reply): score}."""

  def make(row):
    score = float(row['score'])
    if not math.isfinite(score):
      raise ValueError(f'score {score}')
    return (str(row['prompt']), str(row['reply'])), score

  return dict(read_rows(path, ROW, make, ('prompt', 'reply', 'score')))


def write(path, table) -> None:
  """Writes {(prompt, reply): score}."""
  rows = [
    {'prompt': prompt, 'reply': reply, 'score': float(score)}
    for (prompt, reply), score in table.items()
  ]
  write_rows(path, rows)


def lookup(table, path):
  """score(prompt, reply) of a table.

  Raises:
    ValueError: as it is asked for a text that is not there.
  """

  def score(prompt, reply):
    if (prompt, reply) not in table:
      raise ValueError(
        f'{path} has no score for the reply {reply[:40]!r} to {prompt[:40]!r}: '
        'wanted one of every prompt and reply that is judged'
      )
    return table[prompt, reply]

  return score


def require_new(name, said, taken):
  """Raises ValueError, after what was `said`, if a judge has the name."""
  if name in taken:
    raise ValueError(
      f'{said}: another judge is named {name!r}, wanted names of their own: '
      'give one of them another, or leave it out'
    )


def named(words, flag, taken=()):
  """{name: path} of a list of NAME=PATH.

  Args:
    words: the list.
    flag: that it was given with.
    taken: names that others have.

  Raises:
    ValueError: if a word has no name, or a name comes twice or is taken.
  """
  found = {}
  for word in words:
    name, equals, path = word.partition('=')
    if not (name and equals and path) or name in found:
      raise ValueError(
        f'--{flag}={word}: wanted NAME=PATH, every name once, commas between'
      )
    require_new(name, f'--{flag}={word}', taken)
    found[name] = path
  return found
