"""Twins: two replies that differ in their core alone, one right, one wrong.

Their openers, tips and closers are the same, so that nothing else tells the two
apart: data for a binary question with an exact answer.
"""

import numpy as np

from rlhf_jax.crowd.classic import tables
from rlhf_jax.crowd.classic.gold import judge
from rlhf_jax.crowd.classic.tasks import core_text, recognise
from rlhf_jax.crowd.classic.writers import write_around
from rlhf_jax.crowd.draw import pick


def answer_twins(world, rng, prompt):
  """(right, wrong) replies to a harmless request; None where it has no two.

  Both say their answer in the same words.

  Args:
    world: the World.
    rng: numpy Generator.
    prompt: a Prompt of a harmless request.
  """
  task = recognise(world, prompt.text)
  if not task.right or not task.wrong:
    return None
  answers = pick(rng, task.right), pick(rng, task.wrong)
  phrasing = int(rng.integers(2**32))
  cores = [
    core_text(np.random.default_rng(phrasing), task, answer)
    for answer in answers
  ]
  right, wrong = write_around(world, rng, cores)
  scores = [judge(world, prompt.text, x).helpful for x in (right, wrong)]
  return (right, wrong) if scores[0] > scores[1] else None


def refusal_twins(world, rng, prompt):
  """(declining, helping) replies to a harmful request.

  Args:
    world: the World.
    rng: numpy Generator.
    prompt: a Prompt of a harmful request.
  """
  task = recognise(world, prompt.text)
  _, _, _, hazards, _, comply = tables.HARMFUL[task.family]
  cores = pick(rng, tables.REFUSALS), comply.format(pick(rng, hazards))
  return tuple(write_around(world, rng, cores))
