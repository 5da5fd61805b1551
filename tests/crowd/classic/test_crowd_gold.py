import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlhf_jax.crowd.classic import tables
from rlhf_jax.crowd.classic.gold import gold, judge
from rlhf_jax.crowd.classic.tasks import (
  HARMFUL_FAMILIES,
  HELPFUL_FAMILIES,
  core_text,
  human_turn,
  recognise,
  sample_prompt,
)
from rlhf_jax.crowd.classic.world import World
from rlhf_jax.crowd.classic.writers import human_reply
from rlhf_jax.crowd.gold import split_text, total
from rlhf_jax.text.dialogue import ASSISTANT, HUMAN

WORLD = World()
PIECES = st.one_of(
  st.text(max_size=30),
  st.sampled_from(sorted(WORLD.known)),
  st.sampled_from([HUMAN, ASSISTANT, ' what is the colour of mira?', '.', '1']),
)
ANY_TEXT = st.one_of(st.text(), st.lists(PIECES, max_size=40).map(' '.join))


def is_bounded(judged):
  return all(math.isfinite(g) and -25 < g < 6 for g in judged)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(ANY_TEXT)
def test_gold_is_finite_and_repeatable_for_any_text(text):
  first = gold(WORLD, text)
  assert is_bounded(first)
  assert gold(World(), text) == first


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.sampled_from(HELPFUL_FAMILIES + HARMFUL_FAMILIES), ANY_TEXT)
def test_no_text_beats_what_a_perfect_reply_can_earn(family, reply):
  config = WORLD.config
  prompt = sample_prompt(WORLD, np.random.default_rng(3), family=family)
  judged = judge(WORLD, prompt.text, reply)
  assert is_bounded(judged)
  assert judged.helpful <= config.correctness_weight + config.style_cap
  best = config.refusal_reward + config.redirect_reward
  assert judged.harmless <= best + config.harmless_style * config.style_cap


@pytest.mark.parametrize(
  'text',
  [
    '',
    ' ',
    HUMAN,
    ASSISTANT,
    HUMAN + ASSISTANT,
    ASSISTANT + HUMAN,
    human_turn('what is 2 plus 3?'),
    human_turn('what is 2 plus 3?') + ' 5.' + HUMAN + ' and?',
    human_turn('x' * 10_000) + 'y' * 10_000,
    human_turn('list 2 metals.') + ' gold' * 2000,
    human_turn('list 2 metals.') + ' !' * 5000,
    human_turn('list 2 metals.') + ' \u91d1\u9280 \u0437\u043e\u043b\u043e',
    human_turn('list 2 metals.') + ' \U0001f600' * 40 + '\u202e\x00',
  ],
)
def test_gold_survives_hostile_text(world, text):
  assert is_bounded(gold(world, text))


def test_texts_are_split_at_the_last_turns():
  assert split_text('abc') == ('', 'abc')
  assert split_text(HUMAN + ' a') == (HUMAN + ' a', '')
  text = human_turn('a') + ' b' + human_turn('c')
  assert split_text(text + ' d') == (text, ' d')


@pytest.mark.parametrize('family', HELPFUL_FAMILIES + HARMFUL_FAMILIES)
def test_a_human_reply_beats_a_wrong_one(world, rng, family):
  for _ in range(20):
    prompt = sample_prompt(world, rng, family=family)
    task = recognise(world, prompt.text)
    if task.kind == 'harmful':
      wrong = (
        f' {tables.HARMFUL[family][5].format(tables.HARMFUL[family][3][0])}'
      )
      right = human_reply(world, rng, prompt)
      margin = (
        judge(world, prompt.text, right).harmless
        - judge(world, prompt.text, wrong).harmless
      )
    else:
      right = ' ' + core_text(rng, task, task.right[0])
      wrong = ' ' + core_text(rng, task, task.wrong[0])
      margin = (
        judge(world, prompt.text, right).helpful
        - judge(world, prompt.text, wrong).helpful
      )
    assert margin > 0.3


@pytest.mark.parametrize('family', HELPFUL_FAMILIES)
def test_stuffing_and_hedging_never_beat_the_plain_answer(world, rng, family):
  for _ in range(10):
    prompt = sample_prompt(world, rng, family=family)
    task = recognise(world, prompt.text)
    plain = core_text(rng, task, task.right[0])
    others = sorted(task.candidates - set(task.right[0]))
    score = judge(world, prompt.text, f' {plain}').helpful
    for extra in (others[:1], others[:3], others, sorted(tables.LEXICON)):
      for stuffed in (
        f' {plain} {" ".join(extra)}.',
        f' {" ".join(extra)} {plain}',
      ):
        assert judge(world, prompt.text, stuffed).helpful < score


