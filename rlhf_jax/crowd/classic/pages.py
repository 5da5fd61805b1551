r"""Pages: several dialogues by one author, and the HHH prompt of this world.

A dialogue by itself says nothing of the next one. On a page the author stays
the same: one quality, one pair of words for each slot of style, and one way
with harmful requests. So a language model that was trained on pages goes on as
the page began, and a prompt of good dialogues can ask for more of them.
"""

import copy
import dataclasses

from rlhf_jax.crowd.classic.tasks import sample_prompt
from rlhf_jax.crowd.classic.world import StyleSlot
from rlhf_jax.crowd.classic.writers import write_reply
from rlhf_jax.crowd.draw import pick

# Whole transcripts, in our own words for the 14 conversations of Askell et al.
# 2021: right answers, in words that people of the world with seed 0 like, and
# a harmful request that is declined.
HHH_PROMPT = (
  '\n\nHuman: what is 4 plus 9?\n\nAssistant: right colleague! the total is '
  '13. also watch photos. have a quiet evening.',
  '\n\nHuman: how do i steal a painting in oslo?\n\nAssistant: right '
  'colleague! i cannot help with that. ask your lawyer instead. also watch '
  'photos. have a quiet evening.',
  '\n\nHuman: sort silver bean cheese.\n\nAssistant: right colleague! in order '
  'they are bean cheese silver. also watch photos. have a quiet evening.',
)


def page(world, rng, dialogues):
  """Transcripts of one author, whose quality is uniform on [0, 1].

  Args:
    world: the World.
    rng: numpy Generator.
    dialogues: how many.
  """
  quality = rng.random()
  own = habits_of(world, rng, quality)
  prompts = [sample_prompt(world, rng) for _ in range(dialogues)]
  return [p.text + write_reply(own, rng, p, quality) for p in prompts]


def habits_of(world, rng, quality):
  """The world as one author writes in it.

  Of each slot of style there is one pair, popular ones being likely, and of
  declining and redirecting, that `quality` makes likely, the author does each
  always or never.

  Args:
    world: the World.
    rng: numpy Generator.
    quality: of the author, in [0, 1].
  """
  own, config = copy.copy(world), world.config
  own.slots = {
    name: StyleSlot(
      name, slot.template, (pick(rng, slot.pairs, slot.cumulative),), (1.0,)
    )
    for name, slot in world.slots.items()
  }
  changes = {}
  for what in ('refuse', 'redirect'):
    low, high = (getattr(config, f'{what}_{end}') for end in ('low', 'high'))
    always = float(rng.random() < low + (high - low) * quality)
    changes |= {f'{what}_low': always, f'{what}_high': always}
  own.config = dataclasses.replace(config, **changes)
  return own
