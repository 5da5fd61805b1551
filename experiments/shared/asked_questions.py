"""Questions that evaluations put to models: of a file, or held out by a run."""

from pathlib import Path
from typing import NamedTuple

from experiments.shared import people, rankings, sources
from experiments.shared.files import read_json
from rlhf_jax.data import questions
from rlhf_jax.data.faults import DataError
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
  sides = sides_of(path)
  asked = [Question((text,), kind) for text, kind in sides.test]
  world = None
  if sides.config['data']['source'] == 'simulated':
    world = sources.world_of(sides.config['world'])
  return asked, world


class Sides(NamedTuple):
  """Prompts of a run.

  Attributes:
    train: [(dialogue, kind)] of its training side.
    test: those of the side that it has held out.
    config: of the run that made them.
  """

  train: list
  test: list
  config: dict


def sides_of(path) -> Sides:
  """The Sides of a run of comparisons, or of a model that learned from some.

  Raises:
    OSError, DataError, RunError: saying what is missing or wrong.
  """
  run = about.read(path)
  holds, folder = run.about.holds, run.config.get('comparisons_dir', '')
  if holds == 'comparisons' or folder:
    folder = folder or path
    found = read_json(f'{folder}/prompts.json')
    return Sides(found['train'], found['test'], about.read(folder).config)
  return _released(path, run.config)


def _released(path, config):
  """The Sides of a run that read the pairs or rankings of `data.path`."""
  data, reading = config['data'], config['reading']
  if data['source'] == rankings.SOURCE:
    sides = rankings.split_records(data, reading)
    found = [[(x.prompt, x.kind) for x in own] for own in sides]
  else:
    sides = people.read_people(
      data,
      f'{config["feature_folder"]}/tfds',
      reading['test_fraction'],
      (reading['train_pairs'], reading['test_pairs']),
      reading['held_out'],
    )
    found = [sources.prompts_of(own) for own in sides[:2]]
  _require_same(path, data, len(sides[0]))
  return Sides(*found, config)


def _require_same(path, data, count):
  """Raises DataError if the run had read another number of training rows."""
  done = Path(path) / 'done.json'
  told = read_json(done).get('read') if done.exists() else None
  known = (told or {}).get('train', {}).get('read', count)
  if known != count:
    raise DataError(
      f'{data["path"]} is not what it was: {path} read {known} training rows, '
      f'now there are {count}'
    )
