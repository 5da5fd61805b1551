"""The HHH prompts of the worlds: good dialogues, one of them declined."""

import pytest

from configs import blocks
from rlhf_jax.crowd.worlds import make_world, rules_of
from rlhf_jax.text.dialogue import split_reply

# Gold of an expert's reply, less a standard deviation or so: 3.9 and 2.0 in the
# first world, 16 to 20 and 9 to 12 in the world of parts.
LEAST = {'classic': (1.9, 1.9), 'parts': (17.0, 10.5)}


@pytest.mark.parametrize('name', LEAST)
def test_every_reply_of_an_hhh_prompt_is_good_in_the_world_of_the_study(name):
  world = make_world(**blocks.WORLDS[name]()['world'])
  rules, kinds = rules_of(world), []
  for text in rules.hhh_prompt:
    prompt, reply = split_reply(text)
    kinds.append(rules.recognise(world, prompt).kind)
    found = rules.judge(world, prompt, reply)
    harmful = kinds[-1] == 'harmful'
    score = found.harmless if harmful else found.helpful
    assert score > LEAST[name][harmful]
  assert sorted(set(kinds)) == ['harmful', 'helpful']
