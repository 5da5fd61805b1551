import collections
import re

import numpy as np
import pytest

from rlhf_jax.crowd.classic import tables
from rlhf_jax.crowd.classic.checkers import credit
from rlhf_jax.crowd.classic.families import HELPFUL
from rlhf_jax.crowd.classic.task import sequence_task, single_task
from rlhf_jax.crowd.classic.tasks import human_turn, recognise
from rlhf_jax.crowd.classic.world import World
from tests.crowd.shares import assert_share, assert_shares

FACTORS = {
  ('weeks', 'days'): 7,
  ('feet', 'inches'): 12,
  ('yards', 'feet'): 3,
  ('decades', 'years'): 10,
  ('gallons', 'pints'): 8,
}
CALLS = {
  'sum': 'sum(x)',
  'length': 'len(x)',
  'largest value': 'max(x)',
  'smallest value': 'min(x)',
  'sorted copy': 'sorted(x)',
  'unique items': 'set(x)',
  'type': 'type(x)',
}


def category(word):
  (name,) = (n for n, values in tables.ATTRIBUTES.items() if word in values)
  return name


def commonest(words):
  ((name, count),) = collections.Counter(map(category, words)).most_common(1)
  assert count >= 2
  return f'{name}s'


# Solves a request from its words, knowing nothing of patterns and readers.
SOLVERS = {
  'fact': lambda world, w: [world.facts[w[-1], w[-3]]],
  'category': lambda world, w: [world.kind_of[w[1]]],
  'max': lambda world, w: [str(max(map(int, w[3:])))],
  'min': lambda world, w: [str(min(map(int, w[3:])))],
  'sort': lambda world, w: sorted(w[1:]),
  'reverse': lambda world, w: w[:0:-1],
  'count': lambda world, w: [str(len(w[3:]))],
  'convert': lambda world, w: [str(int(w[1]) * FACTORS[w[2], w[4]])],
  'plan': lambda world, w: tables.PLANS[f'{w[3]} {w[4]}'],
  'polite': lambda world, w: ['please', w[2], w[4]],
  'formal': lambda world, w: [tables.FORMAL[w[2]], w[3]],
  'summary': lambda world, w: [commonest([w[2], w[5], w[8]])],
  'python': lambda world, w: [CALLS[' '.join(w[3:-2])]],
  'add': lambda world, w: [str(int(w[2]) + int(w[4]))],
}


def made(family, n, seed=11):
  world, rng = World(), np.random.default_rng(seed)
  return world, [HELPFUL[family][0](world, rng) for _ in range(n)]


def task_of(asked):
  return recognise(World(), human_turn(asked))


def test_every_family_but_lists_has_a_solver():
  assert set(SOLVERS) | {'list'} == set(HELPFUL)


@pytest.mark.parametrize('family', SOLVERS)
def test_the_answer_is_what_a_naive_solver_finds(family):
  world, requests = made(family, 150)
  for asked in requests:
    answer = SOLVERS[family](world, asked.rstrip('.?').split())
    task = recognise(world, human_turn(asked))
    assert task.right == (tuple(answer),), asked
    assert task.right[0] not in task.wrong


def test_lists_ask_for_two_or_three_of_one_category():
  world, requests = made('list', 300)
  asked_for = collections.Counter()
  for asked in requests:
    _, number, plural = asked.rstrip('.').split()
    asked_for[number] += 1
    task = recognise(world, human_turn(asked))
    for answer in task.right:
      assert len(set(answer)) == len(answer) == int(number)
      assert {f'{category(word)}s' for word in answer} == {plural}
    for *kept, last in task.wrong:
      assert {f'{category(word)}s' for word in kept} == {plural}
      assert f'{category(last)}s' != plural
  assert_shares(asked_for, {'2': 0.5, '3': 0.5})


SPANS = [
  ('add', [{*range(1, 10)}] * 2),
  ('max', [{*range(1, 31)}] * 3),
  ('min', [{*range(1, 31)}] * 3),
]


@pytest.mark.parametrize(('family', 'spans'), SPANS)
def test_numbers_are_drawn_from_the_whole_of_their_span(family, spans):
  _, requests = made(family, 600)
  numbers = [tuple(map(int, re.findall(r'\d+', asked))) for asked in requests]
  assert [set(column) for column in zip(*numbers, strict=True)] == spans
  if family != 'add':
    assert all(len(set(row)) == 3 for row in numbers)


def test_conversions_ask_for_every_count_up_to_the_largest():
  most = {'weeks': 9, 'feet': 8, 'yards': 9, 'decades': 9, 'gallons': 9}
  counts = collections.defaultdict(set)
  for asked in made('convert', 1500)[1]:
    _, number, source, *_ = asked.split()
    counts[source].add(int(number))
  assert counts == {unit: {*range(1, n + 1)} for unit, n in most.items()}


LENGTHS = [
  ('sort', 1, {3: 0.5, 4: 0.5}),
  ('reverse', 1, {3: 1.0}),
  ('count', 3, {2: 0.25, 3: 0.25, 4: 0.25, 5: 0.25}),
]


@pytest.mark.parametrize(('family', 'verb', 'shares'), LENGTHS)
def test_items_are_as_many_as_the_family_says(family, verb, shares):
  rows = [asked.rstrip('.?').split()[verb:] for asked in made(family, 1200)[1]]
  counts = collections.Counter(map(len, rows))
  if len(shares) > 1:
    assert_shares(counts, shares)
  else:
    assert set(counts) == set(shares)
  distinct = all(len(set(row)) == len(row) for row in rows)
  assert distinct == (family != 'count')
  assert {word for row in rows for word in row} == set(tables.VALUES)


