"""Readers of the evaluation sets, on made-up files and on the real ones."""

import harness_files
import pytest

from experiments.harness import data, plan
from rlhf_jax.data.faults import DataError
from tests.pretrained_files import data_folder

COUNTS = {
  'piqa': 1247,
  'hellaswag': 5000,
  'arc_easy': 401,
  'arc_challenge': 189,
  'openbookqa': 320,
  'winogrande': 843,
  'lambada': 3434,
  'triviaqa': 1992,
  'truthfulqa_mc1': 530,
  'truthfulqa_mc2': 530,
  'mmlu': 9369,
  'bbq': 4500,
}


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  return harness_files.write_sets(tmp_path_factory.mktemp('sets'))


def first(folder, name):
  return data.read(str(folder), name)[0]


def test_every_set_has_a_reader_files_and_a_task_file():
  assert set(data.FILES) == set(data.PARSERS) == set(plan.all_tasks())
  for task in plan.all_tasks():
    for form in plan.forms_of(task):
      text = plan.Unit(task, form, 0, 'plain').file.read_text()
      assert f'task: {task}.{form}\n' in text
      assert f'  name: {task}\n' in text


@pytest.mark.parametrize('name', list(data.FILES))
def test_made_up_files_are_read(folder, name):
  docs = data.read(str(folder), name)
  assert len(docs) == len(harness_files.SETS[data.FILES[name]['test'][:-9]])
  assert len({doc['item'] for doc in docs}) == len(docs)


@pytest.mark.parametrize('name', list(data.FILES))
def test_the_real_files_are_read(name):
  if not data_folder().is_dir():
    pytest.skip(f'no data at {data_folder()}; set RLHF_JAX_DATA')
  docs = data.read(str(data_folder()), name)
  assert len(docs) == COUNTS[name]
  assert len({doc['item'] for doc in docs}) == len(docs)


def test_a_limit_takes_the_first_questions_and_of_categories_as_many_of_each():
  docs = [{'category': x} for x in 'aaaabbbc']
  assert data.first(docs, None) == list(range(8))
  assert data.first(docs, 4) == [0, 1, 4, 5, 7]  # two of each, rounded up
  assert data.first(docs, 100) == list(range(8))
  plain = [{'item': str(i)} for i in range(5)]
  assert data.first(plain, 3) == [0, 1, 2]


def test_layout_of_wikihow_is_taken_out_of_hellaswag(folder):
  doc = first(folder, 'hellaswag')
  assert doc['question'] == 'Talking: The cat says hello. the dog'
  assert doc['choices'][1] == 'is. good.'
  assert doc['gold'] == 3


def test_a_sentence_of_winogrande_falls_into_two_halves(folder):
  doc = first(folder, 'winogrande')
  assert doc['contexts'] == [
    f'The cat saw the dog and {name}' for name in ('the cat', 'the dog')
  ]
  assert doc['rest'] == 'said hello.'
  assert doc['gold'] == 1


def test_all_wordings_of_unknown_are_right_where_it_is(folder):
  ambiguous, clear = data.read(str(folder), 'bbq')
  assert ambiguous['known'][:2] == ['The man', 'The boy']
  assert ambiguous['right'] == [0, 0] + [1] * 10
  assert clear['right'] == [0, 1] + [0] * 10


def test_subjects_of_mmlu_are_tasks_of_their_own(folder):
  assert data.subjects(str(folder), 'mmlu') == ['high school cats', 'dogs']
  assert data.subjects(str(folder), 'piqa') == [None]
  assert first(folder, 'mmlu')['question'] == 'Which 0?'


def test_a_shuffled_question_keeps_its_answer_and_its_order():
  doc = {'item': '7', 'choices': list('abcdefgh'), 'gold': 0}
  once, again = data.shuffled(doc), data.shuffled(doc)
  assert once == again
  assert sorted(once['choices']) == doc['choices']
  assert once['choices'][once['gold']] == 'a'


def test_shuffled_answers_are_first_as_often_as_chance_has_it():
  """1,000 questions of 4: sd of the share is sqrt(3 / 16 / 1000) = .014."""
  docs = [
    {'item': str(n), 'choices': ['a', 'b', 'c', 'd'], 'gold': 0}
    for n in range(1000)
  ]
  share = sum(data.shuffled(doc)['gold'] == 0 for doc in docs) / 1000
  assert abs(share - 0.25) < 4 * 0.014


@pytest.mark.parametrize(
  ('name', 'file', 'row', 'said'),
  [
    ('piqa', 'piqa/validation', {'goal': 'x'}, "KeyError: 'sol1'"),
    (
      'piqa',
      'piqa/validation',
      harness_files.SETS['piqa/validation'][0] | {'label': 2},
      'answer 2 of 2 choices',
    ),
    (
      'arc_easy',
      'arc_easy/validation',
      harness_files.SETS['arc_easy/validation'][0] | {'answerKey': 'E'},
      'ValueError',
    ),
    (
      'truthfulqa_mc1',
      'truthfulqa/mc_task',
      {'question': 'x', 'mc1_targets': {'a': 1, 'b': 1}},
      '2 true answers',
    ),
  ],
)
def test_a_row_of_another_kind_names_file_and_line(
  tmp_path, name, file, row, said
):
  path = harness_files.write_set(tmp_path, file, [row])
  with pytest.raises(DataError) as error:
    data.read(str(tmp_path), name)
  assert str(error.value).startswith(f'{path}:1: wanted a question of {name}')
  assert said in str(error.value)


def test_a_missing_file_says_where_to_put_it(tmp_path):
  with pytest.raises(DataError, match='piqa/validation.jsonl.gz is missing'):
    data.read(str(tmp_path), 'piqa')


def test_a_revision_tells_one_file_from_another(folder, tmp_path):
  other = harness_files.write_sets(tmp_path)
  assert data.revision(other, 'piqa') == data.revision(folder, 'piqa')
  rows = harness_files.SETS['piqa/validation'][:2]
  harness_files.write_set(tmp_path, 'piqa/validation', rows)
  assert data.revision(other, 'piqa') != data.revision(folder, 'piqa')
  assert len(data.revision(other, 'piqa')) == 12
