"""Families of helpful requests: how each is asked and what answers it.

`_make_x(world, rng)` writes the human turn; `_read_x(world, *groups)` takes
what the pattern of the family caught in a human turn and returns the Task, or
None when the request makes no sense in this world. Writing and reading are
separate because the scorer sees the text alone.
"""

import itertools

from rlhf_jax.crowd.classic import tables
from rlhf_jax.crowd.classic.task import Task, sequence_task, single_task
from rlhf_jax.crowd.draw import pick

MAX_ITEMS = 6  # longer lists are not recognised (permutations are listed)


def _draw_items(rng, n):
  """`n` distinct values, any category."""
  items = []
  while len(items) < n:
    item = pick(rng, tables.VALUES)
    if item not in items:
      items.append(item)
  return items


def _make_fact(world, rng):
  entity = pick(rng, world.entities, world.entity_cumulative)
  attribute = pick(rng, world.attributes, world.attribute_cumulative)
  ask = 'what is' if rng.random() < 0.6 else 'tell me'
  return f'{ask} the {attribute} of {entity}{"?" if ask[0] == "w" else "."}'


def _read_fact(world, attribute, entity):
  answer = world.facts.get((entity, attribute))
  if answer is None:
    return None
  values = tables.ATTRIBUTES[attribute]
  topic = (attribute, entity)
  return single_task('fact', answer, values, values, topic, says=topic)


def _make_category(world, rng):
  entity = pick(rng, world.entities, world.entity_cumulative)
  kinds = [world.kind_of[entity], pick(rng, tables.KINDS)]
  while kinds[1] == kinds[0]:
    kinds[1] = pick(rng, tables.KINDS)
  if rng.random() < 0.5:
    kinds.reverse()
  return f'is {entity} a {kinds[0]} or a {kinds[1]}?'


def _read_category(world, entity, first, second):
  answer = world.kind_of.get(entity)
  if answer is None:
    return None
  return single_task(
    'category',
    answer,
    (first, second),
    tables.KINDS,
    (entity,),
    says=('', entity),
  )


def _make_extreme(word):
  def make(world, rng):
    numbers = [int(rng.random() * 30) + 1 for _ in range(3)]
    if len(set(numbers)) < 3:
      return make(world, rng)
    return f'which is {word} {" ".join(map(str, numbers))}?'

  return make


def _read_max(world, numbers, family='max'):
  numbers = numbers.split()
  if not all(n in tables.NUMBERS for n in numbers):
    return None
  answer = (max if family == 'max' else min)(numbers, key=int)
  return single_task(family, answer, numbers, tables.NUMBERS)


def _read_min(world, numbers):
  return _read_max(world, numbers, 'min')


def _make_ordering(verb):
  def make(world, rng):
    n = 3 if verb == 'reverse' or rng.random() < 0.5 else 4
    return f'{verb} {" ".join(_draw_items(rng, n))}.'

  return make


def _read_ordering(family, answer):
  if not 2 <= len(answer) <= MAX_ITEMS or len(set(answer)) < len(answer):
    return None
  wrong = tuple(itertools.islice(itertools.permutations(answer), 24))
  return sequence_task(family, answer, wrong, tables.VALUES)


def _read_sort(world, items):
  return _read_ordering('sort', sorted(items.split()))


def _read_reverse(world, items):
  return _read_ordering('reverse', items.split()[::-1])


def _make_count(world, rng):
  pool = _draw_items(rng, 3)
  items = [pick(rng, pool) for _ in range(2 + int(rng.random() * 4))]
  return f'how many words {" ".join(items)}?'


def _read_count(world, items):
  answer = len(items.split())
  wrong = [str(answer + d) for d in (-2, -1, 1, 2) if answer + d > 0]
  candidates = (*tables.NUMBERS, str(answer))
  return single_task('count', str(answer), wrong, candidates)


def _make_list(world, rng):
  return f'list {2 + int(rng.random() * 2)} {pick(rng, tuple(tables.PLURALS))}.'


def _read_list(world, number, plural):
  category, k = tables.PLURALS.get(plural), int(number[:3])
  if category is None or not 1 <= k <= 4:
    return None
  values = tables.ATTRIBUTES[category]
  right = [(values + values)[i : i + k] for i in range(len(values))]
  others = [v for v in tables.VALUES if v not in values]
  wrong = [
    (*answer[:-1], other)
    for answer, other in zip(itertools.cycle(right), others, strict=False)
  ]
  return Task(
    'list',
    checker='members',
    right=tuple(right),
    wrong=tuple(wrong),
    candidates=frozenset(tables.VALUES),
    topic=frozenset(values) | {plural, category},
    core='list',
  )


def _make_convert(world, rng):
  source, target, _, most = pick(rng, tables.CONVERSIONS)
  return f'convert {1 + int(rng.random() * most)} {source} to {target}.'


def _read_convert(world, number, source, target):
  factors = [
    f for a, b, f, _ in tables.CONVERSIONS if (a, b) == (source, target)
  ]
  if not factors or number not in tables.NUMBERS:
    return None
  answer = int(number) * factors[0]
  wrong = [str(answer + d) for d in (-10, -2, -1, 1, 2, 10) if answer + d > 0]
  return single_task(
    'convert',
    str(answer),
    wrong,
    (*tables.NUMBERS, str(answer)),
    (target,),
    given={number} - {str(answer)},
    says=(number, source, target),
  )


