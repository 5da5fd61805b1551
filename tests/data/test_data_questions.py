"""Questions of the sets that models are compared on, from files of two rows."""

import pytest

from rlhf_jax.data.faults import DataError
from rlhf_jax.data.jsonl import write_rows
from rlhf_jax.data.questions import SETS, Question, read_questions
from tests.pretrained_files import data_folder

ROWS = {
  'mt_bench': {'turns': ['Who?', 'Why?'], 'category': 'roleplay'},
  'vicuna_bench': {'turns': ['Who?'], 'category': 'generic'},
  'arena_hard': {'prompt': 'Who?', 'cluster': 'People'},
  'alpaca_eval': {'instruction': 'Who?', 'dataset': 'koala'},
}
COUNTS = {
  'mt_bench': 80,
  'vicuna_bench': 80,
  'arena_hard': 326,
  'alpaca_eval': 545,
}


def written(folder, name, *rows):
  write_rows(folder / f'{SETS[name][0]}.jsonl.gz', rows)
  return str(folder)


@pytest.mark.parametrize('name', list(SETS))
def test_every_set_is_read_in_its_own_form_and_a_question_once(name, tmp_path):
  row = ROWS[name]
  found = read_questions(written(tmp_path, name, row, row), name)
  (one,) = found
  assert one.turns[0] == 'Who?' and one.category
  assert one.turns == tuple(row.get('turns', ['Who?']))


def test_what_is_no_question_is_one_line(tmp_path):
  with pytest.raises(ValueError, match="no questions 'odd': wanted one of mt_"):
    read_questions(tmp_path, 'odd')
  with pytest.raises(DataError, match='question.jsonl.gz is missing'):
    read_questions(tmp_path, 'mt_bench')
  folder = written(tmp_path, 'mt_bench', {'turns': [' '], 'category': 'x'})
  with pytest.raises(DataError, match=':1: wanted a question'):
    read_questions(folder, 'mt_bench')
  assert Question(('a',)).category == ''


@pytest.mark.parametrize('name', list(SETS))
def test_the_sets_at_hand_have_so_many_questions(name):
  if not (data_folder() / SETS[name][0]).parent.is_dir():
    pytest.skip(f'no {name} at {data_folder()}; set RLHF_JAX_DATA')
  found = read_questions(data_folder(), name)
  assert len(found) == COUNTS[name]
  assert {len(x.turns) for x in found} == {2 if name == 'mt_bench' else 1}
