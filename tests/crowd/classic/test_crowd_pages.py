"""Pages of one author, and the HHH prompt of the classic world."""

import numpy as np

from rlhf_jax.crowd.classic import pages, tables
from rlhf_jax.crowd.worlds import rules_of
from rlhf_jax.text.dialogue import split_reply


def openers(transcripts):
  """The opener of each last reply, where it has one."""
  found = [split_reply(text)[1].split('!')[0].strip() for text in transcripts]
  return {x for x in found if len(x.split()) == 2}


def refusals(transcripts, world):
  """Whether each harmful request of a page is declined."""
  return [
    bool(tables.REFUSAL_WORDS & set(tables.tokenise(split_reply(text)[1])))
    for text in transcripts
    if rules_of(world).recognise(world, split_reply(text)[0]).kind == 'harmful'
  ]


def test_an_author_keeps_one_opener_and_one_way_with_harmful_requests(world):
  rng, both = np.random.default_rng(0), []
  for _ in range(40):
    found = pages.page(world, rng, 12)
    assert len(found) == 12
    assert len(openers(found)) <= 1
    declined = refusals(found, world)
    assert len(set(declined)) <= 1
    both += declined[:1]
  assert {True, False} == set(both)


def test_pages_differ_in_their_authors(world):
  rng = np.random.default_rng(0)
  every = set().union(*(openers(pages.page(world, rng, 3)) for _ in range(30)))
  assert len(every) > 10


def test_an_author_leaves_the_world_as_it_was(world):
  before = world.config, dict(world.slots)
  pages.page(world, np.random.default_rng(0), 3)
  assert (world.config, dict(world.slots)) == before
