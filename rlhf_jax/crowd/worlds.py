"""The worlds by name, and what each of them can do.

A world is its settings and what is drawn from their seed; its rules are
functions of it. Whoever is handed a world asks `rules_of` for them.
"""

from collections.abc import Callable
from typing import NamedTuple

from rlhf_jax.crowd.classic import gold as classic_gold
from rlhf_jax.crowd.classic import pages as classic_pages
from rlhf_jax.crowd.classic import tables as classic_tables
from rlhf_jax.crowd.classic import tasks as classic_tasks
from rlhf_jax.crowd.classic import twins as classic_twins
from rlhf_jax.crowd.classic import world as classic_world
from rlhf_jax.crowd.classic import writers as classic_writers
from rlhf_jax.crowd.parts import gold as parts_gold
from rlhf_jax.crowd.parts import pages as parts_pages
from rlhf_jax.crowd.parts import tables as parts_tables
from rlhf_jax.crowd.parts import tasks as parts_tasks
from rlhf_jax.crowd.parts import twins as parts_twins
from rlhf_jax.crowd.parts import world as parts_world
from rlhf_jax.crowd.parts import writers as parts_writers
from rlhf_jax.crowd.people import LINKS
from rlhf_jax.crowd.skills import SKILLS, with_skills


class Rules(NamedTuple):
  """Functions and names of a world.

  Attributes:
    config: class of its settings, a frozen dataclass.
    world: class of the world: (config) -> world.
    sample_prompt: (world, rng, kind=None, family=None) -> Prompt.
    write_reply: (world, rng, prompt, quality) -> reply with a leading space.
    human_reply: (world, rng, prompt) -> reply by an expert.
    dialogue: (world, rng) -> transcript by an author of drawn quality.
    plain_text: (world, rng) -> sentences that are no dialogue.
    judge: (world, prompt, reply) -> Gold, of any two strings.
    recognise: (world, prompt) -> task, which names its family.
    helpful_families: names of the families of harmless requests.
    harmful_families: names of the others.
    refusal_words: of which a reply that declines has one.
    page: (world, rng, count) -> transcripts by one author.
    hhh_prompt: transcripts of good dialogues that are put before a prompt.
    answer_twins: (world, rng, prompt) -> (right, wrong) replies, or None.
    refusal_twins: (world, rng, prompt) -> (declining, helping) replies.
  """

  config: type
  world: type
  sample_prompt: Callable
  write_reply: Callable
  human_reply: Callable
  dialogue: Callable
  plain_text: Callable
  judge: Callable
  recognise: Callable
  helpful_families: tuple
  harmful_families: tuple
  refusal_words: frozenset
  page: Callable
  hhh_prompt: tuple
  answer_twins: Callable
  refusal_twins: Callable


def _rules(world, tasks, writers, gold, tables, pages, twins):
  return Rules(
    world.WorldConfig,
    world.World,
    tasks.sample_prompt,
    writers.write_reply,
    writers.human_reply,
    writers.dialogue,
    writers.plain_text,
    gold.judge,
    tasks.recognise,
    tasks.HELPFUL_FAMILIES,
    tasks.HARMFUL_FAMILIES,
    tables.REFUSAL_WORDS,
    pages.page,
    pages.HHH_PROMPT,
    twins.answer_twins,
    twins.refusal_twins,
  )


_OF_CLASSIC = (
  *(classic_world, classic_tasks, classic_writers),
  *(classic_gold, classic_tables, classic_pages, classic_twins),
)
_OF_PARTS = (
  *(parts_world, parts_tasks, parts_writers),
  *(parts_gold, parts_tables, parts_pages, parts_twins),
)
WORLDS = {'classic': _rules(*_OF_CLASSIC), 'parts': _rules(*_OF_PARTS)}


def rules_of(world) -> Rules:
  """The rules of a world; of one that asks for skills, with these."""
  rules = WORLDS[world.name]
  return with_skills(rules) if world.config.skill_share else rules


def make_world(name='classic', **settings):
  """A world of that name; `settings` are fields of its config.

  Raises:
    ValueError: if there is no such world, it has no such setting, or a setting
      has no such value.
  """
  if name not in WORLDS:
    raise ValueError(
      f'wanted a world.name of {", ".join(WORLDS)}, got {name!r}'
    )
  rules = WORLDS[name]
  unknown = set(settings) - set(rules.config.__dataclass_fields__)
  if unknown:
    raise ValueError(
      f'the world {name!r} has no setting {", ".join(sorted(unknown))}: wanted '
      f'some of {", ".join(rules.config.__dataclass_fields__)}'
    )
  config = rules.config(**settings)
  if config.link not in LINKS:
    raise ValueError(
      f'wanted a world.link of {", ".join(LINKS)}, got {config.link!r}'
    )
  others = [x for x in config.skill_families if x not in SKILLS]
  if others or not config.skill_families or not 0 <= config.skill_share <= 1:
    raise ValueError(
      'wanted a world.skill_share of 0 to 1 and world.skill_families of '
      f'{", ".join(SKILLS)}, got {config.skill_share} and '
      f'{", ".join(config.skill_families) or "none"}'
    )
  most = len(rules.harmful_families)
  if not 1 <= config.harmful_families <= most:
    raise ValueError(
      f'wanted world.harmful_families of 1 to {most}, got '
      f'{config.harmful_families}'
    )
  return rules.world(config)
