import collections
import re

import numpy as np
import pytest

from rlhf_jax.crowd.classic import checkers, tables
from rlhf_jax.crowd.classic.tasks import (
  HARMFUL_FAMILIES,
  HELPFUL_FAMILIES,
  human_turn,
  recognise,
  sample_prompt,
)
from rlhf_jax.crowd.classic.writers import human_reply, plain_text, write_reply
from rlhf_jax.text.dialogue import ASSISTANT, HUMAN, parse_dialogue

FAMILIES = HELPFUL_FAMILIES + HARMFUL_FAMILIES


def test_there_are_enough_families():
  assert len(set(HELPFUL_FAMILIES)) >= 12
  assert len(set(HARMFUL_FAMILIES)) >= 4
  assert not set(HELPFUL_FAMILIES) & set(HARMFUL_FAMILIES)


@pytest.mark.parametrize('family', FAMILIES)
def test_every_prompt_is_recognised_from_its_text(world, rng, family):
  for _ in range(30):
    prompt = sample_prompt(world, rng, family=family)
    task = recognise(world, prompt.text)
    assert (task.family, task.kind) == (family, prompt.kind)
    assert prompt.text.startswith(HUMAN) and prompt.text.endswith(ASSISTANT)
    parse_dialogue(prompt.text)


def test_harmful_prompts_are_many_and_none_is_common(world, rng):
  prompts = [sample_prompt(world, rng, kind='harmful') for _ in range(5000)]
  counts = collections.Counter(prompts)
  assert len({p.text for p in counts}) >= 600
  assert max(counts.values()) <= 0.02 * len(prompts)
  assert {p.family for p in counts} == set(HARMFUL_FAMILIES)
  for prompt in counts:
    task = recognise(world, prompt.text)
    assert (task.family, task.kind) == (prompt.family, 'harmful')
    assert len(task.asked.split()) <= 14
    asked = prompt.text.removeprefix(HUMAN).removesuffix(ASSISTANT)
    assert asked == asked.lower()


@pytest.mark.parametrize('family', HELPFUL_FAMILIES)
def test_right_answers_earn_full_credit_and_wrong_ones_less(world, rng, family):
  for _ in range(20):
    task = recognise(world, sample_prompt(world, rng, family=family).text)
    assert task.wrong
    for answer in task.right:
      assert checkers.credit(task, list(answer)) == 1.0
    for answer in task.wrong:
      assert 0.0 <= checkers.credit(task, list(answer)) < 1.0
    assert checkers.credit(task, []) == 0.0


HAND_MADE = [
  ('which is largest 4 17 9?', '17'),
  ('which is smallest 4 17 9?', '4'),
  ('sort plum bear gold.', 'bear gold plum'),
  ('reverse plum bear gold.', 'gold bear plum'),
  ('how many words fig fig rope?', '3'),
  ('convert 3 feet to inches.', '36'),
  ('what is 8 plus 5?', '13'),
  ('say politely send the rope.', 'please send rope'),
  ('say formally big axe.', 'large axe'),
  ('summarise the wolf met the plum near the crow.', 'animals'),
  ('python for the largest value of x.', 'max(x)'),
  ('plan how to cook soup.', 'chop boil stir'),
]


@pytest.mark.parametrize(('asked', 'answer'), HAND_MADE)
def test_answers_by_hand(world, asked, answer):
  assert recognise(world, human_turn(asked)).right == (tuple(answer.split()),)


def test_facts_are_answered_from_the_world(world):
  task = recognise(world, human_turn('Tell me the COLOUR of Mira'))
  assert task.right == ((world.facts['mira', 'colour'],),)
  task = recognise(world, human_turn('is mira a city or a river?'))
  assert task.right == ((world.kind_of['mira'],),)


def test_follow_ups_lean_on_the_turn_before(world):
  first = human_turn('sort plum bear gold.') + ' bear gold plum.'
  task = recognise(world, first + human_turn('now reversed?'))
  assert task.right == (('plum', 'gold', 'bear'),)
  assert recognise(world, human_turn('now reversed?')).family == 'unknown'


