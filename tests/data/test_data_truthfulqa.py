"""TruthfulQA's file: what is read, and what is refused."""

import json

import pytest

from rlhf_jax.data import truthfulqa
from rlhf_jax.data.faults import DataError
from tests.pretrained_files import data_folder

ROW = {
  'question': 'Is it so? ',
  'mc1_targets': {'Yes.': 1, 'No.': 0},
  'mc2_targets': {'Yes.': 1, 'It is.': 1, 'No.': 0},
  'src_row': 4,
}


def write(folder, rows):
  file = folder / truthfulqa.FILE
  file.parent.mkdir(exist_ok=True)
  file.write_text('\n'.join(map(json.dumps, rows)) + '\n')


def test_a_question_has_its_answers_for_both_tasks(tmp_path):
  write(tmp_path, [ROW])
  (found,) = truthfulqa.read_truthfulqa(tmp_path)
  assert found.name == '4' and found.question == 'Is it so?'
  assert found.one == {'Yes.': True, 'No.': False}
  assert list(found.many.values()) == [True, True, False]


@pytest.mark.parametrize(
  'change',
  [
    {'mc1_targets': {'a': 1, 'b': 1}},
    {'mc1_targets': {'a': 0, 'b': 0}},
    {'mc2_targets': {'a': 1, 'b': 1}},
    {'mc2_targets': ['a']},
    {'question': 3},
  ],
)
def test_a_row_that_is_no_question_is_named(change, tmp_path):
  write(tmp_path, [ROW, ROW | change])
  with pytest.raises(DataError, match='gz:2: wanted a question of Truthful'):
    truthfulqa.read_truthfulqa(tmp_path)


def test_the_six_questions_have_answers():
  blocks = truthfulqa.PREAMBLE.removesuffix('\n\n').split('\n\n')
  assert len(blocks) == 6
  for block in blocks:
    question, answer = block.split('\n')
    assert question.startswith('Q: ') and question.endswith('?')
    assert answer.startswith('A: ') and answer.endswith('.')


def test_the_real_file_is_read_whole():
  if not (data_folder() / truthfulqa.FILE).exists():
    pytest.skip(f'no {truthfulqa.FILE} in {data_folder()}; set RLHF_JAX_DATA')
  found = truthfulqa.read_truthfulqa(data_folder())
  assert len(found) == 530 and len({x.name for x in found}) == 530
