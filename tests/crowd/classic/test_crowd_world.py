import collections
import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlhf_jax.crowd.classic import tables
from rlhf_jax.crowd.classic.world import (
  World,
  WorldConfig,
  pick,
  zipf_cumulative,
)
from tests.crowd.shares import assert_shares


class Fixed:
  """A generator that draws one known number."""

  def __init__(self, draw):
    self.draw = draw

  def random(self):
    return self.draw


@settings(max_examples=60, derandomize=True)
@given(st.integers(1, 60), st.floats(0, 3))
def test_the_share_of_a_rank_is_a_power_of_the_rank(n, exponent):
  cumulative = zipf_cumulative(n, exponent)
  shares = np.diff([0.0, *cumulative])
  assert cumulative[-1] == pytest.approx(1.0)
  ranks = np.arange(1, n + 1)
  np.testing.assert_allclose(shares / shares[0], ranks**-exponent, atol=1e-12)


@pytest.mark.parametrize(
  ('draw', 'uniform', 'weighted'),
  [
    (0.0, 'a', 'a'),
    (0.49, 'b', 'a'),
    (0.5, 'c', 'b'),
    (0.75, 'd', 'c'),
    (0.9, 'd', 'd'),
    (0.999, 'd', 'd'),
  ],
)
def test_a_draw_falls_into_the_interval_that_holds_it(draw, uniform, weighted):
  assert pick(Fixed(draw), 'abcd') == uniform
  assert pick(Fixed(draw), 'abcd', (0.5, 0.75, 0.9, 0.99)) == weighted


def test_facts_kinds_and_values_are_drawn_evenly():
  counts, kinds = collections.Counter(), collections.Counter()
  for seed in range(8):
    world = World(WorldConfig(seed=seed))
    assert sorted(world.entities) == sorted(tables.ENTITIES)
    assert sorted(world.attributes) == sorted(tables.ATTRIBUTES)
    assert len(world.facts) == 48 * 5
    for (_, attribute), value in world.facts.items():
      assert value in tables.ATTRIBUTES[attribute]
    counts.update(world.facts.values())
    kinds.update(world.kind_of.values())
  assert_shares(counts, dict.fromkeys(tables.VALUES, 1 / 40))
  assert_shares(kinds, dict.fromkeys(tables.KINDS, 1 / 6))


def test_popularity_is_drawn_anew_in_each_world():
  worlds = [World(WorldConfig(seed=seed)) for seed in range(40)]
  for names in ('entities', 'attributes'):
    assert len({getattr(world, names)[0] for world in worlds}) >= 4
  favourites = {world.slots['tip'].pairs[0] for world in worlds}
  assert len(favourites) >= 25


def test_every_pair_of_words_has_a_tone_of_its_own(world):
  for name, n in (('opener', 16 * 16), ('tip', 8 * 12), ('closer', 9 * 11)):
    slot = world.slots[name]
    _, first, second = tables.STYLE[name]
    assert sorted(slot.pairs) == sorted((a, b) for a in first for b in second)
    assert len(slot.pairs) == n
    assert {world.interaction[pair][0] for pair in slot.pairs} == {name}
  tones = [draw for _, draw in world.interaction.values()]
  assert len({*tones, *world.tone.values()}) == 451 + 72


def test_the_tone_of_a_pair_is_both_words_and_what_they_do_together():
  world = World()
  world.tone.update(hello=1.0, friend=20.0)
  world.interaction['hello', 'friend'] = ('opener', 300.0)
  assert world.pair_tone(('hello', 'friend')) == 321.0


# Setting, and what it is the standard deviation of.
SCALES = [
  ('tone_sd', lambda world: list(world.tone.values())),
  ('interaction_sd', lambda world: [d for _, d in world.interaction.values()]),
  ('bias_sd', lambda world: world.worker_bias),
  ('noise_sd', lambda world: np.log(world.worker_noise)),
]


@pytest.mark.parametrize(('name', 'read'), SCALES)
def test_a_spread_scales_its_own_draws_and_moves_no_other(name, read):
  config = WorldConfig()
  spread = getattr(config, name)
  wider = World(dataclasses.replace(config, **{name: 3 * spread}))
  plain = World(config)
  np.testing.assert_allclose(read(wider), 3 * np.array(read(plain)))
  unit = np.array(read(plain)) / spread
  bound = 4 / np.sqrt(len(unit))
  assert abs(unit.mean()) < bound and abs(unit.std() - 1) < bound
  for other, read_other in SCALES:
    if other != name:
      np.testing.assert_array_equal(read_other(wider), read_other(plain))
  assert wider.facts == plain.facts and wider.slots == plain.slots


def test_attention_is_uniform_from_its_lowest_value_to_one():
  world = World(WorldConfig(n_workers=2000, attention_low=0.5))
  attention = world.worker_attention
  assert len(world.workers) == len(attention) == 2000
  assert 0.5 <= attention.min() < 0.505 and 0.995 < attention.max() <= 1.0
  assert abs(attention.mean() - 0.75) < 4 * 0.5 / np.sqrt(12 * 2000)
  worker = world.workers[17]
  assert worker.attention == attention[17]
  assert worker.bias == world.worker_bias[17]
  assert worker.noise == world.worker_noise[17] > 0


def test_the_exponents_set_how_steep_popularity_is():
  world = World(WorldConfig(entity_exponent=0.0, style_exponent=2.0))
  assert world.entity_cumulative == pytest.approx(np.arange(1, 49) / 48)
  assert world.attribute_cumulative == pytest.approx(np.arange(1, 6) / 5)
  for slot in world.slots.values():
    shares = np.diff((0.0, *slot.cumulative))
    assert shares[0] / shares[3] == pytest.approx(16)
  plain = World()
  assert plain.entity_cumulative[1] == pytest.approx(
    1.5 * plain.entity_cumulative[0]
  )


def test_worlds_share_no_state():
  first, second = World(), World()
  first.task_cache['x'] = first.facts['mira', 'colour'] = 'y'
  assert second.task_cache == {}
  assert second.facts['mira', 'colour'] in tables.ATTRIBUTES['colour']
