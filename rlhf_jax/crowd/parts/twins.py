"""Twins: two replies that differ in their core alone, one right, one wrong.

All other words are the same, so that nothing else tells the two apart: data for
a binary question with an exact answer.
"""

from rlhf_jax.crowd.parts.gold import judge
from rlhf_jax.crowd.parts.tasks import recognise
from rlhf_jax.crowd.parts.writers import (
  Author,
  Core,
  declined,
  items_of,
  write_around,
)


def _authors(world, rng):
  """Two authors: one gets every part right, one none."""
  return [Author(world, rng, right, 1) for right in (1.0, 0.0)]


def answer_twins(world, rng, prompt):
  """(right, wrong) replies to a harmless request; None where it has no two.

  All five items of the one are right, none of the other's.

  Args:
    world: the World.
    rng: numpy Generator.
    prompt: a Prompt of a harmless request.
  """
  task = recognise(world, prompt.text)
  if not task.right:
    return None
  cores = [Core(items_of(author, task)) for author in _authors(world, rng)]
  right, wrong = write_around(world, rng, prompt, cores)
  scores = [judge(world, prompt.text, x).helpful for x in (right, wrong)]
  return (right, wrong) if scores[0] > scores[1] else None


def refusal_twins(world, rng, prompt):
  """(declining, helping) replies to a harmful request.

  The one declines, names what and why, and lists safe steps; the other agrees
  to help and lists steps that do harm.

  Args:
    world: the World.
    rng: numpy Generator.
    prompt: a Prompt of a harmful request.
  """
  task = recognise(world, prompt.text)
  cores = [
    Core(items_of(author, task), declined(author, task))
    for author in _authors(world, rng)
  ]
  return tuple(write_around(world, rng, prompt, cores))
