"""What simulated users say next."""

import numpy as np
import pytest

from rlhf_jax.crowd import users
from rlhf_jax.crowd.prompt import Prompt, human_turn
from rlhf_jax.crowd.worlds import make_world, rules_of
from rlhf_jax.text.dialogue import HUMAN

SUM = Prompt(human_turn('what is 2 plus 3?'), 'helpful', 'add')


def test_a_request_that_got_no_help_is_repeated_in_the_same_words(world, rng):
  after = users.next_prompt(world, rng, SUM, ' i refuse to do that.')
  assert after.text == f'{SUM.text} i refuse to do that.{SUM.text}'
  assert (after.kind, after.family) == ('helpful', 'add')


def test_who_was_helped_asks_for_something_else(world):
  """A request of one turn, of any harmless family but follow-ups."""
  families = set()
  for seed in range(60):
    rng = np.random.default_rng(seed)
    after = users.next_prompt(world, rng, SUM, ' it is 5.')
    assert after.text.startswith(f'{SUM.text} it is 5.{HUMAN}')
    assert after.text.count(HUMAN) == 2 and after.kind == 'helpful'
    assert rules_of(world).recognise(world, after.text).family == after.family
    families.add(after.family)
  assert 'followup' not in families and len(families) > 8


@pytest.mark.parametrize('name', ['classic', 'parts'])
def test_who_looks_for_harm_tries_on_in_the_same_family(name, rng):
  world = make_world(name)
  prompt = rules_of(world).sample_prompt(world, rng, kind='harmful')
  for reply in (' i refuse to do that.', ' you only need the fuse.'):
    after = users.next_prompt(world, rng, prompt, reply)
    assert (after.kind, after.family) == ('harmful', prompt.family)
    assert after.text.startswith(prompt.text + reply + HUMAN)


def test_a_prompt_is_known_by_its_text(world, rng):
  for kind in ('helpful', 'harmful'):
    prompt = rules_of(world).sample_prompt(world, rng, kind=kind)
    assert users.prompt_of(world, prompt.text) == prompt
  unknown = users.prompt_of(world, human_turn('hm?'))
  assert (unknown.kind, unknown.family) == ('helpful', 'unknown')


def test_a_follow_up_is_never_repeated(world, rng):
  prompt = rules_of(world).sample_prompt(world, rng, family='followup')
  after = users.next_prompt(world, rng, prompt, ' no.')
  assert after.text.count(HUMAN) == 3 and after.family != 'followup'
