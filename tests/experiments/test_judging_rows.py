"""Rows of judges and of win rates: votes that are known, numbers by hand."""

import math

import numpy as np
import pytest

from experiments.shared import judging, score_files
from experiments.shared import win_rate_rows as wins
from rlhf_jax.data.faults import DataError
from rlhf_jax.data.jsonl import write_rows
from rlhf_jax.data.judged import JudgedPair, Rated
from rlhf_jax.judges import votes
from rlhf_jax.judges.votes import FIRST, SECOND, TIE, UNPARSED, Ballot, Vote


def pairs(*votes_of):
  """Pairs of prompts of their own, with these votes of people."""
  return [
    JudgedPair(f'p{i}', 'a' * (i + 2), 'b', own)
    for i, own in enumerate(votes_of)
  ]


def ballots(*verdicts, inconsistent=()):
  return [
    Ballot(verdict, i not in inconsistent, (Vote(verdict, f'said {i}'),))
    for i, verdict in enumerate(verdicts)
  ]


def test_people_who_have_not_voted_are_missing():
  found = judging.people_votes(pairs((0, 1, 2), (), (1,)))
  assert found.tolist() == [[0, 1, 2], [-1, -1, -1], [1, -1, -1]]


@pytest.mark.parametrize('lost', [None, math.nan])
def test_a_score_that_is_not_known_chooses_no_threshold(lost):
  """The threshold is 2, where all known ties are; no difference is NaN."""
  names = [f'p{i}' for i in range(40)]
  fold_N = judging.folds(names)
  asked = [JudgedPair(name, '2', '0', (TIE,)) for name in names]
  asked += [JudgedPair(name, 'x', '0', (TIE,)) for name in names]
  make = judging.by_score(
    lambda prompt, reply: lost if reply == 'x' else float(reply)
  )
  for own in make(asked, np.tile(fold_N, 2)):
    assert own('p', '2', '0').verdict == TIE
    assert own('p', '2.5', '0').verdict == FIRST
    assert own('p', 'x', '0').verdict == UNPARSED


def test_where_nobody_ties_every_difference_counts():
  make = judging.by_score(lambda prompt, reply: float(reply))
  asked = [JudgedPair(f'p{i}', '1', '0', (SECOND,)) for i in range(20)]
  for own in make(asked, judging.folds([x.prompt for x in asked])):
    assert own('p', '0.001', '0').verdict == FIRST
    assert own('p', '1', '1').verdict == TIE


def test_shares_are_of_all_ballots_and_each_is_in_one_at_most():
  """A tie by contradiction is no tie, and an unparsed one no contradiction."""
  found = ballots(TIE, TIE, FIRST, UNPARSED, UNPARSED, inconsistent=(1, 4))
  assert judging.shares(found) == {
    'inconsistent': 0.2,
    'unparsed': 0.4,
    'tied': 0.2,
  }


def test_one_label_is_held_against_alone_and_without_ties():
  """WebGPT allows S2 alone: of five labels one is a tie, one ballot too.

  Left are three, of which two agree: kappa = (2/3 - e) / (1 - e), where the
  judge says first 2/3 and the label 1/3 of the time: e = 4/9.
  """
  asked = pairs((FIRST,), (SECOND,), (SECOND,), (TIE,), (FIRST,))
  found = ballots(FIRST, FIRST, SECOND, FIRST, TIE)
  (row,) = judging.agreement_rows('webgpt', 'j', 'one', asked, found)
  head = ('set', 'labelled_by', 'judge', 'orders', 'setup', 'against')
  assert [row[key] for key in head] == [
    *('webgpt', 'one person', 'j', 'one', 'S2', 'the label')
  ]
  assert row['agreement'] == pytest.approx(2 / 3)
  assert row['kappa'] == pytest.approx((2 / 3 - 4 / 9) / (5 / 9))
  assert row['n_votes'] == 3 and row['tied'] == pytest.approx(0.2)
  assert row['agreement_low'] <= row['agreement'] <= row['agreement_high']


def test_an_answer_that_cannot_be_read_agrees_with_nobody_or_has_no_part():
  """In S1 it is wrong on two votes of six; in S2 those votes are not there."""
  asked = pairs((FIRST, FIRST), (FIRST, FIRST), (FIRST, SECOND))
  found = ballots(FIRST, UNPARSED, FIRST)
  rows = judging.agreement_rows('pandalm', 'j', 'both', asked, found)
  each = {row['setup']: row for row in rows if row['against'] == 'each person'}
  assert each['S1']['agreement'] == pytest.approx(3 / 6)
  assert each['S2']['agreement'] == pytest.approx(3 / 4)
  assert each['S1']['n_votes'] == 6 and each['S2']['n_votes'] == 4
  assert all(row['unparsed'] == pytest.approx(1 / 3) for row in rows)


def test_people_are_compared_where_there_are_several():
  assert judging.people_rows('webgpt', pairs((0,), (1,))) == []
  first, second = judging.people_rows(
    'pandalm', pairs((FIRST, FIRST), (FIRST, SECOND), (TIE, TIE), (TIE, FIRST))
  )
  assert (first['setup'], first['agreement']) == ('S1', 0.5)
  # Of pairs without a tie: the same twice, another once.
  assert (second['setup'], second['agreement']) == ('S2', 0.5)
  assert first['tied'] == second['tied'] == 3 / 8
  assert first['unparsed'] == first['inconsistent'] == 0
  assert first['judge'] == 'people' and first['against'] == 'each other'


