"""Skills beside a world's own requests, and summaries by hand."""

import numpy as np
import pytest

from rlhf_jax.crowd import skills, summaries
from rlhf_jax.crowd.workers import score_reply
from rlhf_jax.crowd.worlds import WORLDS, make_world, rules_of

POST = summaries.Asked('sara', 'sold', 'boat', 'rome', 'cold', 'late')
TEXT = 'tldr it was cold. sara sold the boat in rome. they paid late.'


@pytest.mark.parametrize(
  ('reply', 'gold'),
  [
    (' sara sold the boat.', 3.9),
    (' Sara sold the boat.', 3.9),
    (' sara sold the clock.', 2.6),
    (' sara sold the boat in rome.', 3.4),
    (' sara sold the boat', 3.6),
    (' omar sara sold the boat.', 2.1),  # the second name counts for nothing
    (' sara sold the boat. banana split', 3.2),
    ('', -0.3),
    (' ' + 'blah ' * 50, -2.0),
  ],
)
def test_gold_of_a_summary_by_hand(reply, gold):
  assert summaries.read(TEXT) == POST
  assert summaries.score(POST, reply) == pytest.approx(gold)
  assert summaries.is_right(POST, reply) == (gold == 3.9)


def test_posts_read_back_and_twins_differ_in_one_part():
  rng = np.random.default_rng(0)
  for _ in range(200):
    prompt = summaries.sample_prompt(rng)
    task = skills.recognise(prompt.text)
    assert (task.family, task.kind) == ('summaries', prompt.kind)
    right, wrong = summaries.twins(rng, task.asked)
    assert summaries.is_right(task.asked, right)
    assert not summaries.is_right(task.asked, wrong)
    assert summaries.write(rng, task.asked, 1.0) == right


@pytest.mark.parametrize('name', WORLDS)
def test_a_world_without_skills_is_what_it_was(name):
  """And one with them asks for both, and goes on with its own as it did."""
  plain = make_world(name)
  assert rules_of(plain) is WORLDS[name]
  world = make_world(name, skill_share=0.5)
  rules, rng = rules_of(world), np.random.default_rng(0)
  prompts = [rules.sample_prompt(world, rng) for _ in range(600)]
  families = [rules.recognise(world, p.text).family for p in prompts]
  assert families == [p.family for p in prompts]
  share = np.mean([family in skills.SKILLS for family in families])
  assert share == pytest.approx(0.5, abs=4 * (0.25 / 600) ** 0.5)
  assert {*skills.SKILLS, *rules.harmful_families} <= set(families)
  own = next(p for p in prompts if p.family not in skills.SKILLS)
  reply = WORLDS[name].human_reply(plain, np.random.default_rng(1), own)
  ours = rules.human_reply(world, np.random.default_rng(1), own)
  assert ours == reply
  judged = [score_reply(w, own.text, reply, own.kind) for w in (world, plain)]
  assert judged[0] == judged[1]


@pytest.mark.parametrize('family', skills.SKILLS)
def test_better_authors_have_more_gold_and_experts_are_nearly_right(family):
  world = make_world('parts', skill_share=1.0, skill_families=(family,))
  rules, rng = rules_of(world), np.random.default_rng(0)
  gold = {}
  for quality in (0.0, 0.5, 1.0):
    found = []
    for _ in range(300):
      prompt = rules.sample_prompt(world, rng)
      assert prompt.family == family
      reply = rules.write_reply(world, rng, prompt, quality)
      found.append(score_reply(world, prompt.text, reply, prompt.kind))
    gold[quality] = np.mean(found)
  assert gold[0.0] < gold[0.5] - 0.5 < gold[1.0] - 1.0
  prompt = rules.sample_prompt(world, rng)
  task = skills.recognise(prompt.text)
  said = [rules.human_reply(world, rng, prompt) for _ in range(100)]
  assert np.mean([task.skill.is_right(task.asked, x) for x in said]) > 0.85


def test_dialogues_are_of_skills_as_often_as_they_are_asked_for():
  world = make_world('classic', skill_share=0.3)
  rng = np.random.default_rng(0)
  texts = [rules_of(world).dialogue(world, rng) for _ in range(500)]
  asks = lambda text: text.startswith(('\n\nHuman: tldr', '\n\nHuman: code'))
  share = np.mean([asks(text) for text in texts])
  assert share == pytest.approx(0.3, abs=4 * (0.21 / 500) ** 0.5)


@pytest.mark.parametrize(
  'wrong',
  [
    {'skill_share': 1.5},
    {'skill_share': 0.5, 'skill_families': ('cooking',)},
    {'skill_families': ()},
  ],
)
def test_unknown_skills_are_refused(wrong):
  with pytest.raises(ValueError, match='skill_families of summaries, onelin'):
    make_world('parts', **wrong)
