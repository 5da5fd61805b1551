"""Texts, comparisons and judgements of the simulated worlds.

What people made is in `people`.
"""

import functools

import numpy as np

from rlhf_jax.crowd import workers
from rlhf_jax.crowd.worlds import make_world, rules_of
from rlhf_jax.data.records import TRANCHES
from rlhf_jax.text.dialogue import split_reply

# Kinds of pairs that a preference model is tested on.
SUBSETS = {'mix': (0, 1), 'helpful': (0,), 'harmless': (1,)}


def world_of(settings):
  """The world of a section `world`: name, and settings of it; cached."""
  plain = lambda value: tuple(value) if isinstance(value, list) else value
  return _world(tuple(sorted((k, plain(v)) for k, v in settings.items())))


@functools.cache
def _world(items):
  return make_world(**dict(items))


def simulated_texts(world, rng, dialogues, plain_texts):
  """Dialogues by authors of mixed quality, and plain text of the world."""
  rules = rules_of(world)
  texts = [rules.dialogue(world, rng) for _ in range(dialogues)]
  texts += [rules.plain_text(world, rng) for _ in range(plain_texts)]
  return texts


def sample_prompts(world, rng, count, kind=None):
  """Simulated prompts, as they are asked: popular ones come often.

  Args:
    world: a world.
    rng: numpy Generator.
    count: of prompts.
    kind: 'helpful', 'harmful', or None for both.
  """
  sample = rules_of(world).sample_prompt
  return [sample(world, rng, kind) for _ in range(count)]


def compare_replies(world, rng, prompts, replies):
  """Simulated workers compare two replies to each prompt.

  Args:
    world: the World.
    rng: numpy Generator.
    prompts: list of Prompt.
    replies: list of (first, second).
  """
  return [
    workers.compare(
      world,
      rng,
      prompt,
      first,
      second,
      source=TRANCHES['helpful' if prompt.kind == 'helpful' else 'harmless'],
    )
    for prompt, (first, second) in zip(prompts, replies, strict=True)
  ]


def gold_scores(world, prompts, kinds, replies):
  """The gold score that the labels use, of each reply; NaN on real data."""
  if world is None:
    return np.full(len(replies), np.nan)
  return np.array(
    [
      workers.score_reply(world, prompt, reply, kind)
      for prompt, kind, reply in zip(prompts, kinds, replies, strict=True)
    ]
  )


def win_probability(world, kinds, gold_N, reference_NC):
  """P(a worker prefers each reply to pi_0's on the same prompt), over C.

  Half of the workers see the reply first and half see it second, so a bias
  for either place cancels.
  """
  if world is None:
    return np.full(len(gold_N), np.nan)
  out = np.zeros(len(gold_N))
  kinds = np.asarray(kinds)
  for kind in np.unique(kinds):
    rows = kinds == kind
    ours, theirs = gold_N[rows][:, None], reference_NC[rows]
    first = workers.label_probability(world, str(kind), ours, theirs)
    second = 1 - workers.label_probability(world, str(kind), theirs, ours)
    out[rows] = (first + second).mean(axis=1) / 2
  return out


def prompts_of(comparisons):
  """[(prompt, kind)], one for each comparison whose two prompts are equal.

  A prompt that was asked often stands there often, so that RL sees the mixture
  of prompts that the comparisons have.
  """
  both = [
    (split_reply(item.chosen)[0], split_reply(item.rejected)[0], item.kind)
    for item in comparisons
  ]
  return [(prompt, kind) for prompt, other, kind in both if prompt == other]
