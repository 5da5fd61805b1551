"""Tasks of HumanEval: a function to be written, and its checks.

One JSON object a row with task_id, prompt, entry_point, canonical_solution and
test. For evaluation alone: nothing here is to be trained on.

Reference: Chen et al. 2021 (arXiv:2107.03374), section 2.2.
"""

from pathlib import Path
from typing import NamedTuple

from rlhf_jax.data.faults import DataError, Malformed
from rlhf_jax.data.file_rows import rows_of

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
    FileNotFoundError: saying where the file has to be.
    DataError: if a row is none, or a name comes twice.
  """
  path = Path(path)
  path = path / FILE if path.is_dir() else path
  if not path.is_file():
    raise FileNotFoundError(
      f'{path} is missing: put {FILE} of github.com/openai/human-eval there'
    )
  found = []
  for number, row in rows_of(path):
    if isinstance(row, Malformed):
      raise DataError(f'{path}:{number}: {row}')
    lacking = [c for c in COLUMNS if not isinstance(row.get(c), str)]
    if lacking:
      raise DataError(
        f'{path}:{number}: wanted a text under {", ".join(lacking)}, got '
        f'{sorted(row)}: is it another file?'
      )
    found.append(CodeTask(*(row[column] for column in COLUMNS)))
  if not found:
    raise DataError(f'{path}: wanted tasks, got no row')
  if len({task.name for task in found}) < len(found):
    raise DataError(f'{path}: a task_id comes twice')
  return found[:first]
