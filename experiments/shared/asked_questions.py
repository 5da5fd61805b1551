"""Questions that evaluations put to models: of a file, or held out by a run."""

from typing import NamedTuple

from experiments.shared import people, sources
from experiments.shared.files import read_json
from rlhf_jax.data import questions
from rlhf_jax.data.harm import read_safety_prompts
from rlhf_jax.data.questions import Question
from rlhf_jax.train import about

HARMFUL = 'safety_prompts'


class Asked(NamedTuple):
  """Questions, and the world that knows the worth of a reply.

  Attributes:
    questions: list of Question.
    world: of gold scores; None where there is none.
  """

  questions: list
  world: object

  def gold(self, prompt, reply) -> float:
    """Gold score of a reply to a question of one turn."""
    kinds = {x.turns[0]: x.category for x in self.questions}
    one = [prompt], [kinds[prompt]], [reply]
    return float(sources.gold_scores(self.world, *one)[0])


def read(name, folder, limit=0) -> Asked:
  """The questions of a set, or those that a run has held out.

  Args:
    name: of SETS of `data.questions`, 'safety_prompts' (the harmful ones), or
      the folder of a run of make_comparisons or train_pm.
    folder: of the data.
    limit: the first so many; 0: all.

  Raises:
    ValueError, OSError, RunError: saying what is missing or wrong.
  """
  world = None
  if name == HARMFUL:
    found = [
      Question((row.prompt,), row.source)
      for row in read_safety_prompts(folder)
      if row.label == 'harmful'
    ]
  elif about.is_run(name):
    found, world = _held_out(name)
  else:
    found = questions.read_questions(folder, name)
  found = list(dict.fromkeys(found))
  return Asked(found[: limit or None], world)


def _held_out(path):
  """(questions, world) of the prompts that a run has held out."""
  run = about.read(path)
  folder = run.config.get('comparisons_dir', '')
  if run.about.holds == 'comparisons' or folder:
    folder = folder or path
    found = read_json(f'{folder}/prompts.json')['test']
    config = about.read(folder).config
  else:
    config, reading = run.config, run.config['reading']
    read = people.read_people(
      config['data'],
      f'{config["feature_folder"]}/tfds',
      reading['test_fraction'],
      (reading['train_pairs'], reading['test_pairs']),
      reading['held_out'],
    )
    found = sources.prompts_of(read.test)
  asked = [Question((text,), kind) for text, kind in found]
  world = None
  if config['data']['source'] == 'simulated':
    world = sources.world_of(config['world'])
  return asked, world
