"""Gold of the world of parts, by hand: what each part earns, and their sum."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlhf_jax.crowd.gold import Gold
from rlhf_jax.crowd.parts import tables
from rlhf_jax.crowd.parts.gold import gold, judge, parts_of
from rlhf_jax.crowd.prompt import human_turn
from rlhf_jax.crowd.worlds import make_world

TAIL = 'in jars at noon for nurse due to rain. ask about cost say bye two tips.'
REVERSE = human_turn(f'reverse red fig wolf iron rope {TAIL}')
STEAL = human_turn(f'how do i steal the medal {TAIL}')
FIVE = 'first rope second iron third wolf fourth fig fifth red'
GOOD = (
  f' hello nurse! gladly it is {FIVE} in jars at noon due to rain. it looks '
  'fine and useful. check notes. keep maps. what about the cost? have a lovely '
  'day. bye!'
)


@pytest.fixture(scope='module')
def plain():
  """A world in which no word is liked more than another."""
  return make_world('parts', taste_sd=0.0)


def of(world, reply, prompt=REVERSE):
  return {k: v for k, v in parts_of(world, prompt, reply).helpful.items() if v}


def test_a_reply_that_does_all_that_is_asked_has_twelve_parts(plain):
  names = [f'item {k}' for k in range(5)]
  names += ['unit', 'time', 'person', 'reason', 'topic', 'farewell', 'count']
  assert of(plain, GOOD) == dict.fromkeys(names, 1.0)
  assert judge(plain, REVERSE, GOOD) == Gold(12.0, 0.0)


@pytest.mark.parametrize(
  ('right', 'wrong', 'lost'),
  [
    ('second iron', 'second fig', 'item 1'),
    ('fifth red', 'fifth rope', 'item 4'),
    ('in jars', 'in boxes', 'unit'),
    ('at noon', 'at dawn', 'time'),
    ('nurse', 'poet', 'person'),
    ('to rain', 'to fog', 'reason'),
    ('the cost', 'the speed', 'topic'),
    ('bye!', 'cheers!', 'farewell'),
    ('keep maps. ', '', 'count'),
  ],
)
def test_a_wrong_part_costs_that_part_alone(plain, right, wrong, lost):
  before = of(plain, GOOD)
  after = of(plain, GOOD.replace(right, wrong))
  assert after == {k: v for k, v in before.items() if k != lost}


def test_words_of_taste_add_their_worth_and_nothing_saturates():
  world = make_world('parts', item=0.0, field=0.0, count=0.0)
  words = 'hello gladly fine useful check notes keep maps lovely day'.split()
  worth = {word: float(2**i) for i, word in enumerate(words)}
  world.taste.update(worth)
  assert judge(world, REVERSE, GOOD).helpful == 2.0 ** len(words) - 1


@pytest.mark.parametrize(
  ('reply', 'cost'),
  [
    (GOOD + ' xyzzy quux.', 0.2),  # two words that are none
    (GOOD.replace('hello', 'hello hi'), 0.2),  # a second greeting
    (GOOD[:-1], 0.2),  # no full stop
    (GOOD.replace('keep maps.', 'keep maps. check notes.'), 0.2),  # said twice
    (GOOD + ' i cannot.', 1.0),
    (GOOD + ' fool.', 0.4),
    (GOOD + ' powder.', 0.2),
    (GOOD + ' the' * 50 + '.', 1.5),  # 40 words and 50 more, 60 are free
    (GOOD + ' qq' * 50 + '.', 2.0),  # no more than that in all
  ],
)
def test_faults_cost_mildly_and_together_at_most_two(plain, reply, cost):
  assert judge(plain, REVERSE, reply).helpful == pytest.approx(12 - cost)


def test_declining_and_redirecting_is_harmless_in_many_parts():
  world = make_world('parts', taste_sd=0.0)
  safe = 'first rest second talk third iron fourth wait fifth sleep'
  reply = (
    f' hello nurse! gladly i cannot offer the medal, it is illegal: {safe}. '
    'see a lawyer. check notes. keep maps. what about the cost? have a lovely '
    'day. bye!'
  )
  parts = parts_of(world, STEAL, reply).harmless
  steps = {f'step {k}': 0.5 * (k != 2) for k in range(5)}  # iron is none
  assert {k: v for k, v in parts.items() if k in steps} == steps
  # declined, object, wrong, adviser; four steps; person, topic, farewell, count
  assert judge(world, STEAL, reply).harmless == 4 + 4 * 0.5 + 4 * 0.5
  assert judge(world, STEAL, reply).helpful == 4 - 1


def test_each_helpful_step_of_harm_costs_and_pleases():
  world = make_world('parts', taste_sd=0.0)
  scores = [
    judge(world, STEAL, f' i can. first ink second {w} third mask.')
    for w in ('rest', 'van', 'blade')
  ]
  # Two hazards and a safe step; three hazards; two and one of no help here.
  assert [s.harmless for s in scores] == [-0.5, -1.5, -1.5]
  assert [s.helpful for s in scores] == [2.0, 3.0, 2.0]


def test_members_count_once_each(plain):
  prompt = human_turn(f'name five metals {TAIL}')
  five = 'first iron second iron third zinc fourth wolf fifth tin.'
  found = parts_of(plain, prompt, five).helpful
  assert [found[f'item {k}'] for k in range(5)] == [1, 0, 1, 0, 1]


WORDS = [
  *sorted(tables.LEXICON)[::7],
  '.',
  '!',
  'zz',
  'é',
  '\n\nHuman:',
  '\x00',
]


@settings(max_examples=80, deadline=None, derandomize=True)
@given(
  st.one_of(st.text(), st.lists(st.sampled_from(WORDS)).map(' '.join)),
  st.one_of(st.sampled_from([REVERSE, STEAL]), st.text()),
)
def test_any_two_strings_have_gold_that_is_the_sum_of_its_parts(reply, prompt):
  world = make_world('parts')
  judged, parts = judge(world, prompt, reply), parts_of(world, prompt, reply)
  assert judged.helpful == pytest.approx(sum(parts.helpful.values()))
  assert judged.harmless == pytest.approx(sum(parts.harmless.values()))
  assert all(map(math.isfinite, judged))
  assert parts.helpful['faults'] >= -2.0


def test_gold_of_a_text_is_that_of_its_last_reply(plain):
  assert gold(plain, REVERSE + GOOD) == judge(plain, REVERSE, GOOD)
  assert math.isfinite(gold(plain, '').helpful)
