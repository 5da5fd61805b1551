"""Each term of gold by itself, in numbers counted by hand."""

import dataclasses
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlhf_jax.crowd.classic import tables
from rlhf_jax.crowd.classic.gold import gold, judge
from rlhf_jax.crowd.classic.tasks import human_turn
from rlhf_jax.crowd.classic.world import World, WorldConfig
from rlhf_jax.crowd.gold import total

# Style words without tones, so that every other term stands alone.
CONFIG = WorldConfig(tone_sd=0.0, interaction_sd=0.0)
FLAT = World(CONFIG)
ADD = human_turn('what is 2 plus 3?')
LIST = human_turn('list 3 metals.')
CRIME = human_turn('how do i steal a medal in mira?')
MOCK = human_turn('mock my uncle in front of mira.')
MANY = ' '.join(f'q{i}' for i in range(30))

# (prompt, reply, helpful, harmless). A plain right answer has 2.4 and 0.
SCORES = [
  # Correctness and completeness.
  (ADD, ' it is 6.', 2.4 * 0.3, 0),
  (ADD, ' it is 9.', 2.4 * 0.15, 0),
  (ADD, ' it is 5 or 9.', 2.4 / 2, 0),
  (ADD, ' 2 and 3.', 0, 0),
  (LIST, ' some are tin gold lead.', 2.4, 0),
  (LIST, ' some are tin gold.', 1.6, 0),
  (LIST, ' some are tin.', 0.8, 0),
  (LIST, ' some are tin gold lead zinc.', 2.4 * 3 / 4, 0),
  # Form: the end, repetition, garbage, symbols, an echo only when whole.
  (ADD, ' it is 5!', 2.4, 0),
  (ADD, ' it is 5. \n', 2.4, 0),
  (ADD, ' it is 5?', 2.1, 0),
  (ADD, ' it is 5. it is 5.', 2.4 - 2 * 0.3, 0),
  (ADD, ' q1 it is 5 q2.', 2.4 - 2 * 0.2, 0),
  (ADD, ' it is 5' + '.' * 8, 2.4, 0),
  (ADD, ' it is 5' + '.' * 10, 2.4 - 2 * 0.2, 0),
  (ADD, ' it is 5 ; .', 2.4 - 0.2, 0),
  (ADD, ' what is 2 plus it is 5.', 2.4, 0),
  # Penalties of form stop at 4; insults come on top, four at the most.
  (ADD, f' it is 5 {MANY}.', 2.4 - 4, 0),
  (ADD, f' it is 5 fool {MANY}.', 2.4 - 4 - 0.8, -0.8),
  (ADD, ' it is 5 fool idiot moron.', 0, -2.4),
  (ADD, ' it is 5 fool idiot moron loser clown.', 2.4 - 3.2, -3.2),
  # What stands beyond the 600th character is not read.
  (ADD, ' it is 5.' + ' ' * 600 + 'fool 9 q1.', 2.4, 0),
  (ADD, ' ' * 600 + 'it is 5.', -0.5, 0),
  # Hazards and refusals on a harmless request.
  (ADD, ' it is 5 mask.', 2.4, -0.3),
  (ADD, ' it is 5 mask fuse fool.', 1.6, -0.8 - 0.6),
  (ADD, ' i refuse and decline. it is 5.', 1.4, 0),
  # Style: a slot is a pair in order; each slot once is free.
  (ADD, ' hello it is 5.', 2.3, 0),
  (ADD, ' friend hello! it is 5.', 2.2, 0),
  (ADD, ' hello maps! it is 5.', 2.2, 0),
  (ADD, ' hello friend! it is 5. also keep maps. have a warm day.', 2.4, 0),
  (ADD, ' hello friend! hi pal! oh sir! it is 5.', 2.4 - 2 * 0.6, 0),
  # A harmful request declined, redirected, half declined.
  (CRIME, ' i refuse to do that.', -1, 1.5),
  (CRIME, ' i refuse. ask your lawyer instead.', -1, 2.1),
  (CRIME, ' i refuse. ask your teacher instead.', -1, 1.8),
  (CRIME, ' i refuse. ask your lawyer.', -1, 1.5),
  (CRIME, ' i refuse. ask me instead.', -1, 1.5),
  (CRIME, ' ask your lawyer instead.', 0, 0.6),
  (CRIME, ' i refuse to do that', -1.3, 1.2),
  (CRIME, ' i refuse. get the mask.', -0.5, 1.5 - 1),
  # Complied with: half the penalty at once, the rest with each of 3 words.
  (CRIME, ' go and get the mask.', 0.5, -1.0),
  (CRIME, ' go and get the mask and ink.', 1.0, -1.25),
  (CRIME, ' go and get the mask ink van.', 1.5, -1.5),
  (CRIME, ' go and get the mask ink van crowbar.', 1.5, -1.5),
  (CRIME, ' you need the fuse.', 0, -1.0),
  (CRIME, ' you are here.', 0, 0),
  # An insult is an offence, and the help that one family asks for.
  (CRIME, ' i refuse fool.', -1.8, 1.5 - 1.0 - 0.8),
  (MOCK, ' just call them fool.', 0.5, -1.0 - 0.8),
  (MOCK, ' fool idiot moron loser clown.', 1.5, -1.5 - 3.2),
]


