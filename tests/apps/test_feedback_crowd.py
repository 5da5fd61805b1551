"""A simulated worker: words, odds, boxes, and going on where it stopped."""

import numpy as np
import pytest

from apps.feedback.crowd import Simulated
from rlhf_jax.crowd import users, workers
from rlhf_jax.crowd.worlds import make_world, rules_of
from rlhf_jax.text.dialogue import last_human_turn

WORLD = make_world('classic', seed=0, temperature=0.8)
RNG = np.random.default_rng(1)
PROMPT = rules_of(WORLD).sample_prompt(WORLD, RNG, kind='helpful')
GOOD = rules_of(WORLD).human_reply(WORLD, RNG, PROMPT)
BAD = ' no.'
ASKED = last_human_turn(PROMPT.text)


def state(replies=(GOOD, BAD), messages=None, **more):
  """What the page shows where two replies wait for a choice."""
  if messages is None:
    messages = [{'role': 'human', 'text': ASKED}]
  shown = [
    {'label': label, 'text': text.strip(), 'done': True}
    for label, text in zip('AB', replies, strict=True)
  ]
  own = {'step': 'choose', 'task': 'helpful', 'direction': 'better'}
  own |= {'opening': '', 'turn': 1, 'turns': 4}
  return own | {'messages': messages, 'replies': shown} | more


def gold(reply, kind='helpful'):
  return workers.score_reply(WORLD, PROMPT.text, reply, kind)


def boxes(seen, draws, worker=3):
  one = Simulated(WORLD, worker, rewrites=0.0)
  return np.array([int(one.choice(seen, n)['box']) for n in range(draws)])


def test_boxes_have_the_odds_of_the_worker_and_the_strength_of_the_world():
  """400 draws: four standard errors are at most .1."""
  odds = [gold(x) for x in (GOOD, BAD)]
  p = workers.worker_probability(WORLD, WORLD.workers[3], 'helpful', *odds)
  found = boxes(state(), 400)
  assert abs((found <= 4).mean() - p) < 4 * np.sqrt(p * (1 - p) / 400) + 1e-9
  level = workers.strength(WORLD, *odds)
  assert set(found) <= {5 - level, 4 + level}
  turned = boxes(state((BAD, GOOD)), 400)
  assert (turned > 4).mean() > 0.5 and (found <= 4).mean() > 0.5


def test_who_is_asked_for_the_worse_reply_picks_it():
  """The same draws: better is A, and so worse is B."""
  rng = np.random.default_rng(2)
  harm = rules_of(WORLD).sample_prompt(WORLD, rng, kind='harmful')
  said = [{'role': 'human', 'text': last_human_turn(harm.text)}]
  good, bad = rules_of(WORLD).refusal_twins(WORLD, rng, harm)
  own = {'messages': said, 'task': 'red_team'}
  better = boxes(state((good, bad), **own), 200)
  worse = boxes(state((good, bad), direction='worse', **own), 200)
  assert (better <= 4).mean() > 0.6 and (worse > 4).mean() > 0.6


def test_a_worker_who_is_stopped_goes_on_with_the_same_words():
  first, again = Simulated(WORLD, 5, seed=2), Simulated(WORLD, 5, seed=2)
  fresh = state(messages=[])
  said = [first.message(fresh, n) for n in range(8)]
  assert said == [again.message(fresh, n) for n in range(8)]
  assert said != [Simulated(WORLD, 6, 2).message(fresh, n) for n in range(8)]
  assert len(set(said)) > 4
  assert first.choice(state(), 3) == again.choice(state(), 3)


def test_an_opening_that_is_suggested_is_said():
  one = Simulated(WORLD, 0)
  assert one.message(state(messages=[], opening='Count to 3.'), 0) == (
    'Count to 3.'
  )


def test_after_a_reply_the_worker_talks_on_as_users_do():
  """Who got no help asks again, in the same words."""
  said = [
    {'role': 'human', 'text': ASKED},
    {'role': 'assistant', 'text': BAD.strip()},
  ]
  one = Simulated(WORLD, 1)
  assert gold(BAD) < users.SATISFIED <= gold(GOOD)
  assert one.message(state(messages=said), 4) == ASKED
  said[1]['text'] = GOOD.strip()
  later = {one.message(state(messages=said), n) for n in range(6)}
  assert len(later) > 1


def test_two_bad_replies_may_be_rewritten():
  sure = Simulated(WORLD, 2, rewrites=1.0)
  found = sure.choice(state((BAD, ' never.')), 0)
  assert found['action'] == 'rewrite' and found['rewrite_of'] in 'ab'
  assert gold(f' {found["rewrite"]}') > gold(BAD)
  assert 'box' in sure.choice(state(), 0)  # one of these is good


def test_a_conversation_is_rated_by_its_last_reply():
  said = [
    {'role': 'human', 'text': ASKED},
    {'role': 'assistant', 'text': 'no.'},
  ]
  one = Simulated(WORLD, 2)
  low = int(one.ending(state(messages=said), 1)['rating'])
  said[1]['text'] = GOOD.strip()
  high = int(one.ending(state(messages=said), 1)['rating'])
  assert 1 <= low < high <= 4
  assert one.ending(state(messages=said[:1]), 1)['rating'] == '1'


@pytest.mark.parametrize(('turn', 'share'), [(2, 3 / 4), (4, 1 / 2)])
def test_a_worker_ends_a_conversation_at_every_length_alike(turn, share):
  one = Simulated(WORLD, 2)
  own = [one.wants_more(state(turn=turn), n) for n in range(400)]
  assert abs(np.mean(own) - share) < 0.1  # four standard errors
