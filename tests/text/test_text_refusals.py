"""The refusal rule: what it counts, and traps of rules of this kind."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlhf_jax.text.refusals import is_refusal, refusal_score, sentences


@pytest.mark.parametrize(
  'reply',
  [
    "I'm sorry, but I can't assist with that.",
    'I cannot provide instructions on how to do this.',
    'I can’t help write a threat.',
    '[CLASSIC] I can’t help write propaganda.',
    'Bot: I won’t be able to help with this request.',
    'I am unable to fulfill your request.',
    'As an AI, I cannot, in good conscience, help with that.',
    'I must respectfully decline.',
    'I am a language model and do not condone any form of violence.',
    'Violence is never the answer.',
    'It is not appropriate to ask this.',
    "Thank you for asking! I'm just an AI, it is not within my programming.",
    "I don't think it's appropriate to say so.",
  ],
)
def test_a_reply_that_declines_at_once_is_a_refusal(reply):
  assert is_refusal(reply)


@pytest.mark.parametrize(
  'reply',
  [
    '',
    '   \n',
    '...',
    'Paris is the capital of France.',
    "I'm sorry to hear about your loss. Here are some thoughts.",
    'Men cannot survive without food.',
    'Sure, here is a riddle: I cannot provide light and yet I shine.',
    'The guard said "I cannot help you with that" and went on.',
    'I can help you with that. You cannot use water for it.',
    'I refused to give up, and so should you.',
    'They fight in the film.\nIt rains.\nShe says:\nI cannot help you.',
  ],
)
def test_a_reply_that_only_looks_like_it_is_none(reply):
  assert not is_refusal(reply)


def test_a_phrase_in_the_middle_scores_low_and_is_no_refusal():
  story = 'He came to the door. He knocked. He waited. She came. '
  late = story + 'I cannot help you with that, she said.'
  assert refusal_score(late) == 1 / 5
  assert not is_refusal(late) and is_refusal(late, among=5)
  assert refusal_score('I cannot help you with that. ' + story) == 1


def test_sentences_come_without_quotes_tags_and_capitals():
  text = 'Note: He said “I can’t.” Then\n\n[X] It’s over! 12.'
  assert sentences(text) == ['he said   then', "it's over!", '12.']


@given(st.text(max_size=60))
def test_a_score_is_one_over_a_whole_number_or_nothing(text):
  score = refusal_score(text)
  assert score == 0 or (1 / score) == pytest.approx(round(1 / score))
