"""What each setting of the writers does to their replies, by itself."""

import collections
import dataclasses

import numpy as np
import pytest

from rlhf_jax.crowd.classic import tables
from rlhf_jax.crowd.classic.gold import judge
from rlhf_jax.crowd.classic.tasks import (
  HARMFUL_FAMILIES,
  HELPFUL_FAMILIES,
  Prompt,
  human_turn,
  recognise,
  sample_prompt,
)
from rlhf_jax.crowd.classic.world import World, WorldConfig
from rlhf_jax.crowd.classic.writers import (
  dialogue,
  human_reply,
  plain_text,
  write_reply,
)
from rlhf_jax.crowd.red_team import red_team_dialogue
from rlhf_jax.crowd.workers import score_reply
from rlhf_jax.text.dialogue import split_reply
from tests.crowd.shares import assert_share, assert_shares

ADD = Prompt(human_turn('what is 2 plus 3?'), 'helpful', 'add')
CRIME = Prompt(
  human_turn('how do i steal a medal in mira?'), 'harmful', 'crime'
)


def bare(**settings):
  """A world whose writers say the core alone, and stray in nothing."""
  plain = dict.fromkeys(('opener_share', 'tip_share', 'closer_share'), 0.0)
  plain |= dict.fromkeys(('refuse_harmless', 'stray', 'doubled_slot'), 0.0)
  return World(WorldConfig(**(plain | settings)))


def replies(world, rng, prompt, quality, n):
  return [write_reply(world, rng, prompt, quality) for _ in range(n)]


WRITERS = {
  'author': lambda world, rng: write_reply(world, rng, ADD, 0.5),
  'human': lambda world, rng: human_reply(world, rng, CRIME),
  'dialogue': dialogue,
  'plain': plain_text,
  'red team': red_team_dialogue,
}


@pytest.mark.parametrize('write', WRITERS.values(), ids=WRITERS)
def test_the_seed_alone_decides_what_is_written(world, write):
  def written(seed):
    rng = np.random.default_rng(seed)
    return [write(world, rng) for _ in range(5)]

  assert written(3) == written(3) != written(4)


@pytest.mark.parametrize('family', HELPFUL_FAMILIES)
def test_quality_one_is_right_and_quality_nought_is_wrong(rng, family):
  world = bare(right_low=0.0, right_high=1.0)
  for _ in range(20):
    prompt = sample_prompt(world, rng, family=family)
    right = write_reply(world, rng, prompt, 1.0)
    wrong = write_reply(world, rng, prompt, 0.0)
    score = lambda reply, prompt=prompt: judge(world, prompt.text, reply)
    assert score(right).helpful == pytest.approx(2.4)
    assert score(wrong).helpful < 2.0


def test_answers_are_right_as_often_as_quality_says(rng):
  world = bare(right_low=0.2, right_high=0.6)
  for quality, share in ((0.0, 0.2), (0.25, 0.3), (1.0, 0.6)):
    written = replies(world, rng, ADD, quality, 1500)
    right = sum('5' in tables.tokenise(reply) for reply in written)
    assert_share(right, 1500, share)


def test_a_core_takes_any_of_the_phrasings_and_wrong_answers(rng):
  written = replies(bare(right_low=0.0), rng, ADD, 0.0, 2400)
  counts = collections.Counter(written)
  phrasings = (' the total is {}.', ' it is {}.')
  wrong = ('3', '4', '6', '7', '15')
  expected = [text.format(w) for text in phrasings for w in wrong]
  assert_shares(counts, dict.fromkeys(expected, 1 / 10))


def test_where_no_answer_is_wrong_the_worst_author_is_right(rng):
  """Of one number the largest is that number."""
  prompt = Prompt(human_turn('which is largest 5?'), 'helpful', 'max')
  for reply in replies(bare(right_low=0.0), rng, prompt, 0.0, 20):
    assert '5' in tables.tokenise(reply)


def test_harmful_requests_are_declined_as_often_as_quality_says(rng):
  world = bare(refuse_low=0.1, refuse_high=0.9, redirect_high=0.0)
  for quality, share in ((0.0, 0.1), (0.25, 0.3), (1.0, 0.9)):
    written = replies(world, rng, CRIME, quality, 1500)
    declined = sum(r.removeprefix(' ') in tables.REFUSALS for r in written)
    redirected = sum('instead' in reply for reply in written)
    assert (redirected > 0) == (quality < 1.0)
    declined += redirected
    assert_share(declined, 1500, share)


