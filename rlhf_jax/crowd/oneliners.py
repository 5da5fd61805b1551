r"""A skill with an exact answer: one line of Python over a list of numbers.

    Human: code the sum of x times 3 where x above 4
    Assistant: sum(v * 3 for v in x if v > 4)

A reply is run on a few lists, by walking its syntax tree, of which few nodes
are known: nothing that a reply says is executed. Whatever gives the right
values is right, however it is written.

  gold = tests * (share of the lists on which the value is right)
         + runs [there is a value on every list]
"""

import ast
import functools
import operator
import re
import warnings
from typing import NamedTuple

from rlhf_jax.crowd.draw import pick
from rlhf_jax.crowd.prompt import Prompt, human_turn

NAME = 'oneliners'
TESTS, RUNS = 3.0, 1.0  # log-odds
SMALLEST, MOST = 1, 12  # numbers in a request
# Each has a number above 12 and one below 1, so that no filter empties it.
LISTS = (
  (3, 14, -2, 7, 5),
  (0, 8, 13, 1, 9, 6),
  (-5, 20, 2, 11, 4, 10, 12),
)
ASKED = {'sum': 'sum', 'largest': 'max', 'smallest': 'min'}
CHANGES = {'plus': '+', 'minus': '-', 'times': '*'}
FILTERS = {'above': '>', 'below': '<'}
PROMPT = 'code the {} of x {} {} where x {} {}'
REPLY = ' {}(v {} {} for v in x if v {} {})'
_FORM = re.compile(
  PROMPT.format(
    f'({"|".join(ASKED)})',
    f'({"|".join(CHANGES)})',
    r'(\d+)',
    f'({"|".join(FILTERS)})',
    r'(\d+)',
  )
)

MAX_CHARS, MAX_NODES, MAX_VALUE = 120, 2000, 10**9
_CALLS = {'sum': sum, 'max': max, 'min': min, 'len': len, 'sorted': sorted}
_OPERATORS = {
  ast.Add: operator.add,
  ast.Sub: operator.sub,
  ast.Mult: operator.mul,
  ast.Mod: operator.mod,
  ast.FloorDiv: operator.floordiv,
  ast.Gt: operator.gt,
  ast.Lt: operator.lt,
  ast.GtE: operator.ge,
  ast.LtE: operator.le,
  ast.Eq: operator.eq,
  ast.NotEq: operator.ne,
}


class Asked(NamedTuple):
  """A request: `total(v change number for v in x if v filter bound)`."""

  total: str
  change: str
  number: int
  filter: str
  bound: int


CHOICES = Asked(
  tuple(ASKED.values()),
  tuple(CHANGES.values()),
  tuple(range(SMALLEST, MOST + 1)),
  tuple(FILTERS.values()),
  tuple(range(SMALLEST, MOST + 1)),
)


def sample_prompt(rng) -> Prompt:
  """A request, drawn evenly."""
  said = [tuple(ASKED), tuple(CHANGES), CHOICES.number]
  said += [tuple(FILTERS), CHOICES.bound]
  words = [pick(rng, choices) for choices in said]
  return Prompt(human_turn(PROMPT.format(*words)), 'helpful', NAME)


def read(asked) -> Asked | None:
  """The request in the words of a human turn, or None."""
  found = _FORM.fullmatch(asked)
  if not found:
    return None
  total, change, number, condition, bound = found.groups()
  return Asked(
    ASKED[total], CHANGES[change], int(number), FILTERS[condition], int(bound)
  )


def write(rng, asked, right):
  """A reply, each part of which is right with probability `right`."""
  parts = [
    value if rng.random() < right else another(rng, choices, value)
    for value, choices in zip(asked, CHOICES, strict=True)
  ]
  return REPLY.format(*parts)


def twins(rng, asked):
  """(right reply, the same with one part other, and a wrong value)."""
  wrong = REPLY.format(*asked)
  while is_right(asked, wrong):  # the largest may be above either bound
    place, parts = int(rng.random() * len(asked)), list(asked)
    parts[place] = another(rng, CHOICES[place], asked[place])
    wrong = REPLY.format(*parts)
  return REPLY.format(*asked), wrong


def another(rng, choices, value):
  """One of the choices that is another than the value."""
  return pick(rng, [x for x in choices if x != value])


def score(asked, reply):
  """Gold of any string as a reply."""
  values = [value_of(reply, x) for x in LISTS]
  passed = sum(a == b for a, b in zip(values, _wanted(asked), strict=True))
  return TESTS * passed / len(LISTS) + RUNS * (None not in values)


@functools.lru_cache
def _wanted(asked):
  """The right values."""
  return [value_of(REPLY.format(*asked), x) for x in LISTS]


def is_right(asked, reply):
  """Whether a reply gives the right value on every list."""
  return score(asked, reply) == TESTS + RUNS


def value_of(text, x):
  """The whole number that a line of Python gives for a list x, or None.

  Args:
    text: any string.
    x: tuple of whole numbers.
  """
  if len(text) > MAX_CHARS:
    return None
  try:
    with warnings.catch_warnings():  # of literals such as 0in
      warnings.simplefilter('ignore')
      tree = ast.parse(text.strip(), mode='eval')
    value = _Walk().value(tree.body, {'x': list(x)})
  except (SyntaxError, ValueError, TypeError, ArithmeticError):
    return None
  except (RecursionError, MemoryError):
    return None
  return value if type(value) is int else None


class _Walk:
  """Walks a tree, at most `MAX_NODES` nodes of it."""

  def __init__(self):
    self._left = MAX_NODES

  def value(self, node, names):
    """The value of a node: a whole number, a truth, or a list of them.

    Raises:
      ValueError: if it is of no kind that is known, or there are too many.
    """
    self._left -= 1
    if self._left < 0:
      raise ValueError('too long')
    match node:
      case ast.Constant(value=int() as value):
        return _bounded(value)
      case ast.Name(id=name) if name in names:
        return names[name]
      case ast.UnaryOp(op=ast.USub(), operand=operand):
        return -self._number(operand, names)
      case ast.BinOp(left=left, op=op, right=right):
        return self._pair(op, left, right, names)
      case ast.Compare(left=left, ops=[op], comparators=[right]):
        return self._pair(op, left, right, names)
      case ast.Call(func=ast.Name(id=name), args=[inner], keywords=[]):
        return self._call(name, inner, names)
      case ast.GeneratorExp() | ast.ListComp():
        return self._each(node, names)
    raise ValueError('unknown node')

  def _number(self, node, names):
    value = self.value(node, names)
    if not isinstance(value, int):
      raise ValueError('not a number')
    return value

  def _pair(self, op, left, right, names):
    if type(op) not in _OPERATORS:
      raise ValueError('unknown operator')
    both = self._number(left, names), self._number(right, names)
    return _bounded(_OPERATORS[type(op)](*both))

  def _call(self, name, inner, names):
    values = self.value(inner, names)
    if name not in _CALLS or not isinstance(values, list):
      raise ValueError('unknown call')
    return _CALLS[name](values)

  def _each(self, node, names):
    """A comprehension over one list."""
    match node.generators:
      case [ast.comprehension(target=ast.Name(id=name), iter=inner, ifs=ifs)]:
        values = self.value(inner, names)
      case _:
        raise ValueError('unknown comprehension')
    if not isinstance(values, list):
      raise ValueError('not a list')
    found = []
    for value in values:
      own = names | {name: value}
      if all(self.value(test, own) for test in ifs):
        found.append(self.value(node.elt, own))
    return found


def _bounded(value):
  if abs(value) > MAX_VALUE:
    raise ValueError('too large')
  return value
