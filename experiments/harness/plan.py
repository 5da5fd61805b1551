"""Tasks, forms and shots that are asked for, and where their results stand."""

import hashlib
from pathlib import Path
from typing import NamedTuple

TASKS = Path(__file__).parent / 'tasks'
FORMS = ('cloze', 'letters')
# Questions that have no form to choose: the last word, a written answer.
OWN_FORMS = ('lastword', 'written')
NO_SHOTS = ('lambada', 'truthfulqa_mc1', 'truthfulqa_mc2')
MOST_SHOTS = {'mmlu': 5}
TEMPLATES = ('plain', 'chat')
FEWSHOT = {'mmlu': 'dev split, the first of the subject'}
SAME_SPLIT = 'the scored split, without the question: the set has no other here'


class Unit(NamedTuple):
  """One measurement.

  Attributes:
    task: such as 'piqa'.
    form: 'cloze', 'letters', or the one that the task has.
    shots: examples before each question.
    template: 'plain', or 'chat': the model's chat template.
  """

  task: str
  form: str
  shots: int
  template: str

  @property
  def name(self) -> str:
    """Name that says all four."""
    return f'{self.task}.{self.form}.{self.shots}shot.{self.template}'

  @property
  def file(self) -> Path:
    """Its task file."""
    return TASKS / f'{self.task}.{self.form}.yaml'

  @property
  def examples(self) -> str:
    """Where its few-shot examples are from."""
    if self.shots == 0:
      return 'none'
    return FEWSHOT.get(self.task, SAME_SPLIT)


def forms_of(task):
  """Forms of a task for which there are files."""
  files = sorted(TASKS.glob(f'{task}.*.yaml'))
  return [file.name.split('.')[1] for file in files]


def all_tasks():
  """Names of the tasks that there are files for."""
  files = TASKS.glob('[a-z]*.yaml')
  return sorted({file.name.split('.')[0] for file in files})


def units_of(tasks, forms, shots, template):
  """(Units, sentences that say what was left out).

  Args:
    tasks: names.
    forms: some of FORMS.
    shots: numbers of examples.
    template: of TEMPLATES.

  Raises:
    ValueError: naming what there is, for a name that there is not.
  """
  for wanted, known, what in (
    (tasks, all_tasks(), '--tasks'),
    (forms, FORMS, '--forms'),
    ([template], TEMPLATES, '--template'),
  ):
    for name in wanted:
      if name not in known:
        raise ValueError(
          f'{what}: wanted some of {", ".join(known)}, got {name!r}'
        )
  if not shots or min(shots) < 0:
    raise ValueError(f'--shots: wanted numbers from 0 on, got {shots}')
  units, left_out = [], []
  for task in dict.fromkeys(tasks):
    there = [x for x in forms_of(task) if x in (*forms, *OWN_FORMS)]
    if not there:
      own = ', '.join(forms_of(task))
      left_out.append(f'{task} left out: it is asked as {own} alone')
    for count in dict.fromkeys(shots):
      most = 0 if task in NO_SHOTS else MOST_SHOTS.get(task, count)
      if count > most:
        left_out.append(
          f'{task} with {count} shots left out: {most} are the most it has'
        )
        continue
      units += [Unit(task, form, count, template) for form in there]
  return units, left_out


def tasks_revision():
  """Twelve hex digits of the SHA-256 of all task files."""
  digest = hashlib.sha256()
  for file in sorted(TASKS.glob('*.yaml')):
    digest.update(file.name.encode() + b'\0' + file.read_bytes())
  return digest.hexdigest()[:12]