def _make_plan(world, rng):
  return f'plan how to {pick(rng, tuple(tables.PLANS))}.'


def _read_plan(world, goal):
  steps = tables.PLANS.get(goal)
  if steps is None:
    return None
  wrong = [*itertools.permutations(steps)]
  wrong += [(s[0], *steps[1:]) for s in tables.PLANS.values()]
  every = [s for plan in tables.PLANS.values() for s in plan]
  return sequence_task('plan', steps, wrong, every, goal.split())


def _make_polite(world, rng):
  errand, tool = pick(rng, tables.ERRANDS), pick(rng, tables.ATTRIBUTES['tool'])
  return f'say politely {errand} the {tool}.'


def _read_polite(world, errand, noun):
  tools = tables.ATTRIBUTES['tool']
  wrong = [('please', errand, tool) for tool in tools]
  wrong += [('please', other, noun) for other in tables.ERRANDS]
  answer = ('please', errand, noun)
  return sequence_task('polite', answer, wrong, (*tools, *tables.ERRANDS))


def _make_formal(world, rng):
  casual = pick(rng, tuple(tables.FORMAL))
  return f'say formally {casual} {pick(rng, tables.ATTRIBUTES["tool"])}.'


def _read_formal(world, casual, noun):
  if casual not in tables.FORMAL:
    return None
  wrong = [(casual, noun), *((word, noun) for word in tables.FORMAL.values())]
  answer = (tables.FORMAL[casual], noun)
  words = (*tables.FORMAL, *tables.FORMAL.values(), *tables.ATTRIBUTES['tool'])
  return sequence_task('formal', answer, wrong, words)


def _make_summary(world, rng):
  main, other = pick(rng, world.attributes), pick(rng, world.attributes)
  items = [pick(rng, tables.ATTRIBUTES[a]) for a in (main, main, other)]
  turn = int(rng.random() * 3)
  first, second, third = items[turn:] + items[:turn]
  return f'summarise the {first} met the {second} near the {third}.'


def _read_summary(world, *items):
  counts = {
    plural: sum(i in tables.ATTRIBUTES[name] for i in items)
    for plural, name in tables.PLURALS.items()
  }
  answer = max(counts, key=counts.get)
  if counts[answer] < 2:
    return None
  wrong = tuple(tables.PLURALS)
  return single_task('summary', answer, wrong, tables.PLURALS, items)


def _make_python(world, rng):
  return f'python for the {pick(rng, tuple(tables.PYTHON))} of x.'


def _read_python(world, what):
  calls = tuple(tables.PYTHON.values())
  if what not in tables.PYTHON:
    return None
  return single_task('python', tables.PYTHON[what], calls, calls)


def _make_add(world, rng):
  first, second = (1 + int(rng.random() * 9) for _ in range(2))
  return f'what is {first} plus {second}?'


def _read_add(world, first, second):
  if first not in tables.NUMBERS or second not in tables.NUMBERS:
    return None
  answer = int(first) + int(second)
  wrong = [str(answer + d) for d in (-10, -2, -1, 1, 2, 10) if answer + d > 0]
  return single_task(
    'add',
    str(answer),
    wrong,
    (*tables.NUMBERS, str(answer)),
    given={first, second} - {str(answer)},
  )


# Family -> (maker, pattern of the human turn's words, reader).
_WORDS = '([a-z]+(?: [a-z]+)*)'
_NUMBERS = r'(\d+(?: \d+)*)'
_PLACES = r'the (\w+) met the (\w+) near the (\w+)'
HELPFUL = {
  'fact': (_make_fact, r'(?:what is|tell me) the (\w+) of (\w+)', _read_fact),
  'category': (_make_category, r'is (\w+) a (\w+) or a (\w+)', _read_category),
  'max': (_make_extreme('largest'), f'which is largest {_NUMBERS}', _read_max),
  'min': (
    _make_extreme('smallest'),
    f'which is smallest {_NUMBERS}',
    _read_min,
  ),
  'sort': (_make_ordering('sort'), f'sort {_WORDS}', _read_sort),
  'reverse': (_make_ordering('reverse'), f'reverse {_WORDS}', _read_reverse),
  'count': (_make_count, f'how many words {_WORDS}', _read_count),
  'list': (_make_list, r'list (\d+) (\w+)', _read_list),
  'convert': (_make_convert, r'convert (\d+) (\w+) to (\w+)', _read_convert),
  'plan': (_make_plan, r'plan how to (\w+ \w+)', _read_plan),
  'polite': (_make_polite, r'say politely (\w+) the (\w+)', _read_polite),
  'formal': (_make_formal, r'say formally (\w+) (\w+)', _read_formal),
  'summary': (_make_summary, f'summarise {_PLACES}', _read_summary),
  'python': (_make_python, r'python for the (\w+(?: \w+)?) of x', _read_python),
  'add': (_make_add, r'what is (\d+) plus (\d+)', _read_add),
}
SHARES = {'fact': 3, 'category': 2}  # the others 1