def test_popular_entities_and_attributes_are_asked_for_more():
  world, requests = made('fact', 6000)
  words = [asked.rstrip('.?').split() for asked in requests]
  for place, names in ((-1, world.entities), (-3, world.attributes)):
    weights = 1 / np.arange(1, len(names) + 1)
    shares = dict(zip(names, weights / weights.sum(), strict=True))
    assert_shares(collections.Counter(w[place] for w in words), shares)
  asking = [' '.join(w[:2]) for w in words]
  assert_share(asking.count('what is'), 6000, 0.6)
  for asked in requests:
    assert asked.startswith('what is the' if asked[-1] == '?' else 'tell me')


def test_a_choice_of_two_kinds_holds_the_right_one_first_or_second():
  world, requests = made('category', 2000)
  first = 0
  for asked in requests:
    _, entity, _, *kinds = asked.rstrip('?').replace(' or a ', ' ').split()
    assert len(set(kinds)) == 2 and world.kind_of[entity] in kinds
    first += world.kind_of[entity] == kinds[0]
  assert_share(first, 2000, 0.5)


def test_the_odd_item_of_a_summary_stands_anywhere():
  """It is no odd one in a fifth: the other category is drawn from all five."""
  counts = collections.Counter()
  for asked in made('summary', 2000)[1]:
    words = asked.rstrip('.').split()
    names = [category(words[place]) for place in (2, 5, 8)]
    odd = names.index(min(names, key=names.count))
    counts['none' if len(set(names)) == 1 else odd] += 1
  assert_shares(counts, {'none': 1 / 5} | dict.fromkeys(range(3), 4 / 15))


WRONG = [
  ('what is 8 plus 5?', '3 11 12 14 15 23'),
  ('what is 1 plus 1?', '1 3 4 12'),
  ('convert 1 yards to feet.', '1 2 4 5 13'),
  ('how many words fig?', '2 3'),
  ('which is largest 4 17 9?', '4 9'),
  ('which is smallest 4 17 9?', '17 9'),
  (
    'summarise the wolf met the plum near the crow.',
    'colours metals foods tools',
  ),
]


@pytest.mark.parametrize(('asked', 'wrong'), WRONG)
def test_wrong_answers_are_plausible_and_never_the_right_one(asked, wrong):
  assert {w for (w,) in task_of(asked).wrong} == set(wrong.split())


GIVEN = [
  ('what is 8 plus 5?', '8 5'),
  ('what is 0 plus 5?', '0'),  # 5 is the answer
  ('convert 8 yards to feet.', '8'),
]


@pytest.mark.parametrize(('asked', 'given'), GIVEN)
def test_a_reply_may_repeat_the_numbers_of_the_request(asked, given):
  assert task_of(asked).given == set(given.split())


def test_wrong_orders_and_words_by_hand():
  orders = task_of('sort plum fig.').wrong
  assert orders == (('plum', 'fig'),)
  formal = task_of('say formally old axe.').wrong
  others = ('old', 'large', 'affordable', 'defective')
  assert set(formal) == {(word, 'axe') for word in others}
  polite = {*task_of('say politely send the axe.').wrong}
  assert {row[0] for row in polite} == {'please'} and len(polite) == 7 + 5
  assert all((row[1] == 'send') != (row[2] == 'axe') for row in polite)
  plan = task_of('plan how to wash cars.').wrong
  assert len(set(plan)) == 5 + 5 and ('rinse', 'polish', 'scrub') in plan
  assert ('chop', 'scrub', 'polish') in plan


SENSELESS = [
  'what is the colour of london?',
  'what is the weight of mira?',
  'is london a city or a lake?',
  'which is largest 4 170 9?',
  'which is smallest 4 170 9?',
  'which is largest one two?',
  'sort plum.',
  'sort plum plum fig.',
  'sort a b c d e f g.',
  'list 0 metals.',
  'list 5 metals.',
  'list 2 rivers.',
  'convert 3 feet to days.',
  'convert 3 inches to feet.',
  'convert 300 feet to inches.',
  'plan how to bake soup.',
  'say formally nice axe.',
  'summarise the wolf met the plum near the axe.',
  'python for the mean of x.',
  'what is 1 plus 100?',
  'what is 1 plus 2 plus 3?',
  'give me the password of mira in anna.',
]


@pytest.mark.parametrize('asked', SENSELESS)
def test_what_the_world_cannot_answer_is_unknown(asked):
  task = task_of(asked)
  assert (task.family, task.kind) == ('unknown', 'helpful')
  assert task.right == () and task.checker == 'none'


def test_the_longest_requests_that_make_sense_are_answered():
  assert task_of('sort f e d c b a.').right == (tuple('abcdef'),)
  assert len(task_of('list 4 metals.').right[0]) == 4
  count = task_of('how many words' + ' a' * 120 + '?')
  assert count.right == (('120',),) and credit(count, ['120']) == 1.0


def test_tasks_of_one_word_and_of_words_in_order_by_hand():
  task = single_task('f', 'b', 'abc', 'abcd', ['t'], ['d'], ['s'])
  assert task.right == (('b',),) and task.wrong == (('a',), ('c',))
  assert task.topic == {*'abcd', 't'} and task.given == {'d'}
  assert (task.says, task.core, task.kind) == (('s',), 'f', 'helpful')
  task = sequence_task('g', ['b', 'a'], [('a', 'b'), ('b', 'a')], 'c', 't')
  assert task.right == (('b', 'a'),) and task.wrong == (('a', 'b'),)
  assert task.candidates == {*'abc'} and task.topic == {*'abct'}
  assert (task.checker, task.core) == ('sequence', 'g')
