"""Families of requests: how each is asked, and what answers it.

Most say a few words and then five items; the answer is five items too, one
after each marker (first, second, ...). Writing and reading are separate because
the scorer sees the text alone.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from rlhf_jax.crowd.draw import pick
from rlhf_jax.crowd.parts import tables

_NEXT = dict(zip(tables.NUMBERS, tables.NUMBERS[1:], strict=False))
_BEFORE = {b: a for a, b in _NEXT.items()}
_DOUBLE = dict(zip(tables.NUMBERS, tables.NUMBERS[1::2], strict=False))


class Family(NamedTuple):
  """Requests that name five items.

  Attributes:
    name: of the family.
    domain: words that the items are drawn from.
    answer: (world, items) -> five right words.
    pool: words that a wrong item is drawn from.
  """

  name: str
  domain: tuple
  answer: Callable
  pool: tuple


def _order(name, answer):
  return Family(
    name, tables.VALUES, lambda world, items: answer(items), tables.VALUES
  )


def _table(name, table, pool=None):
  answer = lambda world, items: tuple(table[item] for item in items)
  pool = tuple(dict.fromkeys(table.values())) if pool is None else pool
  return Family(name, tuple(table), answer, pool)


def _facts(kind):
  answer = lambda world, items: tuple(world.facts[i, kind] for i in items)
  return Family('facts', tables.ENTITIES, answer, tables.KINDS[kind])


# What is asked -> its Family. The first five work on a list of the turn before
# too: "reverse them".
ORDERS = {
  'repeat': _order('repeat', lambda items: items),
  'reverse': _order('reverse', lambda items: items[::-1]),
  'sort': _order('sort', lambda items: tuple(sorted(items))),
  'rotate': _order('rotate', lambda items: items[1:] + items[:1]),
  'swap': _order('swap', lambda items: (items[4], *items[1:4], items[0])),
}
ASKED = ORDERS | {
  'kinds of': _table('kinds', tables.KIND_OF),
  'translate': Family(
    'translate',
    tables.NATIVE,
    lambda world, items: tuple(world.foreign[item] for item in items),
    tables.FOREIGN,
  ),
  'double': _table('double', _DOUBLE),
  'next': _table('next', _NEXT),
  'before': _table('before', _BEFORE),
  'opposites of': _table('opposites', tables.OPPOSITE),
}
ASKED |= {f'{kind}s of': _facts(kind) for kind in tables.KINDS}
REPORT = 'report {} met {} with {} near {} by {}'
_REPORT = re.compile(REPORT.format(*[r'(\w+)'] * 5))
_FIVE = r' (\w+)' * tables.PLACES
_PATTERNS = {ask: re.compile(ask + _FIVE) for ask in ASKED}
_NAME = re.compile(r'name five (\w+)s\b')
_PLAN = re.compile(r'plan to (\w+)')
_HAVE = re.compile('i have' + _FIVE)
_THEM = re.compile(rf'({"|".join(ORDERS)}) them\b')

ASKS_OF = {}
for _ask, _family in ASKED.items():
  ASKS_OF.setdefault(_family.name, []).append(_ask)
NAMES = (*ASKS_OF, 'report', 'members', 'plan')


def draw_items(rng, domain):
  """Five distinct words of a domain, in any order."""
  items = []
  while len(items) < tables.PLACES:
    item = pick(rng, domain)
    if item not in items:
      items.append(item)
  return tuple(items)


def make_request(rng, name):
  """A request of the family `name`, without its fields."""
  if name == 'members':
    return f'name five {pick(rng, tuple(tables.KINDS))}s'
  if name == 'plan':
    return f'plan to {pick(rng, tuple(tables.PLANS))}'
  if name == 'report':
    return REPORT.format(*draw_items(rng, tables.VALUES))
  ask = pick(rng, ASKS_OF[name])
  return f'{ask} {" ".join(draw_items(rng, ASKED[ask].domain))}'


def make_followup(rng):
  """(what is said first, the request that leans on it)."""
  items = ' '.join(draw_items(rng, tables.VALUES))
  return f'i have {items}.', f'{pick(rng, tuple(ORDERS))} them'


def _of_items(world, name, ask, items):
  family = ASKED[ask]
  if not set(items) <= set(family.domain):
    return None
  return name or family.name, family.answer(world, items), family.pool


def read_request(world, asked, before=''):
  """(family, right words, pool of wrong ones) of a human turn, or None.

  Args:
    world: the World.
    asked: words of the human turn, without symbols.
    before: words of the human turn before.

  Returns:
    Right words: five of them, or a frozenset where any members will do.
  """
  for ask, pattern in _PATTERNS.items():
    # "reverse them in jars at noon" has the form too, but not the items.
    if match := pattern.match(asked):
      if found := _of_items(world, '', ask, match.groups()):
        return found
  if match := _REPORT.match(asked):
    return 'report', match.groups(), tables.VALUES
  if (match := _NAME.match(asked)) and match[1] in tables.KINDS:
    return 'members', frozenset(tables.KINDS[match[1]]), tables.VALUES
  if (match := _PLAN.match(asked)) and match[1] in tables.PLANS:
    return 'plan', tables.PLANS[match[1]], tables.STEPS
  earlier, match = _HAVE.match(before), _THEM.match(asked)
  if earlier and match:
    return _of_items(world, 'followup', match[1], earlier.groups())
  return None
