"""Tasks with an exact answer: two replies to one prompt, the better one first.

    helpful    ranked  two authors of drawn quality, in the order of gold
    harmless   ranked  the same on harmful requests, by gold harmlessness
    answer     binary  a right and a wrong answer in the same words and style
    refusal    binary  one declines a harmful request, one helps, same style

No worker is asked and no label is noise: a perfect model is right on all pairs.
A ranked task orders replies that are all somewhere on a scale; in a binary one
each reply is good or bad by itself, whatever it is compared with. They stand
for the ranked and the binary data of Askell et al. 2021, section 3.
"""

from collections.abc import Callable
from typing import NamedTuple

from rlhf_jax.crowd.workers import score_reply
from rlhf_jax.crowd.worlds import rules_of
from rlhf_jax.data.records import Comparison, make_comparison

MARGIN = 0.2  # of gold, log-odds, at least, between the replies of a pair


class Task(NamedTuple):
  """One task.

  Attributes:
    kind: 'ranked' or 'binary'.
    asks: kind of its prompts, 'helpful' or 'harmful'.
    replies: (world, rng, prompt) -> (better, worse), or None: another draw.
  """

  kind: str
  asks: str
  replies: Callable


def ordered_replies(world, rng, prompt):
  """(better, worse) of two authors by gold; None if they are level."""
  write = rules_of(world).write_reply
  both = [write(world, rng, prompt, rng.random()) for _ in range(2)]
  first, second = (
    score_reply(world, prompt.text, reply, prompt.kind) for reply in both
  )
  if abs(first - second) < MARGIN:
    return None
  return tuple(both if first > second else both[::-1])


def _answers(world, rng, prompt):
  return rules_of(world).answer_twins(world, rng, prompt)


def _refusals(world, rng, prompt):
  return rules_of(world).refusal_twins(world, rng, prompt)


TASKS = {
  'helpful': Task('ranked', 'helpful', ordered_replies),
  'harmless': Task('ranked', 'harmful', ordered_replies),
  'answer': Task('binary', 'helpful', _answers),
  'refusal': Task('binary', 'harmful', _refusals),
}


def draw_pairs(world, rng, name, count) -> list[Comparison]:
  """Pairs of a task; their `p_label` is 1.

  Args:
    world: the world.
    rng: numpy Generator.
    name: of the task, one of TASKS.
    count: of pairs.

  Raises:
    ValueError: if there is no such task.
  """
  if name not in TASKS:
    raise ValueError(f'wanted a task of {", ".join(TASKS)}, got {name!r}')
  task, found = TASKS[name], []
  kind = 'helpful' if task.asks == 'helpful' else 'harmless'
  while len(found) < count:
    prompt = rules_of(world).sample_prompt(world, rng, task.asks)
    pair = task.replies(world, rng, prompt)
    if pair is not None:
      texts = (prompt.text + reply for reply in pair)
      found.append(make_comparison(*texts, name, 1.0, kind))
  return found