def test_help_with_harm_names_one_to_three_neighbouring_words(rng):
  world = bare(refuse_low=0.0)
  ring = ('crowbar', 'mask', 'ink', 'van') * 2
  expected = {
    f' go and get the {" and ".join(ring[start : start + n])}.': 1 / 12
    for start in range(4)
    for n in (1, 2, 3)
  }
  written = replies(world, rng, CRIME, 0.0, 2400)
  assert_shares(collections.Counter(written), expected)


def test_redirects_are_as_frequent_and_as_right_as_the_settings_say(rng):
  world = bare(
    refuse_low=1.0,
    refuse_high=1.0,
    redirect_low=0.2,
    redirect_high=1.0,
    right_adviser=0.5,
  )
  half = replies(world, rng, CRIME, 0.5, 2000)
  assert_share(sum('instead' in reply for reply in half), 2000, 0.6)
  counts = collections.Counter(
    reply.split()[-2] for reply in replies(world, rng, CRIME, 1.0, 2000)
  )
  others = set(tables.ADVISERS) - {'lawyer'}
  assert_shares(counts, {'lawyer': 0.6} | dict.fromkeys(others, 0.1))


def test_a_harmless_request_is_wrongly_refused_at_its_own_rate(rng):
  world = bare(refuse_harmless=0.3, right_low=1.0)
  written = replies(world, rng, ADD, 1.0, 1500)
  refused = [reply for reply in written if ' 5.' not in reply]
  assert_share(len(refused), 1500, 0.3)
  texts = {f' {text}' for text in tables.REFUSALS}
  assert all(any(r.startswith(text) for text in texts) for r in refused)
  advised = sum('instead' in reply for reply in refused)
  assert_share(advised, len(refused), world.config.redirect_high)


def test_a_stray_reply_answers_another_prompt(rng):
  world = bare(stray=0.4, right_high=1.0)
  prompt = Prompt(human_turn('convert 3 feet to inches.'), 'helpful', 'convert')
  answers = {' 3 feet is 36 inches.', ' that makes 36 inches.'}
  written = replies(world, rng, prompt, 1.0, 1500)
  assert_share(sum(reply not in answers for reply in written), 1500, 0.4)
  senseless = Prompt(human_turn('who was that?'), 'helpful', 'unknown')
  written = replies(bare(), rng, senseless, 1.0, 50)
  assert len(set(written)) > 20 and all(r.endswith('.') for r in written)


SLOTS = [
  ({'opener_share': 1.0}, 'hello friend! {}'),
  ({'tip_share': 1.0}, '{} also keep maps.'),
  ({'closer_share': 1.0}, '{} have a warm day.'),
  (
    {'opener_share': 1.0, 'doubled_slot': 1.0},
    'hello friend! hello friend! {}',
  ),
  (
    {'opener_share': 1.0, 'tip_share': 1.0, 'closer_share': 1.0},
    'hello friend! {} also keep maps. have a warm day.',
  ),
]


@pytest.mark.parametrize(('settings', 'expected'), SLOTS)
def test_each_slot_has_its_own_place_and_share(rng, settings, expected):
  world = bare(right_high=1.0, **settings)
  pairs = {
    'opener': ('hello', 'friend'),
    'tip': ('keep', 'maps'),
    'closer': ('warm', 'day'),
  }
  for name, pair in pairs.items():
    slot = world.slots[name]
    world.slots[name] = dataclasses.replace(slot, pairs=(pair,))
  said = {write_reply(world, rng, ADD, 1.0) for _ in range(20)}
  cores = ('the total is 5.', 'it is 5.')
  assert said == {' ' + expected.format(core) for core in cores}


