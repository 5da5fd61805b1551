"""How prompts are drawn, and how turns lean on the turns before them."""

import collections

import pytest

from rlhf_jax.crowd.classic import tables, tasks
from rlhf_jax.crowd.classic.tasks import (
  HARMFUL_FAMILIES,
  HELPFUL_FAMILIES,
  human_turn,
  recognise,
  sample_prompt,
)
from rlhf_jax.crowd.classic.world import World, WorldConfig
from rlhf_jax.text.dialogue import ASSISTANT, HUMAN
from tests.crowd.shares import assert_share, assert_shares


def test_facts_are_asked_thrice_and_categories_twice_as_often(world, rng):
  drawn = [sample_prompt(world, rng, kind='helpful') for _ in range(6000)]
  assert {prompt.kind for prompt in drawn} == {'helpful'}
  counts = collections.Counter(prompt.family for prompt in drawn)
  assert_share(counts.pop('followup'), 6000, 0.08)
  ordinary = set(HELPFUL_FAMILIES) - {'fact', 'category', 'followup'}
  shares = {'fact': 3 / 18, 'category': 2 / 18}
  assert_shares(counts, shares | dict.fromkeys(ordinary, 1 / 18))


def test_harmful_families_and_their_words_are_drawn_evenly(world, rng):
  drawn = [sample_prompt(world, rng, kind='harmful') for _ in range(3000)]
  counts = collections.Counter(prompt.family for prompt in drawn)
  assert_shares(counts, dict.fromkeys(HARMFUL_FAMILIES, 1 / 5))
  words = collections.Counter(w for p in drawn for w in tables.tokenise(p.text))
  for names, n in (
    (('steal', 'forge', 'smuggle'), counts['crime']),
    (('bomb', 'gun', 'knife'), counts['weapon']),
    (tables.ENTITIES, 3000),
  ):
    found = {name: words[name] for name in names}
    assert sum(found.values()) == n
    even = 1 / len(names)
    assert_shares(found, dict.fromkeys(names, even))


@pytest.mark.parametrize('share', [0.0, 1.0])
def test_the_shares_of_harm_and_of_follow_ups_are_settings(rng, share):
  world = World(WorldConfig(harmful_share=share))
  kinds = {sample_prompt(world, rng).kind for _ in range(100)}
  assert kinds == {'harmful' if share else 'helpful'}
  world = World(WorldConfig(harmful_share=0.0, followup_share=share))
  families = {sample_prompt(world, rng).family for _ in range(100)}
  assert ('followup' in families) == bool(share)
  assert (families == {'followup'}) == bool(share)


FOLLOW_UPS = [
  ('which is largest 4 17 9?', 'and the smallest?', ('4',)),
  ('reverse plum bear gold.', 'now reversed?', None),
  ('which is smallest 4 17 9?', 'and the smallest?', None),
  ('sort plum bear gold.', 'and of mira?', None),
  ('who was that?', 'and of mira?', None),
]


@pytest.mark.parametrize(('first', 'second', 'answer'), FOLLOW_UPS)
def test_a_follow_up_needs_the_turn_it_leans_on(world, first, second, answer):
  prompt = human_turn(first) + ' hm.' + human_turn(second)
  task = recognise(world, prompt)
  assert task.family == ('followup' if answer else 'unknown')
  assert task.right == ((answer,) if answer else ())


def test_a_fact_that_is_asked_again_is_of_the_second_entity(world):
  first = human_turn('tell me the colour of mira.') + ' red.'
  task = recognise(world, first + human_turn('and of tolo?'))
  assert task.right == ((world.facts['tolo', 'colour'],),)
  assert task.asked == 'and of tolo' and {'tolo', 'colour'} <= task.topic
  stranger = recognise(world, first + human_turn('and of london?'))
  assert stranger.family == 'unknown'


def test_three_families_are_followed_up_facts_half_of_the_time(world, rng):
  counts = collections.Counter()
  for _ in range(1200):
    text = sample_prompt(world, rng, family='followup').text
    counts[text.rsplit(HUMAN)[-1].split()[1]] += 1
  assert_shares(counts, {'of': 0.5, 'reversed?': 0.25, 'the': 0.25})


def test_only_the_last_human_turn_and_its_first_400_letters_are_read(world):
  turn = human_turn('what is 2 plus 3?')
  later = human_turn('what is 1 plus 1?') + ' 2.' + turn
  assert recognise(world, later).right == (('5',),)
  assert recognise(world, turn + ' what is 1 plus 1?').right == (('5',),)
  spaces = ' ' * (400 - len(' what is 2 plus 3'))
  padded = f'{HUMAN} what is 2 plus 3{spaces}'
  assert recognise(world, f'{padded}9{ASSISTANT}').right == (('5',),)
  shorter = f'{HUMAN} what is 2 plus 3{spaces[1:]}9{ASSISTANT}'
  assert recognise(world, shorter).family == 'unknown'


def test_the_topic_of_an_unknown_request_is_its_longer_words(world):
  task = recognise(world, human_turn('Who MADE the big table?'))
  assert task.topic == {'made', 'table'}
  assert task.asked == 'who made the big table'
  assert recognise(world, 'what is 2 plus 3?').asked == ''


def test_tasks_are_kept_until_the_cache_is_full(monkeypatch):
  world = World()
  monkeypatch.setattr(tasks, 'MAX_CACHED_TASKS', 2)
  turns = [human_turn(f'what is {i} plus 3?') for i in range(3)]
  first = recognise(world, turns[0])
  assert recognise(world, turns[0]) is first
  recognise(world, turns[1])
  assert set(world.task_cache) == set(turns[:2])
  recognise(world, turns[2])
  assert set(world.task_cache) == {turns[2]}
  assert recognise(world, turns[0]) == first
  long = human_turn('x' * 2000)
  assert recognise(world, long) == recognise(world, long)
  assert long not in world.task_cache
