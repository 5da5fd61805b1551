"""Questions to which models write replies that are compared.

    DIR/mt_bench/question.jsonl.gz          80 of two turns
    DIR/vicuna_bench/question.jsonl.gz      80
    DIR/arena_hard_v0.1/question.jsonl.gz   326
    DIR/alpaca_eval_kwise/kwise.jsonl.gz    545 instructions of AlpacaEval

For evaluation only: nothing here is to be trained on.
"""

from pathlib import Path
from typing import NamedTuple

from rlhf_jax.data.held_out_rows import read_rows
from rlhf_jax.data.judged import text

KIND = 'a question as docs/judges.md says'


class Question(NamedTuple):
  """Words of a human, turn after turn.

  Attributes:
    turns: words, or a dialogue of which the reply is wanted.
    category: of the question, '' where it has none; of the simulated world the
      kind of the prompt.
  """

  turns: tuple[str, ...]
  category: str = ''


def _turns(row) -> Question:
  turns = tuple(text(turn) for turn in row['turns'])
  if not turns or not all(turn.strip() for turn in turns):
    raise ValueError('a turn without words')
  return Question(turns, text(row['category']))


def _prompt(row) -> Question:
  return _turns({'turns': [row['prompt']], 'category': row['cluster']})


def _instruction(row) -> Question:
  return _turns({'turns': [row['instruction']], 'category': row['dataset']})


# (file, reader of a row, its keys)
SETS = {
  'mt_bench': ('mt_bench/question', _turns, ('turns', 'category')),
  'vicuna_bench': ('vicuna_bench/question', _turns, ('turns', 'category')),
  'arena_hard': ('arena_hard_v0.1/question', _prompt, ('prompt', 'cluster')),
  'alpaca_eval': (
    'alpaca_eval_kwise/kwise',
    _instruction,
    ('instruction', 'dataset'),
  ),
}


def read_questions(folder, name: str) -> list[Question]:
  """The questions of a set, each once, in the order of the file.

  Args:
    folder: of the data.
    name: of SETS.

  Raises:
    ValueError: if there is no such set.
    DataError: if its file is missing or malformed.
  """
  if name not in SETS:
    raise ValueError(f'no questions {name!r}: wanted one of {", ".join(SETS)}')
  stem, make, keys = SETS[name]
  rows = read_rows(Path(folder) / f'{stem}.jsonl.gz', KIND, make, keys)
  return list(dict.fromkeys(rows))
