"""Tasks of HumanEval, from a file in its format."""

import gzip
import json

import pytest

from rlhf_jax.data.code_tasks import FILE, CodeTask, read_tasks
from rlhf_jax.data.faults import DataError
from tests.pretrained_files import data_folder

ROWS = [
  {
    'task_id': f'Made/{i}',
    'prompt': f'def f{i}(x):\n  """x + {i}."""\n',
    'entry_point': f'f{i}',
    'canonical_solution': f'  return x + {i}\n',
    'test': f'def check(candidate):\n  assert candidate(1) == {1 + i}\n',
  }
  for i in range(3)
]


def written(folder, rows):
  text = ''.join(json.dumps(row) + '\n' for row in rows)
  (folder / FILE).write_bytes(gzip.compress(text.encode()))
  return folder


def test_a_folder_and_a_file_are_read_alike_and_in_order(tmp_path):
  found = read_tasks(written(tmp_path, ROWS))
  assert found == read_tasks(tmp_path / FILE)
  assert [task.name for task in found] == ['Made/0', 'Made/1', 'Made/2']
  assert found[1] == CodeTask(
    'Made/1',
    'def f1(x):\n  """x + 1."""\n',
    'f1',
    '  return x + 1\n',
    'def check(candidate):\n  assert candidate(1) == 2\n',
  )
  assert read_tasks(tmp_path, 2) == found[:2]


def test_a_missing_file_is_one_line_that_says_where_to_put_it(tmp_path):
  with pytest.raises(DataError, match='HumanEval.jsonl.gz is missing: wanted'):
    read_tasks(tmp_path / FILE)


@pytest.mark.parametrize(
  ('rows', 'words'),
  [
    (
      [ROWS[0], {'prompt': 'def f'}],
      ':2: wanted the keys task_id, ',
    ),
    ([ROWS[0] | {'test': 3}], ':1: wanted a task of HumanEval, got another'),
    ([[1]], ':1: '),
    ([], 'a gzip of nothing'),
    ([ROWS[0], ROWS[0]], 'a task_id comes twice'),
  ],
)
def test_a_file_of_something_else_is_named_with_its_line(tmp_path, rows, words):
  with pytest.raises(DataError, match=words):
    read_tasks(written(tmp_path, rows))


def test_a_file_of_no_rows_is_an_error(tmp_path):
  (tmp_path / 'none.json').write_text('[]')
  with pytest.raises(DataError, match='got no row|at least one row'):
    read_tasks(tmp_path / 'none.json')


def test_the_published_file_has_164_tasks():
  folder = data_folder() / 'humaneval'
  if not folder.is_dir():
    pytest.skip(f'no HumanEval at {folder}; set RLHF_JAX_DATA')
  found = read_tasks(folder)
  assert len(found) == 164
  assert found[0].entry == 'has_close_elements'
  for task in found:  # each prompt is a program, its docstring a body
    compile(task.prompt, task.name, 'exec')
