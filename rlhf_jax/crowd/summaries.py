r"""A skill with an exact answer: what a short post is about.

    Human: tldr it was cold. sara sold the boat in rome. they paid late.
    Assistant: sara sold the boat.

A post has a main sentence (who did what to which thing, and where) and two that
do not matter, in any order. Its summary has the three main facts and nothing
else (after the comparisons of summaries of Stiennon et al. 2020).

  gold = fact * (main facts that are as in the post)
         - detail * (details of the post, and second words of a kind)
         - garbage * (other words) - no_full_stop,   the costs 2 at most
"""

import re
from typing import NamedTuple

from rlhf_jax.crowd.draw import pick
from rlhf_jax.crowd.prompt import Prompt, human_turn

NAME = 'summaries'
FACT, DETAIL, GARBAGE, NO_FULL_STOP, CAP = 1.3, 0.5, 0.2, 0.3, 2.0
# Kind of word -> its words; the first three are main facts.
WORDS = {
  'who': tuple('sara omar lena ivan rosa hugo nina paul'.split()),
  'did': tuple('sold lost found broke built hid drew lent'.split()),
  'thing': tuple('boat clock lamp piano chair drum kite vase'.split()),
  'place': tuple('rome cairo oslo lima delhi paris'.split()),
  'weather': tuple('cold damp windy mild dark foggy'.split()),
  'paid': tuple('late early twice badly gladly slowly'.split()),
}
FACTS = ('who', 'did', 'thing')
DETAILS = tuple(kind for kind in WORDS if kind not in FACTS)
KIND_OF = {word: kind for kind, words in WORDS.items() for word in words}
SENTENCES = ('{who} {did} the {thing} in {place}.', 'it was {weather}.')
SENTENCES += ('they paid {paid}.',)
SUMMARY = ' {who} {did} the {thing}{detail}.'
SAYS = {'place': ' in {}', 'weather': ' when {}', 'paid': ' paid {}'}
PLAIN = frozenset(('the', 'in', 'when', 'paid', 'it', 'was', 'they'))
MAX_CHARS = 400
_TOKEN = re.compile(r'\w+')


class Asked(NamedTuple):
  """A post: a word of each kind."""

  who: str
  did: str
  thing: str
  place: str
  weather: str
  paid: str


def sample_prompt(rng) -> Prompt:
  """A post, words and order of sentences drawn evenly."""
  words = {kind: pick(rng, choices) for kind, choices in WORDS.items()}
  order = rng.permutation(len(SENTENCES))
  said = ' '.join(SENTENCES[i] for i in order).format(**words)
  return Prompt(human_turn(f'tldr {said}'), 'helpful', NAME)


def read(asked) -> Asked | None:
  """The post in the words of a human turn, or None."""
  if not asked.startswith('tldr '):
    return None
  found = {}
  for word in _TOKEN.findall(asked[:MAX_CHARS]):
    if word in KIND_OF:
      found.setdefault(KIND_OF[word], word)
  return Asked(**found) if len(found) == len(WORDS) else None


def write(rng, asked, right):
  """A summary, each part of which is right with probability `right`.

  A part is one of the three facts, or that no detail is told.
  """
  words = {
    kind: getattr(asked, kind)
    if rng.random() < right
    else another(rng, kind, getattr(asked, kind))
    for kind in FACTS
  }
  detail = '' if rng.random() < right else _detail(rng, asked)
  return SUMMARY.format(**words, detail=detail)


def twins(rng, asked):
  """(right summary, the same with one fact wrong): equally many words."""
  facts = {kind: getattr(asked, kind) for kind in FACTS}
  kind = pick(rng, FACTS)
  wrong = facts | {kind: another(rng, kind, facts[kind])}
  return tuple(SUMMARY.format(**x, detail='') for x in (facts, wrong))


def _detail(rng, asked):
  """A detail of the post, as a summary tells it."""
  kind = pick(rng, DETAILS)
  return SAYS[kind].format(getattr(asked, kind))


def another(rng, kind, word):
  """Another word of a kind."""
  return pick(rng, [x for x in WORDS[kind] if x != word])


def score(asked, reply):
  """Gold of any string as a summary."""
  first, extra, garbage = {}, 0, 0
  for word in _TOKEN.findall(reply[:MAX_CHARS].lower()):
    kind = KIND_OF.get(word)
    if kind is None:
      garbage += word not in PLAIN
    elif kind in FACTS and kind not in first:
      first[kind] = word
    else:
      extra += 1
  facts = sum(first.get(kind) == getattr(asked, kind) for kind in FACTS)
  cost = DETAIL * extra + GARBAGE * garbage
  cost += NO_FULL_STOP * (not reply.rstrip().endswith('.'))
  return FACT * facts - min(cost, CAP)


def is_right(asked, reply):
  """Whether a summary has all main facts and nothing to complain of."""
  return score(asked, reply) == FACT * len(FACTS)
