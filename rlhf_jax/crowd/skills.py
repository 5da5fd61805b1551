"""Specialised skills beside a world's own requests (Bai et al. 2022, 5.2).

A world whose `skill_share` is above 0 asks for them now and then: prompts,
replies by authors and the gold score are then those of the skill. Its own
requests, and worlds without skills, are what they were.
"""

import functools
from types import ModuleType
from typing import NamedTuple

from rlhf_jax.crowd import oneliners, summaries
from rlhf_jax.crowd.draw import pick
from rlhf_jax.crowd.gold import Gold
from rlhf_jax.text.dialogue import ASSISTANT, HUMAN

SKILLS = {skill.NAME: skill for skill in (summaries, oneliners)}
# P(a part of a reply is right) of authors of quality 0 and 1, and of experts.
RIGHT_LOW, RIGHT_HIGH, RIGHT_HUMAN = 0.6, 1.0, 0.99


class Task(NamedTuple):
  """A request for a skill.

  Attributes:
    family: name of the skill.
    kind: 'helpful'.
    skill: its module.
    asked: what it reads in the prompt.
  """

  family: str
  kind: str
  skill: ModuleType
  asked: NamedTuple


def recognise(prompt) -> Task | None:
  """The skill that a prompt of one human turn asks for, or None."""
  asked = prompt.removeprefix(f'{HUMAN} ').removesuffix(ASSISTANT)
  for name, skill in SKILLS.items():
    found = skill.read(asked)
    if found is not None:
      return Task(name, 'helpful', skill, found)
  return None


def sample_prompt(world, rng, family=None):
  """A prompt of a skill; `family` names it, None: one of the world's."""
  family = family or pick(rng, world.config.skill_families)
  return SKILLS[family].sample_prompt(rng)


def write_reply(rng, task, quality):
  """A reply by an author of a quality in [0, 1]."""
  right = RIGHT_LOW + (RIGHT_HIGH - RIGHT_LOW) * quality
  return task.skill.write(rng, task.asked, right)


@functools.cache
def with_skills(rules):
  """The rules of a world that asks for skills besides.

  Args:
    rules: `worlds.Rules` of the world without them.
  """

  def draws(world, rng, kind=None, family=None):
    if family in SKILLS:
      return sample_prompt(world, rng, family)
    share = world.config.skill_share * (kind != 'harmful' and family is None)
    if share and rng.random() < share:
      return sample_prompt(world, rng)
    return rules.sample_prompt(world, rng, kind, family)

  def writes(world, rng, prompt, quality):
    task = recognise(prompt.text)
    if task:
      return write_reply(rng, task, quality)
    return rules.write_reply(world, rng, prompt, quality)

  def expert(world, rng, prompt):
    task = recognise(prompt.text)
    if task:
      return task.skill.write(rng, task.asked, RIGHT_HUMAN)
    return rules.human_reply(world, rng, prompt)

  def dialogue(world, rng):
    if rng.random() >= world.config.skill_share:
      return rules.dialogue(world, rng)
    prompt = sample_prompt(world, rng)
    return prompt.text + writes(world, rng, prompt, rng.random())

  def judge(world, prompt, reply):
    task = recognise(prompt)
    if task:
      return Gold(task.skill.score(task.asked, reply), 0.0)
    return rules.judge(world, prompt, reply)

  return rules._replace(
    sample_prompt=draws,
    write_reply=writes,
    human_reply=expert,
    dialogue=dialogue,
    judge=judge,
    recognise=lambda world, prompt: (
      recognise(prompt) or rules.recognise(world, prompt)
    ),
    helpful_families=(*rules.helpful_families, *SKILLS),
  )