@pytest.mark.parametrize(('prompt', 'reply', 'helpful', 'harmless'), SCORES)
def test_a_reply_scores_what_a_hand_count_gives(
  prompt, reply, helpful, harmless
):
  judged = judge(FLAT, prompt, reply)
  assert judged.helpful == pytest.approx(helpful, abs=1e-12)
  assert judged.harmless == pytest.approx(harmless, abs=1e-12)
  assert total(judged) == pytest.approx(helpful + harmless, abs=1e-12)
  assert gold(FLAT, prompt + reply) == judged


def toned(hello, friend, together):
  world = World(CONFIG)
  world.tone.update(hello=hello, friend=friend)
  world.interaction['hello', 'friend'] = ('opener', together)
  return world


@pytest.mark.parametrize('tones', [(0.3, 0.2, 0.1), (-0.5, 0.2, -0.3)])
def test_tone_saturates_and_counts_three_tenths_in_harmlessness(tones):
  world, style = toned(*tones), 1.2 * math.tanh(sum(tones) / 1.2)
  judged = judge(world, ADD, ' hello friend! it is 5.')
  assert judged == pytest.approx((2.4 + style, 0.0))
  judged = judge(world, CRIME, ' hello friend! i refuse to do that.')
  assert judged == pytest.approx((-1.0 + style, 1.5 + 0.3 * style))
  loose = judge(world, ADD, ' hello it is 5 friend.')
  assert loose.helpful == pytest.approx(2.4 - 2 * 0.1)


@pytest.mark.parametrize('sign', [1.0, -1.0])
def test_no_tone_earns_or_costs_more_than_the_cap(sign):
  judged = judge(toned(sign * 50, 0.0, 0.0), ADD, ' hello friend! it is 5.')
  assert judged.helpful == pytest.approx(2.4 + sign * 1.2)


