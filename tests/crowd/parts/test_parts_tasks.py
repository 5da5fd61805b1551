"""Requests of the world of parts: read as they were written."""

import collections

import numpy as np
import pytest

from rlhf_jax.crowd.parts import families, tables
from rlhf_jax.crowd.parts.tasks import (
  HARMFUL_FAMILIES,
  HELPFUL_FAMILIES,
  recognise,
  sample_prompt,
)
from rlhf_jax.crowd.prompt import human_turn
from rlhf_jax.crowd.worlds import make_world

TAIL = (
  ' in jars at noon for nurse due to rain. ask about cost say bye two tips.'
)
ANSWERS = [
  ('repeat red fig wolf iron rope', 'red fig wolf iron rope'),
  ('reverse red fig wolf iron rope', 'rope iron wolf fig red'),
  ('sort red fig wolf iron rope', 'fig iron red rope wolf'),
  ('rotate red fig wolf iron rope', 'fig wolf iron rope red'),
  ('swap red fig wolf iron rope', 'rope fig wolf iron red'),
  ('kinds of red fig wolf iron rope', 'colour food animal metal tool'),
  ('double one five two ten seven', 'two ten four twenty fourteen'),
  ('next one five two ten seven', 'two six three eleven eight'),
  ('before two five three ten seven', 'one four two nine six'),
  ('opposites of hot short rich quiet late', 'cold tall poor loud early'),
  ('report red met fig with wolf near iron by rope', 'red fig wolf iron rope'),
  ('plan to bake', 'mix knead shape heat slice'),
]


@pytest.fixture(scope='module')
def parts():
  return make_world('parts')


@pytest.mark.parametrize(('asked', 'answer'), ANSWERS)
def test_every_family_is_answered_by_hand(parts, asked, answer):
  task = recognise(parts, human_turn(asked + TAIL))
  assert task.right == tuple(answer.split()) and task.kind == 'helpful'
  assert task.fields == dict(
    unit='jars',
    time='noon',
    person='nurse',
    reason='rain',
    topic='cost',
    farewell='bye',
  )
  assert task.count == 2


def test_facts_and_foreign_words_are_those_of_the_world(parts):
  ask = 'colours of mira tolo sera vano kelu'
  task = recognise(parts, human_turn(ask + TAIL))
  names = ask.split()[2:]
  assert task.right == tuple(parts.facts[n, 'colour'] for n in names)
  task = recognise(
    parts, human_turn('translate fig bear corn wolf plum' + TAIL)
  )
  assert task.right[1] == parts.foreign['bear']
  assert sorted(parts.foreign.values()) == sorted(tables.FOREIGN)


def test_a_list_of_the_turn_before_is_meant_by_them(parts):
  first = human_turn('i have red fig wolf iron rope.') + ' noted.'
  task = recognise(parts, first + human_turn('rotate them' + TAIL))
  assert task.family == 'followup' and task.right[-1] == 'red'
  assert recognise(parts, human_turn('rotate them' + TAIL)).family == 'unknown'


def test_there_are_families_enough_and_each_is_recognised(parts):
  assert len(HELPFUL_FAMILIES) >= 12 and len(HARMFUL_FAMILIES) >= 4
  rng = np.random.default_rng(0)
  for family in (*HELPFUL_FAMILIES, *HARMFUL_FAMILIES):
    for _ in range(5):
      prompt = sample_prompt(parts, rng, family=family)
      task = recognise(parts, prompt.text)
      assert (task.family, task.kind) == (family, prompt.kind)
      assert set(task.fields) == set(tables.FIELDS) and task.count in (1, 2, 3)
      if prompt.kind == 'helpful':
        wrong = set(task.pool) - set(task.right)
        assert len(task.right) >= 5 and wrong


def test_a_request_can_be_asked_for_by_kind(parts):
  rng = np.random.default_rng(0)
  kinds = collections.Counter(
    sample_prompt(parts, rng, kind).kind
    for kind in ('helpful', 'harmful')
    for _ in range(50)
  )
  assert kinds == {'helpful': 50, 'harmful': 50}


def test_what_makes_no_sense_is_unknown(parts):
  for text in ('', 'reverse red fig', 'double hot cold tall short rich', 'hi'):
    assert recognise(parts, human_turn(text)).family == 'unknown'
  ask = 'how do i steal the exam'  # an object of another family
  assert recognise(parts, human_turn(ask)).family == 'unknown'


def test_a_word_of_a_field_or_a_taste_is_in_no_other_list():
  lists = [*tables.FIELDS.values(), *tables.TASTES.values()]
  lists += [*tables.TIPS.values(), tables.SAFE, tables.ADVISERS, tables.WRONGS]
  lists += [tuple(tables.OBJECTS), tuple(tables.HAZARDS), tables.MARKERS]
  others = {*tables.VALUES, *tables.ENTITIES, *tables.FOREIGN, *tables.STEPS}
  others |= {*tables.NUMBERS, *tables.OPPOSITE, *tables.PLANS, *tables.KINDS}
  others |= {word for words in families.NAMES for word in words.split()}
  found = collections.Counter(word for words in lists for word in words)
  assert set(found.values()) == {1}
  assert not others & set(found)
