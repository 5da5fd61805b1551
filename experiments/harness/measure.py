"""A unit measured by the harness. It needs the extra `eval`."""

import lm_eval
from lm_eval.api.task import ConfigurableTask
from lm_eval.evaluator import evaluate
from lm_eval.tasks._yaml_loader import load_yaml

from experiments.harness import data

SEED = 1234  # of the choice of examples, the harness's own default


def tasks_of(unit, folder):
  """{name: task of the harness} of a unit, one for each subject.

  Args:
    unit: `plan.Unit`.
    folder: of the evaluation sets.
  """
  found = {}
  for subject in data.subjects(str(folder), unit.task):
    config = load_yaml(unit.file)
    config['metadata'] = config['metadata'] | {'data': str(folder)}
    if subject is not None:
      config['task'] += f'.{subject.replace(" ", "_")}'
      config['dataset_kwargs'] = config['dataset_kwargs'] | {'subject': subject}
    task = ConfigurableTask(config=config)
    task.set_config('num_fewshot', unit.shots)
    task.set_fewshot_seed(SEED)
    found[task.config.task] = task
  return found


def numbers_of(tasks, limit):
  """{name: numbers of the questions that a limit takes}.

  Args:
    tasks: of `tasks_of`.
    limit: the first so many questions, of a set with subjects or categories as
      many of each as make up that number, rounded up. None: all.
  """
  each = None if limit is None else -(-limit // len(tasks))
  return {
    name: data.first(task.eval_docs, each) for name, task in tasks.items()
  }


def samples_of(unit, model, folder, limit, system=None):
  """What the harness logs of every question of a unit.

  Args:
    unit: `plan.Unit`.
    model: `adapter.HarnessLM`, or any other model of the harness.
    folder: of the evaluation sets.
    limit: of `numbers_of`.
    system: system prompt; without a chat template it opens the text. None:
      there is none.
  """
  tasks = tasks_of(unit, folder)
  return answered(unit, model, tasks, numbers_of(tasks, limit), system)


def answered(unit, model, tasks, numbers, system=None):
  """What the harness logs of some questions of a unit.

  Args:
    unit: `plan.Unit`.
    model: as of `samples_of`.
    tasks: of `tasks_of`, or some of them.
    numbers: {name of each: numbers of its questions, one or more}.
    system: as of `samples_of`.
  """
  if system and unit.template == 'plain':
    system = f'{system}\n\n'  # the harness puts nothing between them
  found = evaluate(
    lm=model,
    task_dict={'tasks': tasks, 'groups': {}, 'group_map': {}},
    samples=numbers,
    bootstrap_iters=0,
    log_samples=True,
    system_instruction=system,
    apply_chat_template=unit.template == 'chat',
    fewshot_as_multiturn=unit.template == 'chat',
  )
  return [sample for name in tasks for sample in found['samples'][name]]


def version():
  """Name and version of the harness."""
  return f'lm_eval {lm_eval.__version__}'
