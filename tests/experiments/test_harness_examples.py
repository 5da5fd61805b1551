"""Where the examples before a question come from: never the question itself."""

import collections
import importlib.util
import re

import harness_files
import pytest

from experiments.harness import data, plan
from tests.pretrained_files import data_folder

UNITS = [
  plan.Unit(task, form, 1, 'plain')
  for task in plan.all_tasks()
  if task not in plan.NO_SHOTS
  for form in plan.forms_of(task)
]


@pytest.fixture(scope='module')
def sets(tmp_path_factory):
  return harness_files.write_sets(tmp_path_factory.mktemp('sets'))


def tasks_of(unit, folder):
  """The harness's tasks of a unit; skips where it is not installed."""
  if importlib.util.find_spec('lm_eval') is None:
    pytest.skip('lm_eval is not installed: pip install -e .[eval]')
  from experiments.harness import measure

  return measure.tasks_of(unit, str(folder))


def examples_of(task, doc, shots):
  """The examples that the harness puts before a question."""
  drawn, sample = [], task.sampler.sample

  def noted(*args, **kwargs):
    drawn.extend(sample(*args, **kwargs))
    return drawn

  task.sampler.sample = noted
  try:
    task.fewshot_context(doc, num_fewshot=shots)
  finally:
    task.sampler.sample = sample
  return drawn


def split_of(file):
  """The split that a task file, or the one it includes, names for examples."""
  text = file.read_text()
  found = re.search(r'^fewshot_split: (\w+)$', text, re.M)
  include = re.search(r'^include: (\S+)$', text, re.M)
  return found[1] if found else split_of(plan.TASKS / include[1])


@pytest.mark.parametrize('unit', UNITS, ids=lambda unit: unit.name)
def test_a_set_with_a_split_for_examples_takes_them_from_there(unit):
  """And the column `examples` of the results says which it is."""
  others = set(data.FILES[unit.task]) - {'test'}
  split = split_of(unit.file)
  assert {split} == (others or {'test'})
  assert unit.examples == (
    plan.SAME_SPLIT if split == 'test' else plan.FEWSHOT[unit.task]
  )


def test_no_set_at_hand_has_a_split_for_examples_that_is_left_unused():
  """MMLU's validation split stands beside its dev split, which is for that."""
  folder = data_folder()
  if not folder.is_dir():
    pytest.skip(f'no data at {folder}; set RLHF_JAX_DATA')
  unused = set()
  for files in data.FILES.values():
    used = {folder / file for file in files.values()}
    (place,) = {file.parent for file in used}
    for file in set(place.glob('*.jsonl.gz')) - used:
      if re.match('train|valid|dev|test', file.name):
        unused.add(file.relative_to(folder).as_posix())
  assert unused == {'mmlu/validation.jsonl.gz'}


@pytest.mark.parametrize('unit', UNITS, ids=lambda unit: unit.name)
def test_no_question_is_an_example_of_itself(unit, sets):
  """Of two questions in a set the example is always the other one."""
  for task in tasks_of(unit, sets).values():
    for doc in task.eval_docs:
      (example,) = examples_of(task, doc, 1)
      assert example != doc


@pytest.mark.parametrize('form', plan.FORMS)
def test_examples_of_mmlu_are_the_first_of_the_dev_split_of_its_subject(
  form, sets
):
  unit = plan.Unit('mmlu', form, 2, 'plain')
  dev = data.read(str(sets), 'mmlu', 'dev')
  tasks = tasks_of(unit, sets)
  assert len(tasks) == 2
  for subject, task in zip(
    data.subjects(str(sets), 'mmlu'), tasks.values(), strict=True
  ):
    wanted = [doc for doc in dev if doc['subject'] == subject]
    for doc in task.eval_docs:
      assert examples_of(task, doc, 2) == wanted


def test_no_example_of_the_real_mmlu_is_a_question_of_its_subject():
  """Three of the 285 are asked in another subject, so the files have them."""
  folder = data_folder()
  if not folder.is_dir():
    pytest.skip(f'no data at {folder}; set RLHF_JAX_DATA')
  words = lambda doc: (doc['question'], *doc['choices'])
  asked, examples = (
    data.read(str(folder), 'mmlu', split) for split in ('test', 'dev')
  )
  counts = collections.Counter(doc['subject'] for doc in examples)
  assert counts == dict.fromkeys(data.subjects(str(folder), 'mmlu'), 5)
  subjects = {}
  for doc in asked:
    subjects.setdefault(words(doc), set()).add(doc['subject'])
  both = [doc for doc in examples if words(doc) in subjects]
  assert len(both) == 3
  assert all(doc['subject'] not in subjects[words(doc)] for doc in both)
