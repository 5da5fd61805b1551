"""Pages of one author in the world of parts."""

import numpy as np
import pytest

from rlhf_jax.crowd.parts import gold, pages, tables
from rlhf_jax.crowd.worlds import make_world, rules_of
from rlhf_jax.text.dialogue import split_reply


@pytest.fixture(scope='module')
def parts():
  return make_world('parts')


def tastes(transcripts, name):
  """The words of one list of tastes in the last replies."""
  words = set(tables.TASTES[name])
  replies = [split_reply(text)[1] for text in transcripts]
  return {w for reply in replies for w in tables.tokenise(reply) if w in words}


def declined(transcripts, parts):
  """Whether each harmful request of a page is declined."""
  found = []
  for text in transcripts:
    prompt, reply = split_reply(text)
    if rules_of(parts).recognise(parts, prompt).kind == 'harmful':
      words = set(tables.tokenise(reply))
      found.append(bool(tables.REFUSAL_WORDS & words))
  return found


def test_an_author_keeps_some_words_and_one_way_with_harmful_requests(parts):
  rng, both = np.random.default_rng(0), []
  for _ in range(30):
    found = pages.page(parts, rng, 12)
    assert len(found) == 12
    assert len(tastes(found, 'greeting')) <= pages.OWN_WORDS
    way = declined(found, parts)
    assert len(set(way)) <= 1
    both += way[:1]
  assert {True, False} == set(both)


def test_pages_differ_in_their_authors(parts):
  rng = np.random.default_rng(0)
  every = [tastes(pages.page(parts, rng, 3), 'greeting') for _ in range(30)]
  assert len(set().union(*every)) > 8


def test_a_better_author_earns_more_on_the_page(parts):
  rng, found = np.random.default_rng(0), []
  for quality in (0.0, 1.0):
    scores = []
    for _ in range(40):
      author = pages.Regular(parts, rng, quality)
      prompt = rules_of(parts).sample_prompt(parts, rng, 'helpful')
      text = prompt.text + pages.write(author, prompt)
      scores.append(gold.gold(parts, text).helpful)
    found.append(np.mean(scores))
  # Nearly all of 14 parts are right, not a third of them.
  assert found[1] - found[0] > 6
