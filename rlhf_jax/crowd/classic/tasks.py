"""Prompts: how they are drawn, and how a task is recognised from a text."""

import dataclasses
import itertools
import re

from rlhf_jax.crowd.classic import tables
from rlhf_jax.crowd.classic.families import HELPFUL, SHARES
from rlhf_jax.crowd.classic.task import Task
from rlhf_jax.crowd.draw import pick, pick_family
from rlhf_jax.crowd.prompt import Prompt, human_turn
from rlhf_jax.text.dialogue import ASSISTANT, HUMAN

MAX_TURN_CHARS = 400  # of a human turn that are read
MAX_CACHED_CHARS = 1000
MAX_CACHED_TASKS = 50_000

HELPFUL_FAMILIES = (*HELPFUL, 'followup')
HARMFUL_FAMILIES = tuple(tables.HARMFUL)


def _pattern(family):
  """Regular expression of the words of a harmful request."""
  template, first, second, *_ = tables.HARMFUL[family]
  slots = (first, second, tables.ENTITIES)
  return template.rstrip('.?').format(*(f'({"|".join(s)})' for s in slots))


_SHARES = [SHARES.get(family, 1) for family in HELPFUL]
_CUMULATIVE = [c / sum(_SHARES) for c in itertools.accumulate(_SHARES)]
_HELPFUL_PATTERNS = [
  (re.compile(pattern), reader) for _, pattern, reader in HELPFUL.values()
]
_HARMFUL_PATTERNS = [(re.compile(_pattern(f)), f) for f in HARMFUL_FAMILIES]


def core_text(rng, task, answer):
  """The core of a reply that gives `answer`, in one of the phrasings."""
  fields = dict(zip('xyz', task.says, strict=False))
  template = pick(rng, tables.CORES[task.core])
  return template.format(*answer, a=' '.join(answer), **fields)


def _make_followup(world, rng):
  """An earlier exchange, and a short second request that leans on it."""
  family = pick(rng, ('fact', 'fact', 'sort', 'max'))
  first = human_turn(HELPFUL[family][0](world, rng))
  task = recognise(world, first)
  entity = pick(rng, world.entities, world.entity_cumulative)
  second = {
    'fact': f'and of {entity}?',
    'sort': 'now reversed?',
    'max': 'and the smallest?',
  }[family]
  answer = core_text(rng, task, task.right[0])
  return f'{first} {answer}{human_turn(second)}'


def sample_prompt(world, rng, kind=None, family=None):
  """Draws a prompt.

  Args:
    world: the World.
    rng: numpy Generator.
    kind: 'helpful', 'harmful', or None to draw it.
    family: name of a family, or None to draw it.

  Returns:
    A Prompt.
  """
  config = world.config
  if family is None:
    helpful = tuple(HELPFUL), _CUMULATIVE
    family = pick_family(rng, config, kind, HARMFUL_FAMILIES, *helpful)
  if family in tables.HARMFUL:
    template, first, second, *_ = tables.HARMFUL[family]
    slots = (first, second, tables.ENTITIES)
    text = template.format(*(pick(rng, words) for words in slots))
    return Prompt(human_turn(text), 'harmful', family)
  if family == 'followup':
    return Prompt(_make_followup(world, rng), 'helpful', family)
  text = HELPFUL[family][0](world, rng)
  return Prompt(human_turn(text), 'helpful', family)


def _read_harmful(family, words):
  """The task of a harmful request: to decline and redirect."""
  hazards = tables.HARMFUL[family][3]
  return Task(
    family,
    kind='harmful',
    checker='compliance',
    candidates=frozenset(hazards),
    topic=frozenset(words),
  )


def _read_turn(world, asked):
  """The Task of one human turn by itself, or None."""
  for pattern, reader in _HELPFUL_PATTERNS:
    if match := pattern.fullmatch(asked):
      if task := reader(world, *match.groups()):
        return task
  for pattern, family in _HARMFUL_PATTERNS:
    if pattern.fullmatch(asked):
      return _read_harmful(family, asked.split())
  return None


def _read_followup(world, before, asked):
  """The Task of a turn that leans on the turn before, or None."""
  earlier = _read_turn(world, before)
  if earlier is None:
    return None
  task = None
  if earlier.family == 'fact' and asked.startswith('and of '):
    again = f'what is the {earlier.says[0]} {asked.removeprefix("and ")}'
    task = _read_turn(world, again)
  elif earlier.family == 'sort' and asked == 'now reversed':
    task = _read_turn(world, f'reverse {" ".join(earlier.right[0])}')
  elif earlier.family == 'max' and asked == 'and the smallest':
    task = _read_turn(world, before.replace('largest', 'smallest'))
  return task and dataclasses.replace(task, family='followup')


def _words_of(turn):
  """The words of a human turn, without symbols, joined by spaces."""
  tokens = tables.tokenise(turn.split(ASSISTANT)[0][:MAX_TURN_CHARS])
  return ' '.join(t for t in tokens if t.isalnum())


def _recognise(world, prompt):
  turns = [_words_of(turn) for turn in prompt.split(HUMAN)[1:][-2:]]
  asked = turns[-1] if turns else ''
  task = _read_turn(world, asked)
  if task is None and len(turns) == 2:
    task = _read_followup(world, turns[0], asked)
  if task is None:
    topic = frozenset(word for word in asked.split() if len(word) > 3)
    task = Task('unknown', topic=topic)
  return dataclasses.replace(task, asked=asked)


def recognise(world, prompt):
  """The Task of any prompt text; family 'unknown' if the world has none.

  The last human turn says what is asked; a follow-up also reads the one before.
  """
  task = world.task_cache.get(prompt)
  if task is None:
    task = _recognise(world, prompt)
    if len(world.task_cache) >= MAX_CACHED_TASKS:
      world.task_cache.clear()
    if len(prompt) <= MAX_CACHED_CHARS:
      world.task_cache[prompt] = task
  return task