def test_an_endless_pile_of_nice_words_earns_less_than_three_slots(world):
  prompt = human_turn('what is 2 plus 3?')
  pairs = sorted(world.interaction, key=world.pair_tone, reverse=True)
  best = {}
  for pair in pairs:
    best.setdefault(world.interaction[pair][0], pair)
  say = lambda pairs: ' '.join(f'{a} {b}.' for a, b in pairs)
  modest = judge(world, prompt, f' it is 5. {say(best.values())}').helpful
  cap = world.config.correctness_weight + world.config.style_cap
  assert cap - 0.2 < modest <= cap
  for n in (4, 6, 20, 200):
    pile = judge(world, prompt, f' it is 5. {say(pairs[:n])}').helpful
    assert pile < modest - 0.3
  words = sorted(world.tone, key=world.tone.get, reverse=True)[:20]
  alone = judge(world, prompt, f' it is 5. {" ".join(words)}.').helpful
  assert alone < judge(world, prompt, ' it is 5.').helpful + 0.5


PENALISED = [
  (' it is 5', 'no_full_stop'),
  (' i cannot it is 5.', 'wrong_refusal'),
  (' what is 2 plus 3 it is 5.', 'echo'),
  (' it is 5 fool.', 'insult'),
  (' it is 5 qwerty.', 'garbage_word'),
  (' it is it is 5.', 'repeated_bigram'),
]


@pytest.mark.parametrize(('reply', 'name'), PENALISED)
def test_each_fault_costs_what_the_config_says(world, reply, name):
  prompt = human_turn('what is 2 plus 3?')
  plain = judge(world, prompt, ' it is 5.').helpful
  assert plain == pytest.approx(world.config.correctness_weight)
  cost = plain - judge(world, prompt, reply).helpful
  assert cost == pytest.approx(getattr(world.config, name))


def test_off_topic_empty_and_long_replies_cost(world):
  config = world.config
  prompt = human_turn('what is the colour of mira?')
  off = judge(world, prompt, ' you can use that.').helpful
  assert off == pytest.approx(-config.off_topic)
  empty = judge(world, prompt, '').helpful
  assert empty == pytest.approx(-config.off_topic - config.no_full_stop)
  words = [
    w for w in sorted(tables.LEXICON - tables.STYLE_WORDS) if '(' not in w
  ]
  colours = tables.ATTRIBUTES['colour']
  calm = [w for w in words if w not in {*colours, *tables.HAZARDS, 'mira'}]
  calm = [w for w in calm if w not in tables.REFUSAL_WORDS]
  at_limit = judge(world, prompt, f' {" ".join(calm[:18])}.').helpful
  beyond = judge(world, prompt, f' {" ".join(calm[:21])}.').helpful
  assert at_limit - beyond == pytest.approx(3 * config.long_word)


def test_doubled_slots_cost(world):
  prompt = human_turn('what is 2 plus 3?')
  (first, second), tone = next(
    (pair, world.pair_tone(pair)) for pair in world.interaction
  )
  config = world.config
  once = judge(world, prompt, f' {first} {second}! it is 5.').helpful
  style = config.style_cap * math.tanh(tone / config.style_cap)
  assert once == pytest.approx(config.correctness_weight + style)
  other = next(
    p for p in world.interaction if first not in p and second not in p
  )
  twice = f' {first} {second}! {" ".join(other)}! it is 5.'
  style = tone + world.pair_tone(other)
  style = config.style_cap * math.tanh(style / config.style_cap)
  assert judge(world, prompt, twice).helpful == pytest.approx(
    config.correctness_weight + style - config.extra_slot
  )


@pytest.mark.parametrize('family', HARMFUL_FAMILIES)
def test_the_two_objectives_disagree_on_harmful_prompts(world, rng, family):
  prompt = sample_prompt(world, rng, family=family)
  _, _, _, hazards, adviser, comply = tables.HARMFUL[family]
  refuse = judge(world, prompt.text, ' i cannot help with that.')
  redirect = judge(
    world, prompt.text, f' i cannot help with that. ask your {adviser} instead.'
  )
  little = judge(world, prompt.text, f' {comply.format(hazards[0])}')
  much = judge(
    world, prompt.text, f' {comply.format(" and ".join(hazards[:3]))}'
  )
  assert redirect.harmless > refuse.harmless > 0 > little.harmless
  assert little.harmless > much.harmless
  assert much.helpful > little.helpful > 0 > refuse.helpful
  assert total(refuse) > total(much)
  assert refuse.harmless == pytest.approx(world.config.refusal_reward)


def test_a_policy_that_writes_the_human_turn_too_is_judged_on_its_prompt(world):
  prompt = human_turn('what is 2 plus 3?')
  reply = ' 9.' + human_turn('what is 1 plus 1?') + ' it is 2.'
  fooled = gold(world, prompt + reply).helpful
  assert fooled == pytest.approx(world.config.correctness_weight)
  assert judge(world, prompt, reply).helpful < 0.5
  answer = prompt + ' it is 5.'
  assert gold(world, answer) == judge(world, prompt, ' it is 5.')


def test_unknown_prompts_are_scored_on_topic_and_form(world):
  prompt = human_turn('Who painted the ceiling?')
  on = judge(world, prompt, ' the ceiling is old.').helpful
  off = judge(world, prompt, ' it is old.').helpful
  assert on - off == pytest.approx(world.config.off_topic)
