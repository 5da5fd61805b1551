"""Tasks of HumanEval: a function to be written, and its checks.

One JSON object a row with task_id, prompt, entry_point, canonical_solution and
test. For evaluation alone: nothing here is to be trained on.

Reference: Chen et al. 2021 (arXiv:2107.03374), section 2.2.
"""

from pathlib import Path
from typing import NamedTuple

from rlhf_jax.data.faults import DataError
from rlhf_jax.data.held_out_rows import read_rows

FILE = 'HumanEval.jsonl.gz'
COLUMNS = ('task_id', 'prompt', 'entry_point', 'canonical_solution', 'test')


class CodeTask(NamedTuple):
  """A task.

  Attributes:
    name: such as HumanEval/0.
    prompt: text up to the end of the function's docstring.
    entry: name of the function.
    solution: text that goes on from the prompt and is right.
    test: text that defines check(candidate).
  """

  name: str
  prompt: str
  entry: str
  solution: str
  test: str


def read_tasks(path, first: int | None = None) -> list[CodeTask]:
  """The tasks of a file, in its order.

  Args:
    path: of the file, or of the folder that holds HumanEval.jsonl.gz.
    first: how many are wanted; None: all.

  Raises:
    DataError: if the file is missing, saying where it belongs, if a row is
      none, or a name comes twice.
  """
  path = Path(path)
  path = path / FILE if path.is_dir() else path
  found = read_rows(path, 'a task of HumanEval', _task, COLUMNS)
  if not found:
    raise DataError(f'{path}: wanted tasks, got no row')
  if len({task.name for task in found}) < len(found):
    raise DataError(f'{path}: a task_id comes twice')
  return found[:first]


def _task(row):
  texts = [row[column] for column in COLUMNS]
  if not all(isinstance(text, str) for text in texts):
    raise TypeError(f'wanted texts under {", ".join(COLUMNS)}')
  return CodeTask(*texts)
