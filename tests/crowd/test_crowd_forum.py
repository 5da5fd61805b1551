"""A forum whose votes follow gold, and vandals that leave nothing as it was."""

import itertools

import numpy as np

from rlhf_jax.crowd import forum
from rlhf_jax.crowd.workers import score_reply
from rlhf_jax.data.public import ranked
from rlhf_jax.text.dialogue import split_reply


def test_better_answers_get_more_votes_and_so_does_the_first_one():
  rng = np.random.default_rng(0)
  mean = lambda gold, rank: np.mean(
    [forum.votes_of(gold, rank, rng) for _ in range(2000)]
  )
  # Of 12 readers: 12 tanh(z / 2) with z = gold / 3, or (gold + 1) / 3.
  assert abs(mean(3.0, 1) - 12 * np.tanh(0.5)) < 0.6
  assert abs(mean(-3.0, 1) + 12 * np.tanh(0.5)) < 0.6
  assert abs(mean(0.0, 0) - 12 * np.tanh(1 / 6)) < 0.6


def test_the_answer_with_the_higher_score_is_the_better_one_more_often(world):
  rng = np.random.default_rng(1)
  found = [forum.question(world, rng) for _ in range(300)]
  right = []
  for pair in ranked.pairs_of_threads(found, 1):
    prompt, chosen = split_reply(pair.chosen)
    gold = lambda reply, p=prompt: score_reply(world, p, reply, 'helpful')
    right.append(gold(chosen) > gold(split_reply(pair.rejected)[1]))
  assert 0.6 < np.mean(right) < 0.95  # noisier than a worker


def test_a_question_is_a_prompt_of_the_world(world, rng):
  thread = forum.question(world, rng)
  assert 2 <= len(thread.texts) <= 5 and thread.source == 'forum'
  text = ranked.as_dialogue(thread.prompt, thread.texts[0][0])
  assert split_reply(text)[0].count('Human:') >= 1


def test_no_vandal_leaves_a_text_as_it_was():
  rng = np.random.default_rng(2)
  for text in ('the colour of mira is red.', 'red.', 'red red'):
    assert all(forum.vandalised(text, rng) != text for _ in range(100))


def test_an_edit_prefers_the_sentences_of_the_world(world, rng):
  thread = forum.edit(world, rng)
  (good, high), (bad, low) = thread.texts
  assert high > low and good != bad and good.endswith('.')


def test_threads_are_of_both_sources_as_often_as_asked(world, rng):
  found = list(itertools.islice(forum.threads(world, rng, 0.25), 400))
  share = np.mean([thread.source == 'edits' for thread in found])
  assert abs(share - 0.25) < 0.07
  again = forum.threads(world, np.random.default_rng(7), 0.25)
  assert list(itertools.islice(again, 400)) == found