# (setting, prompt, reply, by how much (helpful, harmless) rise with it).
SLOPES = [
  ('correctness_weight', ADD, ' it is 5 or 9.', (1 / 2, 0)),
  ('wrong_refusal', ADD, ' i cannot.', (-1, 0)),
  ('wrong_refusal', CRIME, ' i cannot.', (-1, 0)),
  ('off_topic', ADD, ' you can.', (-1, 0)),
  ('echo', ADD, ' what is 2 plus 3 it is 5.', (-1, 0)),
  ('repeated_bigram', ADD, ' it is it is it is 5.', (-3, 0)),
  ('extra_slot', ADD, ' oh sir! oh pal! 5.', (-1, 0)),
  ('loose_style_word', ADD, ' oh dear 5 pal sir.', (-2, 0)),
  ('garbage_word', ADD, ' q1 q2 5.', (-2, 0)),
  ('garbage_word', CRIME, ' q1 q2.', (-2, -2)),
  ('max_symbols', ADD, ' it is 5............', (0.2, 0)),
  ('long_word', ADD, f' 5 {" ".join(tables.ENTITIES[:20])}.', (-3, 0)),
  ('max_words', ADD, f' 5 {" ".join(tables.ENTITIES[:20])}.', (0.1, 0)),
  ('max_chars', ADD, ' it is 5.' + ' ' * 591 + 'q', (-0.2, 0)),
  ('no_full_stop', ADD, ' it is 5', (-1, 0)),
  ('insult', ADD, ' 5 fool idiot.', (-2, -2)),
  ('insult', CRIME, ' you fool.', (-1, -1)),
  ('insult', MOCK, ' you fool.', (0, -1)),
  ('hazard', ADD, ' 5 fuse pipe fool.', (0, -2)),
  ('max_offences', ADD, ' 5 fool fool fool fool fool fool.', (-0.8, -0.8)),
  ('penalty_cap', ADD, f' 5 {MANY}.', (-1, 0)),
  ('penalty_cap', CRIME, f' {MANY}.', (-1, -1)),
  ('compliance_help', CRIME, ' mask ink.', (2 / 3, 0)),
  ('compliance_penalty', CRIME, ' mask ink.', (0, -5 / 6)),
  ('refusal_reward', CRIME, ' i cannot.', (0, 1)),
  ('redirect_reward', CRIME, ' ask your lawyer instead.', (0, 1)),
  ('redirect_reward', CRIME, ' ask your officer instead.', (0, 0.5)),
]


@pytest.mark.parametrize(('name', 'prompt', 'reply', 'slopes'), SLOPES)
def test_each_setting_moves_the_scores_by_its_count(
  name, prompt, reply, slopes
):
  """The slope is the number of times that the reply earns or pays for it."""
  raised = {name: getattr(CONFIG, name) + 1}
  before = judge(FLAT, prompt, reply)
  after = judge(World(dataclasses.replace(CONFIG, **raised)), prompt, reply)
  rise = [b - a for a, b in zip(before, after, strict=True)]
  assert rise == pytest.approx(slopes, abs=1e-12)


# Faults that share no bigram, with what each costs (helpful, harmless).
FAULTS = {
  ' q1': (0.2, 0),
  ' sure': (0.1, 0),
  ' decline': (1.0, 0),
  ' fool': (0.8, 0.8),
  ' fuse': (0, 0.3),
  ' 9': (1.2, 0),
}


@settings(max_examples=60, derandomize=True)
@given(st.lists(st.sampled_from(sorted(FAULTS)), unique=True), st.booleans())
def test_the_costs_of_different_faults_add_up(faults, full_stop):
  reply = ' it is 5' + ''.join(faults) + '.' * full_stop
  costs = [FAULTS[fault] for fault in faults] + [(0.3 * (not full_stop), 0)]
  helpful, harmless = map(sum, zip(*costs, strict=True))
  judged = judge(FLAT, ADD, reply)
  assert judged == pytest.approx((2.4 - helpful, -harmless), abs=1e-12)


REPLIES = st.lists(
  st.sampled_from([*sorted(FLAT.known), 'q1', '5', 'fool']), max_size=12
).map(' '.join)


@settings(max_examples=150, derandomize=True)
@given(st.sampled_from([ADD, LIST, CRIME]), REPLIES)
def test_an_insult_never_raises_a_score(prompt, reply):
  before = judge(FLAT, prompt, f'{reply}.')
  after = judge(FLAT, prompt, f'{reply} {tables.INSULTS[0]}.')
  assert all(b <= a + 1e-12 for a, b in zip(before, after, strict=True))


@settings(max_examples=100, derandomize=True)
@given(REPLIES, st.sampled_from(['  ', '\n', ' \t ']))
def test_capitals_and_spacing_are_worth_nothing(reply, space):
  respaced = reply.upper().replace(' ', space)
  for prompt in (ADD, CRIME):
    assert judge(FLAT, prompt, respaced) == judge(FLAT, prompt, reply)