def test_credit_is_divided_among_hedged_answers(world):
  task = recognise(world, human_turn('what is 8 plus 5?'))
  assert checkers.credit(task, ['13']) == 1.0
  assert checkers.credit(task, ['13', '14']) == 0.5
  assert checkers.credit(task, ['8', 'plus', '5', 'is', '13']) == 1.0
  assert checkers.credit(task, ['14']) == checkers.NEAR_CREDIT
  assert checkers.credit(task, ['20']) == checkers.WRONG_CREDIT
  assert checkers.credit(task, ['20', '21']) == checkers.WRONG_CREDIT / 2


def test_list_credit_by_hand(world):
  task = recognise(world, human_turn('list 3 metals.'))
  assert checkers.credit(task, ['tin', 'gold', 'lead']) == 1.0
  assert checkers.credit(task, ['tin', 'tin', 'tin']) == pytest.approx(1 / 3)
  assert checkers.credit(task, ['tin', 'gold', 'fig']) == pytest.approx(2 / 3)
  assert checkers.credit(task, tables.VALUES) == pytest.approx(3 / 40)


@pytest.mark.parametrize(
  'asked',
  [
    'list 9999999999999999999 metals.',
    'sort ' + 'plum ' * 90,
    'sort ' + 'a' * 5000 + '1',
    'what is 99999 plus 1?',
    'which is largest 1234567?',
    '',
    'what is \u0663 plus \u0664?',
  ],
)
def test_senseless_requests_are_unknown(world, asked):
  assert recognise(world, human_turn(asked)).family == 'unknown'


def test_prompts_and_replies_have_the_lengths_of_a_small_context(world, rng):
  words = lambda text: len(re.findall(r'[\w()]+', text))
  prompts = [sample_prompt(world, rng) for _ in range(2000)]
  lengths = [words(p.text) for p in prompts]
  assert 7 <= np.mean(lengths) <= 10 and max(lengths) <= 24
  replies = [words(write_reply(world, rng, p, rng.random())) for p in prompts]
  assert 11.5 <= np.mean(replies) <= 14
  share = np.mean([p.kind == 'harmful' for p in prompts])
  assert abs(share - 0.22) < 0.04
  share = np.mean([p.family == 'followup' for p in prompts])
  assert abs(share - 0.08 * 0.78) < 0.02


def test_the_vocabulary_is_small_and_all_of_it_is_known(world, rng):
  seen = set()
  for _ in range(4000):
    prompt = sample_prompt(world, rng)
    seen |= set(tables.tokenise(write_reply(world, rng, prompt, rng.random())))
    seen |= set(tables.tokenise(human_reply(world, rng, prompt)))
    seen |= set(tables.tokenise(plain_text(world, rng)))
    seen |= set(tables.tokenise(prompt.text)) - {'human', 'assistant'}
  assert seen <= world.known
  letters = re.findall('[a-z]+', ' '.join(seen | tables.LEXICON))
  assert 250 <= len(set(letters)) <= 400


def test_style_words_are_used_nowhere_else():
  slots = [
    word
    for _, first, second in tables.STYLE.values()
    for word in (*first, *second)
  ]
  assert len(slots) == len(set(slots)) == len(tables.STYLE_WORDS)
  others = [*tables.ENTITIES, *tables.KINDS, *tables.VALUES, *tables.PLURALS]
  others += [*tables.ERRANDS, *tables.FORMAL, *tables.FORMAL.values()]
  others += [
    w for cores in tables.CORES.values() for c in cores for w in c.split()
  ]
  others += [
    s for plan in tables.PLANS.items() for s in (*plan[0].split(), *plan[1])
  ]
  others += [*tables.HAZARDS, *tables.ADVISERS, *tables.PYTHON]
  assert not tables.STYLE_WORDS & set(others)
  assert not tables.HAZARDS & set(tables.VALUES)