def test_what_was_said_is_kept_by_name():
  (one, two) = judging.said_rows(
    'set', 'j', 'one', ballots(SECOND, UNPARSED, inconsistent=(1,))
  )
  assert one == {
    **{'set': 'set', 'item': 0, 'judge': 'j', 'orders': 'one'},
    **{'verdict': 'second', 'consistent': True},
    **{'votes': ['second'], 'raw': ['said 0']},
  }
  assert (two['item'], two['verdict'], two['consistent']) == (
    1,
    'unparsed',
    False,
  )


def test_three_lost_ballots_are_shown_and_none_where_none_is_lost():
  assert list(judging.shown_unparsed('j', ballots(FIRST, TIE))) == []
  long = Ballot(UNPARSED, True, (Vote(UNPARSED, 'é' * 200), Vote(FIRST, 'x')))
  found = [*ballots(FIRST), *[long] * 4]
  head, *shown = judging.shown_unparsed('j', found)
  assert head == 'j: 4 of 5 ballots could not be parsed' and len(shown) == 3
  assert shown[0].count('é') == 120


def test_a_game_is_a_win_a_loss_or_half_and_unparsed_ones_are_left_out():
  """All: 1 + 1/2 + 0 of three. Consistent: the win and the loss."""
  asked = [
    JudgedPair(f'p{i}', first, second, ())
    for i, (first, second) in enumerate(
      [('abc', 'a'), ('a', 'abc'), ('ab', 'ab'), ('a' * 5, 'a')]
    )
  ]
  found = ballots(FIRST, TIE, SECOND, UNPARSED, inconsistent=(1,))
  every, consistent = wins.rate_rows('j', 'both', asked, found)
  assert (every['games'], consistent['games']) == ('all', 'consistent')
  assert every['win_rate'] == consistent['win_rate'] == 0.5
  assert (every['n'], consistent['n']) == (3, 2)
  assert every['ties'] == pytest.approx(1 / 3) and consistent['ties'] == 0
  for row in (every, consistent):  # of all games, whatever is counted
    assert row['unparsed'] == 0.25 and row['longer_by'] == (2 - 2 + 0 + 4) / 4


def test_games_of_which_nothing_is_left_have_no_rate():
  rows = wins.rate_rows('j', 'one', pairs((), ()), ballots(UNPARSED, UNPARSED))
  assert all(math.isnan(row['win_rate']) for row in rows)
  assert all(math.isnan(row['length_controlled_low']) for row in rows)
  assert [row['ties'] for row in rows] == [0.0, 0.0]
  assert rows[0]['n'] == 0 and rows[0]['unparsed'] == 1


def test_the_leader_board_is_by_the_rate_at_equal_length():
  """Equal replies' lengths: the order is that of the plain rates.

  A prompt that the reference has not answered does not count.
  """
  own = {'good': 0.9, 'bad': 0.2, wins.REFERENCE: 0.5}
  rated = [
    Rated(f'{i}', {name: ('xx', rate) for name, rate in own.items()})
    for i in range(6)
  ]
  rated.append(Rated('6', {'good': ('x' * 99, 0.0), 'alone': ('x', 1.0)}))
  rows = wins.leader_board(rated)
  assert [row['model'] for row in rows] == ['good', 'bad']
  assert [row['win_rate'] for row in rows] == pytest.approx([0.9, 0.2])
  for row in rows:
    assert row['length_controlled'] == pytest.approx(row['win_rate'], abs=0.01)
    assert row['longer_by'] == 0 and row['n'] == 6


def test_replies_come_back_to_the_character(tmp_path):
  path = tmp_path / 'replies.jsonl'
  rows = [
    {'prompt': 'Où?\n', 'reply': ' \u2028"là" '},
    {'prompt': '', 'reply': ''},
  ]
  write_rows(path, rows)
  assert wins.read_replies(path) == {'Où?\n': ' \u2028"là" ', '': ''}
  found = wins.paired({'b': '1', 'a': '2'}, {'a': '3', 'b': '4'}, ('x', 'y'))
  assert [pair[:3] for pair in found] == [('b', '1', '4'), ('a', '2', '3')]
  path.write_text('{"prompt": "x"}\n')
  with pytest.raises(DataError, match='replies.jsonl:1: wanted the keys pro'):
    wins.read_replies(path)


def test_scores_come_back_and_a_file_that_broke_off_names_its_line(tmp_path):
  table = {('é', ''): 1.5, ('é', 'a\tb'): -0.25}
  path = tmp_path / 'scores.jsonl.gz'
  score_files.write(path, table)
  assert score_files.read(path) == table
  one = score_files.lookup(table, path)
  assert one('é', '') == 1.5
  with pytest.raises(ValueError, match="no score for the reply 'b' to 'é'"):
    one('é', 'b')
  plain = tmp_path / 'scores.jsonl'
  plain.write_text('{"prompt": "a", "reply": "b", "score": 1}\n{"prompt": "a"')
  with pytest.raises(DataError, match='scores.jsonl:2: '):
    score_files.read(plain)


@pytest.mark.parametrize('word', ['=x', 'a=', 'a', '', 'a=1,'])
def test_a_path_has_a_name(word):
  words = word.split(',') if word.endswith(',') else [word]
  with pytest.raises(ValueError, match='--pms=.*wanted NAME=PATH, every name'):
    score_files.named(words, 'pms')
  assert score_files.named(['a=x=y', 'b=z'], 'pms') == {'a': 'x=y', 'b': 'z'}


def test_the_rule_is_the_same_judge_in_both_folds():
  one, other = judging.rule(votes.longer)([], np.zeros(0))
  assert one is other is votes.longer