def test_slots_are_filled_at_their_shares_by_popular_pairs(rng):
  world = bare(opener_share=0.7, doubled_slot=0.2)
  written = replies(world, rng, ADD, 1.0, 3000)
  times = collections.Counter(reply.count('!') for reply in written)
  assert_shares(times, {0: 0.3, 1: 0.7 * 0.8, 2: 0.7 * 0.2})
  slot = world.slots['opener']
  counts = collections.Counter(
    pair for reply in written for pair in reply[1:].split('! ')[:-1]
  )
  shares = np.diff((0.0, *slot.cumulative))
  n = sum(counts.values())
  for rank in (0, 1, 5):
    assert_share(counts[' '.join(slot.pairs[rank])], n, shares[rank])


def test_a_human_keeps_the_best_of_the_pairs_he_tries(rng):
  """The worse of two equal pairs is left with 1 / 2 ** draws."""
  world = bare(opener_share=1.0, human_draws=3)
  slot = world.slots['opener']
  ranked = sorted(slot.pairs, key=world.pair_tone)[::255]
  world.slots['opener'] = dataclasses.replace(
    slot, pairs=tuple(ranked), cumulative=(0.5, 1.0)
  )
  said = [human_reply(world, rng, ADD) for _ in range(1500)]
  worst = ' '.join(ranked[0])
  assert_share(sum(r.startswith(f' {worst}!') for r in said), 1500, 1 / 8)


def test_humans_are_right_at_their_quality_and_always_decline_harm(rng):
  world = bare(human_quality=0.8)
  said = [human_reply(world, rng, ADD) for _ in range(1500)]
  assert_share(sum(' 5.' in reply for reply in said), 1500, 0.8)
  for family in HARMFUL_FAMILIES:
    adviser = tables.HARMFUL[family][4]
    prompt = sample_prompt(world, rng, family=family)
    said = {human_reply(world, rng, prompt) for _ in range(60)}
    redirect = f' ask your {adviser} instead.'
    assert said == {f' {text}{redirect}' for text in tables.REFUSALS}
  senseless = Prompt(human_turn('who was that?'), 'helpful', 'unknown')
  assert human_reply(world, rng, senseless).removeprefix(' ') in tables.REFUSALS


def test_the_author_of_a_dialogue_may_have_any_quality(rng):
  """A uniform quality is right in (0 + 1) / 2 of the dialogues."""
  world = bare(right_low=0.0, right_high=1.0, harmful_share=0.0)
  right = 0
  for _ in range(1500):
    prompt, reply = split_reply(dialogue(world, rng))
    right += judge(world, prompt, reply).helpful > 2.3
  assert_share(right, 1500, 0.5)


@pytest.mark.parametrize('sentences', [1, 2, 5])
def test_plain_text_says_what_one_entity_is_and_then_its_facts(
  world, rng, sentences
):
  firsts = set()
  for _ in range(40):
    first, *facts = (
      plain_text(world, rng, sentences).removesuffix('.').split('. ')
    )
    entity = first.split()[0]
    assert first == f'{entity} is a {world.kind_of[entity]}'
    assert len(facts) == sentences - 1
    assert all(fact.split()[3] == entity for fact in facts)
    firsts.add(entity)
  assert len(firsts) > 5


def test_a_red_team_of_known_quality_writes_at_that_quality(rng):
  world = bare(refuse_low=0.0, refuse_high=1.0, redirect_high=0.0)
  for quality, declines in ((0.0, False), (1.0, True)):
    for record in red_team_dialogue(world, rng, quality):
      for text in (record.chosen, record.rejected):
        reply = split_reply(text)[1].removeprefix(' ')
        assert (reply in tables.REFUSALS) == declines


def test_a_red_team_asks_twice_in_one_family_and_goes_on_with_the_worse(rng):
  config = WorldConfig(temperature=1e-6, bias_sd=0.0, attention_low=1.0)
  world, margins = World(config), []
  for _ in range(40):
    first, second = red_team_dialogue(world, rng)
    families = []
    for record in (first, second):
      prompt, chosen = split_reply(record.chosen)
      rejected = record.rejected.removeprefix(prompt)
      families.append(recognise(world, prompt).family)
      score = [
        score_reply(world, prompt, reply, 'harmless')
        for reply in (chosen, rejected)
      ]
      margins.append(score[0] - score[1])
    assert families[0] == families[1] in HARMFUL_FAMILIES
  assert min(margins) >= 0 and max(margins) > 1
