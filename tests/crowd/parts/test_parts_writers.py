"""Writers of the world of parts: right as often as stated, and no more."""

import collections

import numpy as np
import pytest

from rlhf_jax.crowd import workers
from rlhf_jax.crowd.parts import tables
from rlhf_jax.crowd.parts.gold import parts_of
from rlhf_jax.crowd.parts.world import normal_scores
from rlhf_jax.crowd.red_team import red_team_dialogue
from rlhf_jax.crowd.worlds import make_world, rules_of
from rlhf_jax.data.jsonl import read_comparisons, write_comparisons
from rlhf_jax.text.dialogue import parse_dialogue
from tests.crowd.shares import assert_share

# Parts that a writer gets right by chance as well: of five of a list.
CONTENT = [*tables.FIELDS, 'count', *(f'item {k}' for k in range(5))]


@pytest.fixture(scope='module')
def parts():
  return make_world('parts')


def shares(world, kind, write, n=400):
  """{part: how often it is above 0}, of replies to prompts of a kind."""
  rng, rules, found = np.random.default_rng(3), rules_of(world), []
  for _ in range(n):
    prompt = rules.sample_prompt(world, rng, kind)
    both = parts_of(world, prompt.text, write(world, rng, prompt))
    found.append(both.helpful if kind == 'helpful' else both.harmless)
  names = set().union(*found)
  return {k: sum(row.get(k, 0) > 0 for row in found) for k in names}


@pytest.mark.parametrize(('quality', 'right'), [(0.0, 0.3), (1.0, 0.5)])
def test_an_author_gets_every_part_right_as_often_as_stated(
  parts, quality, right
):
  write = rules_of(parts).write_reply
  by_quality = lambda *args: write(*args, quality)
  found = shares(parts, 'helpful', by_quality)
  for name in CONTENT:
    assert_share(found[name], 400, right)
  found = shares(parts, 'harmful', by_quality)
  steps = [f'step {k}' for k in range(5)]
  for name in (*steps, 'refusal', 'object', 'wrong', 'adviser', *tables.FIELDS):
    if name not in ('unit', 'time', 'reason'):
      assert_share(found[name], 400, right)


def test_what_one_part_is_says_nothing_of_another(parts):
  rng, rules, rows = np.random.default_rng(4), rules_of(parts), []
  for _ in range(600):
    prompt = rules.sample_prompt(parts, rng, 'helpful')
    reply = rules.write_reply(parts, rng, prompt, 0.5)
    found = parts_of(parts, prompt.text, reply).helpful
    rows.append([found[name] for name in CONTENT])
  corr = np.corrcoef(np.array(rows).T)[np.triu_indices(12, 1)]
  assert abs(corr.mean()) < 4 / np.sqrt(600 * 66)
  assert np.abs(corr).max() < 5 / np.sqrt(600)


def test_an_expert_is_nearly_always_right_and_chooses_words(parts):
  found = shares(parts, 'helpful', rules_of(parts).human_reply)
  for name in CONTENT:
    assert_share(found[name], 400, 0.97)
  assert found['greeting'] > 0.9 * 400  # the best of six


def test_tastes_are_symmetric_and_of_the_stated_spread(parts):
  for words in (*tables.TASTES.values(), *tables.TIPS.values()):
    worth = sorted(parts.taste[w] for w in words)
    np.testing.assert_allclose(worth, -np.array(worth[::-1]), atol=1e-12)
    assert np.std(worth) == pytest.approx(parts.config.taste_sd)
  np.testing.assert_allclose(normal_scores(2), [-1, 1])
  assert make_world('parts', seed=1).taste != parts.taste


def test_texts_have_no_word_that_the_scorer_calls_garbage(parts):
  rng, rules = np.random.default_rng(5), rules_of(parts)
  words = collections.Counter()
  for _ in range(200):
    words.update(tables.tokenise(rules.plain_text(parts, rng)))
    for turn in parse_dialogue(rules.dialogue(parts, rng)):
      words.update(tables.tokenise(turn.text))
  assert set(words) <= tables.LEXICON | set('.,!?:')


def test_comparisons_come_back_from_a_file_as_they_were(parts, tmp_path):
  rng = np.random.default_rng(6)
  found = [c for _ in range(4) for c in red_team_dialogue(parts, rng)]
  rules = rules_of(parts)
  prompt = rules.sample_prompt(parts, rng, 'helpful')
  pair = [rules.write_reply(parts, rng, prompt, 0.5) for _ in 'ab']
  found.append(workers.compare(parts, rng, prompt, *pair))
  write_comparisons(tmp_path / 'a.jsonl.gz', found)
  again, _ = read_comparisons(tmp_path / 'a.jsonl.gz', source='crowd')
  assert again == found
  assert {c.kind for c in found} == {'helpful', 'harmless'}
