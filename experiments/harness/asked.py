"""What all models of a comparison are asked, and what a run depends on."""

from typing import NamedTuple

from experiments.harness import data, plan
from rlhf_jax import digests
from rlhf_jax.data import documents

FEW = 5
SIZES = ('max_prompt', 'max_answer', 'system_tokens')  # of HHH


class Asked(NamedTuple):
  """Questions and texts.

  Attributes:
    units: `plan.Unit`s of the harness.
    choices: HHH comparisons.
    held: documents that are held out.
  """

  units: list
  choices: list
  held: list

  @property
  def hhh_data(self):
    """Digest of the comparisons."""
    return _digest(repr(tuple(choice)) for choice in self.choices)

  @property
  def loss_data(self):
    """Digest of the documents."""
    return _digest(documents.digest_of(item.text) for item in self.held)


def _digest(words):
  return digests.of_bytes('\0'.join(words).encode())[:12]


def units_of(config):
  """(units in their order, sentences that say which are left out).

  Args:
    config: tasks, letters, few_shot, template.

  Raises:
    ValueError: naming what there is, for a name that there is not.
  """
  units, left_out = {}, []
  for tasks, form, shots in (
    (config['tasks'] or plan.all_tasks(), 'cloze', 0),
    (config['letters'], 'letters', 0),
    (config['few_shot'], 'cloze', FEW),
  ):
    if tasks:
      own = plan.units_of(tasks, [form], [shots], config['template'])
      units |= dict.fromkeys(own[0])
      left_out += own[1]
  return list(units), left_out


def config_of(block, model, first, asked, config):
  """The config of a run: all that its numbers depend on.

  Args:
    block: 'tasks', 'hhh' or 'loss'.
    model: `listed.Model`.
    first: that it is held against.
    asked: Asked.
    config: of the stage.
  """
  own = {'block': block, 'model': model.name, 'revision': model.revision}
  own |= model.computes | {'system': model.system or ''}
  own |= {'before': first.name, 'before_revision': first.revision}
  if block == 'loss':
    return own | {'data': asked.loss_data}
  if block == 'hhh':
    return own | {'data': asked.hhh_data} | {x: config[x] for x in SIZES}
  folder = config['data']['path']
  own['data'] = {x.task: data.revision(folder, x.task) for x in asked.units}
  own['units'] = [unit.name for unit in asked.units]
  return own | {'items': config['items'], 'tasks': plan.tasks_revision()}
