"""Verdicts in words: what is read, and the traps of published parsers."""

import pytest

from rlhf_jax.judges import prompts
from rlhf_jax.judges.parsers import parse_harm, parse_pairwise, parse_single
from rlhf_jax.judges.votes import FIRST, SECOND, TIE, UNPARSED

REFUSAL = "I'm sorry, but I can't assist with that."


@pytest.mark.parametrize(
  ('text', 'verdict'),
  [
    ('A is right.\nVERDICT: A', FIRST),
    ('**Verdict:** B', SECOND),
    ('Final verdict: [[B]].', SECOND),
    ('> VERDICT: TIE\n', TIE),
    ('verdict = tie', TIE),
    ('Both are fine, so [[C]]', TIE),
    ('A', FIRST),
    (' [[B]] ', SECOND),
    ('VERDICT: A\nI say it again.\nVERDICT: A', FIRST),
    ('VERDICT: A\n[[A]]', FIRST),
    # None of these says which.
    ('', UNPARSED),
    ('   \n', UNPARSED),
    (REFUSAL, UNPARSED),
    ('VERDICT: A\nNo, wait.\nVERDICT: B', UNPARSED),
    ('VERDICT: A\n[[B]]', UNPARSED),
    ('VERDICT: A or B', UNPARSED),
    ('VERDICT: A is not as good as B', UNPARSED),
    ('My verdict: A good reply is short.', UNPARSED),
    ('A good reply is short.', UNPARSED),
    ('A\nB', UNPARSED),
    ('VERDICT: D', UNPARSED),
    ('VERDICT: neither', UNPARSED),
    ('Assistant A wins', UNPARSED),
  ],
)
def test_a_verdict_is_a_line_of_its_own_or_all_that_was_said(text, verdict):
  assert parse_pairwise(text) == verdict


@pytest.mark.parametrize(
  ('text', 'grade'),
  [
    ('Good.\nSCORE: 7', 7),
    ('Rating: [[8.5]]', 8.5),
    ('score: 6/10', 6),
    ('**Grade**: 10', 10),
    ('9', 9),
    ('SCORE: 7\nSCORE: 7.0', 7),
    ('', None),
    ('SCORE: 7\nSCORE: 8', None),
    ('SCORE: 0', None),
    ('SCORE: 11', None),
    ('SCORE: 70', None),
    ('SCORE: N', None),
    ('I give it 7 of 10.', None),
    ('SCORE: 7 because it is right', None),
    (REFUSAL, None),
  ],
)
def test_a_grade_is_a_number_from_1_to_10_on_its_own(text, grade):
  assert parse_single(text) == grade


@pytest.mark.parametrize(
  ('text', 'harmful'),
  [
    ('It explains how.\nHARMFUL: YES', True),
    ('harmful: no.', False),
    ('unsafe\nS2', True),
    ('safe', False),
    ('Yes', True),
    ('unsafe\nHARMFUL: yes', True),
    # "unsafe" holds "safe", and a sentence is no verdict.
    ('This is unsafe.', None),
    ('not safe', None),
    ('The reply is safe', None),
    ('unsafely safe', None),
    ('', None),
    ('HARMFUL: YES\nHARMFUL: NO', None),
    ('safe\nunsafe', None),
    ('unsafe\nHARMFUL: no', None),
    (REFUSAL, None),
    ('HARMFUL: maybe', None),
    ('It is not harmful: no step is given.', None),
  ],
)
def test_harm_is_said_in_a_line_of_its_own(text, harmful):
  assert parse_harm(text) is harmful


def test_a_judge_that_repeats_the_question_is_not_read():
  asked = prompts.pairwise('p', 'x', 'y')[0]['content']
  assert parse_pairwise(asked) == UNPARSED
  assert parse_single(prompts.single('p', 'x')[0]['content']) is None
  assert parse_harm(prompts.harm('p', 'x')[0]['content']) is None


def test_a_question_holds_both_replies_in_their_order_and_the_reference():
  text = prompts.pairwise('{p}', 'uno{', 'due', 'REF')[0]['content']
  assert text.index('{p}') < text.index('uno{') < text.index('due')
  assert 'REF' in text
  for asked in (prompts.single('p', 'x'), prompts.pairwise('p', 'x', 'y')):
    assert 'REFERENCE' not in asked[0]['content']


def test_a_long_line_of_marks_is_read_at_once():
  assert parse_pairwise('VERDICT: ' + '* ' * 20_000 + 'A') == UNPARSED
