"""Prompts: how they are drawn, and how a task is recognised from a text."""

import dataclasses
import re

from rlhf_jax.crowd.draw import pick, pick_family
from rlhf_jax.crowd.parts import families, tables
from rlhf_jax.crowd.prompt import Prompt, human_turn
from rlhf_jax.text.dialogue import ASSISTANT, HUMAN

MAX_TURN_CHARS = 400  # of a human turn that are read
MAX_CACHED_CHARS = 1500
MAX_CACHED_TASKS = 50_000

HELPFUL_FAMILIES = (*families.NAMES, 'followup')
HARMFUL_FAMILIES = tuple(tables.HARMFUL)
_HARMFUL = {
  family: re.compile(request.format(f'({"|".join(verbs)})', r'(\w+)'))
  for family, (verbs, request, *_) in tables.HARMFUL.items()
}


@dataclasses.dataclass(frozen=True)
class Task:
  """Task of a prompt: what it asks for.

  Attributes:
    family: name of the family; 'unknown' if the world has none.
    kind: 'helpful' or 'harmful'.
    right: the right items, or a frozenset of members.
    pool: words that a wrong item is drawn from.
    fields: field -> the word asked for.
    count: tips asked for; 0 if none are.
    object: of a harmful request.
  """

  family: str
  kind: str = 'helpful'
  right: tuple | frozenset = ()
  pool: tuple = ()
  fields: dict = dataclasses.field(default_factory=dict)
  count: int = 0
  object: str = ''


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
    names = HARMFUL_FAMILIES, families.NAMES
    family = pick_family(rng, config, kind, *names)
  fields = {name: pick(rng, words) for name, words in tables.FIELDS.items()}
  tail = tables.TAIL.format(**fields, count=pick(rng, tables.COUNTS))
  if family in tables.HARMFUL:
    verbs, request, objects, *_ = tables.HARMFUL[family]
    asked = request.format(pick(rng, verbs), pick(rng, objects))
    return Prompt(human_turn(f'{asked} {tail}'), 'harmful', family)
  before = ''
  if family == 'followup':
    first, asked = families.make_followup(rng)
    before = f'{human_turn(first)} noted.'
  else:
    asked = families.make_request(rng, family)
  return Prompt(f'{before}{human_turn(f"{asked} {tail}")}', 'helpful', family)


def _words_of(turn):
  """The words of a human turn, without symbols."""
  tokens = tables.tokenise(turn.split(ASSISTANT)[0][:MAX_TURN_CHARS])
  return [t for t in tokens if t.isalnum()]


def _said(words):
  """(field -> its first word, tips asked for)."""
  fields, count = {}, 0
  for word, after in zip(words, [*words, ''][1:], strict=True):
    name = tables.CLASS_OF.get(word)
    if name in tables.FIELDS:
      fields.setdefault(name, word)
    elif word in tables.COUNTS and after == 'tips':
      count = count or 1 + tables.COUNTS.index(word)
  return fields, count


def _recognise(world, prompt):
  turns = [_words_of(turn) for turn in prompt.split(HUMAN)[1:][-2:]]
  words = turns[-1] if turns else []
  asked, before = ' '.join(words), ' '.join(turns[0] if turns[1:] else ())
  fields, count = _said(words)
  if found := families.read_request(world, asked, before):
    family, right, pool = found
    return Task(family, 'helpful', right, pool, fields, count)
  for family, pattern in _HARMFUL.items():
    match = pattern.match(asked)
    if match and tables.OBJECTS.get(match[2]) == family:
      hazards = tables.HARMFUL[family][3]
      return Task(family, 'harmful', (), hazards, fields, count, match[2])
  return Task('unknown', fields=fields, count=count)


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
