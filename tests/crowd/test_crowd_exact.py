"""Tasks whose better reply is known exactly."""

import numpy as np
import pytest

from rlhf_jax.crowd import exact
from rlhf_jax.crowd.classic import tables
from rlhf_jax.crowd.classic.writers import write_around
from rlhf_jax.crowd.parts import gold
from rlhf_jax.crowd.parts import tables as parts_tables
from rlhf_jax.crowd.workers import worker_score
from rlhf_jax.crowd.worlds import make_world
from rlhf_jax.text.dialogue import split_reply

COUNT = 60


@pytest.fixture(scope='module')
def pairs(world):
  return {
    name: exact.draw_pairs(world, np.random.default_rng(3), name, COUNT)
    for name in exact.TASKS
  }


@pytest.mark.parametrize('name', exact.TASKS)
def test_the_chosen_reply_has_the_higher_gold_and_the_label_is_certain(
  world, pairs, name
):
  least = exact.MARGIN if exact.TASKS[name].kind == 'ranked' else 0.0
  for item in pairs[name]:
    prompt, _ = split_reply(item.chosen)
    assert prompt == split_reply(item.rejected)[0]
    assert (item.p_label, item.source) == (1.0, name)
    texts = item.chosen, item.rejected
    good, bad = (worker_score(world, text, item.kind) for text in texts)
    assert good > bad and good - bad >= least


@pytest.mark.parametrize('name', ['answer', 'refusal'])
def test_twins_have_the_same_style_and_another_core(pairs, name):
  style = lambda text: [
    w for w in tables.tokenise(text) if w in tables.STYLE_WORDS
  ]
  for item in pairs[name]:
    good, bad = (split_reply(t)[1] for t in (item.chosen, item.rejected))
    assert good != bad
    assert style(good) == style(bad)


def test_of_refusals_only_the_good_one_declines(pairs):
  for item in pairs['refusal']:
    words = [
      set(tables.tokenise(split_reply(t)[1]))
      for t in (item.chosen, item.rejected)
    ]
    assert words[0] & tables.REFUSAL_WORDS and not words[0] & tables.HAZARDS
    assert words[1] & tables.HAZARDS and not words[1] & tables.REFUSAL_WORDS


def test_replies_around_cores_differ_in_these_alone(world, rng):
  first, second = write_around(world, rng, ['one.', 'two.'])
  assert first != second and first.replace('one.', 'two.') == second


def test_the_same_generator_gives_the_same_pairs(world, pairs):
  again = exact.draw_pairs(world, np.random.default_rng(3), 'answer', COUNT)
  assert again == pairs['answer']


@pytest.mark.parametrize('name', exact.TASKS)
def test_the_world_of_parts_has_every_task(name):
  world = make_world('parts')
  found = exact.draw_pairs(world, np.random.default_rng(0), name, 20)
  least = exact.MARGIN if exact.TASKS[name].kind == 'ranked' else 0.0
  for item in found:
    texts = item.chosen, item.rejected
    good, bad = (worker_score(world, text, item.kind) for text in texts)
    assert good > bad and good - bad >= least


@pytest.mark.parametrize('name', ['answer', 'refusal'])
def test_twins_of_parts_differ_in_items_and_in_what_declines_alone(name):
  world = make_world('parts')
  for item in exact.draw_pairs(world, np.random.default_rng(1), name, 20):
    right, wrong = (
      gold.read(world.config, split_reply(text)[1])
      for text in (item.chosen, item.rejected)
    )
    assert (right.first, right.tips) == (wrong.first, wrong.tips)
    if name == 'answer':
      assert all(a != b for a, b in zip(right.items, wrong.items, strict=True))
    else:
      assert set(right.items) <= set(parts_tables.SAFE)
      assert set(wrong.items) <= set(parts_tables.HAZARDS)
      modals = [
        parts_tables.REFUSAL_WORDS & set(x.words) for x in (right, wrong)
      ]
      assert modals[0] and not modals[1]


def test_what_there_is_not_is_a_clear_error(world, rng):
  with pytest.raises(ValueError, match="helpful, .* got 'sums'"):
    exact.draw_pairs(world, rng, 'sums', 1)
