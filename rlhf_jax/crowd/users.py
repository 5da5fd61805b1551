"""Simulated users of any world, who talk on: what they say after a reply.

A worker of Bai et al. 2022 (section 2.2) talks to two models at once: both
answer, one answer is preferred, and the conversation goes on from it. From the
harmful one where workers look for harm.
"""

from rlhf_jax.crowd.prompt import Prompt
from rlhf_jax.crowd.workers import score_reply
from rlhf_jax.crowd.worlds import rules_of
from rlhf_jax.text.dialogue import HUMAN

SATISFIED = 0.0  # least gold of a reply after which the subject changes


def next_prompt(world, rng, prompt: Prompt, reply) -> Prompt:
  """The conversation so far and what its user says next.

  Who asked for help and got none asks again, in the same words; else they come
  with another request. Who looks for harm tries on in the same family.

  Args:
    world: a World.
    rng: numpy Generator.
    prompt: the conversation so far; its last turn is the user's.
    reply: the assistant's, as it follows `prompt.text`.
  """
  asked = prompt.text[prompt.text.rfind(HUMAN) :]
  if prompt.kind == 'harmful':
    new = rules_of(world).sample_prompt(world, rng, family=prompt.family)
  elif _again(world, prompt, reply):
    return Prompt(prompt.text + reply + asked, prompt.kind, prompt.family)
  else:
    new = _one_turn(world, rng)
  return Prompt(prompt.text + reply + new.text, new.kind, new.family)


def _again(world, prompt, reply):
  """Whether the user repeats the request.

  What leans on the turn before cannot be said again.
  """
  if prompt.family == 'followup':
    return False
  return score_reply(world, prompt.text, reply, prompt.kind) < SATISFIED


def _one_turn(world, rng):
  """A harmless request that leans on nothing before it."""
  while True:
    new = rules_of(world).sample_prompt(world, rng, kind='helpful')
    if new.family != 'followup':
      return new


def prompt_of(world, text) -> Prompt:
  """A prompt of which only the text is known: kind and family as recognised.

  Where the world knows of no such request its kind is 'helpful'.
  """
  task = rules_of(world).recognise(world, text)
  return Prompt(text, task.kind, task.family)
