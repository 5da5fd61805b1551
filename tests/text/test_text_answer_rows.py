"""Answers as tokens: where each begins, and what is cut."""

import pytest

from rlhf_jax.text.answer_rows import (
  AskedFor,
  answer_rows,
  dialogue_of,
  ids_before,
)

MARKS = ('\n\nHuman:', '\n\nAssistant:')


class Letters:
  """One token a letter; but 'a ' and 'ab' are one each, and so is a marker."""

  human_id, eos_id = 1, 0
  pieces = (*MARKS, 'a ', 'ab')

  def encode(self, text):
    ids = []
    while text:
      known = [p for p in self.pieces if text.startswith(p)]
      piece = known[0] if known else text[0]
      ids.append(1 + self.pieces.index(piece) if known else ord(piece))
      text = text[len(piece) :]
    return ids


def of(text):
  return [ord(letter) for letter in text]


def test_an_answer_begins_after_its_prompt():
  asked = AskedFor(dialogue_of('q'), '', (' x', ' yz'))
  start = [1, *of(' q'), 2]
  rows = [(start + of(' x'), 4), (start + of(' yz'), 4)]
  assert answer_rows(Letters(), asked, 99) == (rows, 0)


def test_a_lead_is_not_scored():
  asked = AskedFor(dialogue_of('q'), ' hm', (' x',))
  ((ids, first),), _ = answer_rows(Letters(), asked, 99)
  assert ids[first:] == of(' x')
  assert (ids[:first], 0) == ids_before(Letters(), asked, 99)


@pytest.mark.parametrize('prompt', ['c', dialogue_of('q')])
def test_a_token_that_joins_lead_and_answer_is_the_answer_s(prompt):
  """'a' and ' x' make 'a ' and 'x', of which the first was no token before."""
  asked = AskedFor(prompt, 'ca', (' x', 'b'))
  ((ids, first), (joined, at)), _ = answer_rows(Letters(), asked, 99)
  assert ids[first:] == [3, ord('x')] and joined[at:] == [4]
  assert ids[:first] == ids_before(Letters(), asked, 99)[0][:-1]


def test_plain_text_is_encoded_as_a_document_where_there_is_such_a_thing():
  class Documents(Letters):
    def encode_document(self, text):
      return [0, *self.encode(text)]

  asked = AskedFor('c', '', (' x',))
  assert answer_rows(Documents(), asked, 9) == ([([0, *of('c x')], 2)], 0)
  assert ids_before(Documents(), asked, 9) == ([0, *of('c')], 0)


def test_what_is_too_long_loses_its_left_and_keeps_its_answer():
  plain = AskedFor('cdef', '', ('g', 'hij'))
  assert answer_rows(Letters(), plain, 4) == (
    [(of('defg'), 3), (of('fhij'), 1)],
    3,  # most of them, of the longer answer
  )
  assert ids_before(Letters(), plain, 3) == (of('def'), 1)
  asked = AskedFor(dialogue_of('cdef'), '', ('g', 'hij'))
  # Room for 6 - 3 tokens of the prompt, the same before both answers.
  assert answer_rows(Letters(), asked, 6) == (
    [([1, ord('f'), 2, ord('g')], 3), ([1, ord('f'), 2, *of('hij')], 3)],
    4,
  )
  # Of 'Human:', ' cdef' and 'Assistant:' four tokens are cut.
  assert ids_before(Letters(), asked, 3) == ([1, ord('f'), 2], 4)


def test_an_answer_that_adds_no_token_is_refused():
  with pytest.raises(ValueError, match="one token or more, got ''"):
    answer_rows(Letters(), AskedFor('c', '', ('g', '')), 9)
