"""Ballots in both orders, rules, and scores with a threshold of ties."""

import math

import numpy as np
import pytest

from rlhf_jax.judges import scores, votes
from rlhf_jax.judges.votes import FIRST, SECOND, TIE, UNPARSED, Vote


def scripted(*verdicts):
  said = iter(verdicts)
  return lambda prompt, first, second: Vote(next(said), f'{first}{second}')


@pytest.mark.parametrize(
  ('forward', 'backward', 'verdict', 'consistent'),
  [
    (FIRST, SECOND, FIRST, True),
    (SECOND, FIRST, SECOND, True),
    (TIE, TIE, TIE, True),
    (FIRST, FIRST, TIE, False),
    (SECOND, SECOND, TIE, False),
    (FIRST, TIE, TIE, False),
    (TIE, FIRST, TIE, False),
    (UNPARSED, FIRST, UNPARSED, False),
    (SECOND, UNPARSED, UNPARSED, False),
    (UNPARSED, UNPARSED, UNPARSED, True),
  ],
)
def test_a_side_wins_if_it_wins_in_both_orders(
  forward, backward, verdict, consistent
):
  found = votes.ballot(scripted(forward, backward), 'p', 'x', 'y')
  assert (found.verdict, found.consistent) == (verdict, consistent)
  assert [vote.raw for vote in found.votes] == ['xy', 'yx']


def test_in_one_order_the_vote_is_the_verdict():
  found = votes.ballot(votes.first_wins, 'p', 'x', 'y', both=False)
  assert found == (FIRST, True, (Vote(FIRST),))


def test_position_bias_gives_no_consistent_vote_in_both_orders():
  found = votes.ballot(votes.first_wins, 'p', 'x', 'y')
  assert (found.verdict, found.consistent) == (TIE, False)


def test_the_longer_reply_wins_in_both_orders():
  for a, b, wanted in (('aa', 'b', FIRST), ('', 'b', SECOND), ('a', 'b', TIE)):
    found = votes.ballot(votes.longer, 'p', a, b)
    assert found.verdict == wanted and found.consistent


def test_chance_is_even_knows_the_order_and_repeats_itself():
  """1,200 draws; 4 s.e. of a third are .054."""
  judge = votes.make_random(3)
  found = [judge(f'{i}', 'x', 'y').verdict for i in range(1200)]
  for verdict in (FIRST, SECOND, TIE):
    assert found.count(verdict) / 1200 == pytest.approx(1 / 3, abs=0.054)
  assert found == [judge(f'{i}', 'x', 'y').verdict for i in range(1200)]
  two = votes.make_random(2)
  same = [votes.ballot(two, f'{i}', 'x', 'y').consistent for i in range(400)]
  assert np.mean(same) == pytest.approx(0.5, abs=0.1)


def test_scores_that_differ_by_less_than_the_threshold_are_a_tie():
  judge = scores.make_score_judge(lambda prompt, reply: float(reply), 0.5)
  assert judge('p', '2', '1').verdict == FIRST
  assert judge('p', '1', '2').verdict == SECOND
  assert judge('p', '1', '1.5') == Vote(TIE, '1.0 1.5')
  assert votes.ballot(judge, 'p', '1', '1.2') == votes.Ballot(
    TIE, True, (Vote(TIE, '1.0 1.2'), Vote(TIE, '1.2 1.0'))
  )


@pytest.mark.parametrize('nothing', [None, math.nan])
def test_no_score_is_an_unparsed_vote(nothing):
  judge = scores.make_score_judge(lambda *_: nothing)
  assert judge('p', 'x', 'y').verdict == UNPARSED


def test_the_threshold_makes_most_verdicts_those_of_people():
  rng = np.random.default_rng(0)
  difference_N = rng.normal(size=80)
  vote_N = scores.verdicts(difference_N + rng.normal(0, 0.2, 80), 0.4)
  found = scores.tie_threshold(difference_N, vote_N)
  right = lambda t: np.mean(scores.verdicts(difference_N, t) == vote_N)
  assert right(found) == max(map(right, np.linspace(0, 2, 400)))
  assert 0.2 < found < 0.6


def test_without_ties_the_threshold_is_0():
  difference_N = np.array([1.0, -0.1, 0.3])
  assert scores.tie_threshold(difference_N, [FIRST, SECOND, FIRST]) == 0
  with pytest.raises(ValueError, match='wanted finite differences of 1 pair'):
    scores.tie_threshold([], [])
