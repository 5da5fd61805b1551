"""Scores by lists of words, on texts whose scores are known."""

import pytest

from rlhf_jax.text.word_scores import (
  Negativity,
  SentimentLexicon,
  WordList,
  profanity_list,
)


def words(*lines):
  return WordList(lines, 'list', 'counts')


@pytest.mark.parametrize(
  ('text', 'wanted'),
  [
    ('What the Heck!', 1.0),
    ('heck-yes', 0.0),  # another word
    ('checks', 0.0),
    ('a dirty old, dog', 1.0),
    ('a dirty dog', 0.0),
    ('', 0.0),
  ],
)
def test_words_and_phrases_count_whole_in_either_case(text, wanted):
  assert words('heck', 'old dog')([text, '']) == [wanted, 0.0]


def test_a_line_with_signs_is_left_out_and_not_read_without_them():
  """'a$$' without its signs is a word of every text."""
  scorer = words('a$$', 'h.o.t', 'foo')
  assert scorer(['a h o t hot', 'foo']) == [0.0, 1.0]


def test_an_empty_list_is_refused():
  with pytest.raises(ValueError, match='list: wanted a list of words'):
    words('', '$$')


def test_a_list_is_read_from_a_file(tmp_path):
  path = tmp_path / 'mine.txt'
  path.write_text('foo\nbar\n')
  scorer = profanity_list(str(path))
  assert scorer(['Bar.']) == [1.0]
  assert scorer.does == '1 if it holds a word of mine.txt (2 lines)'


def test_negativity_is_the_part_below_zero():
  class Fixed:
    name = 'fixed'

    def __call__(self, texts):
      return [float(text) for text in texts]

  scorer = Negativity(Fixed())
  assert scorer(['-0.75', '0', '0.5']) == [0.75, 0.0, 0.0]
  assert scorer.name == 'negative by fixed'


def test_a_list_that_is_not_installed_is_named():
  import importlib.util

  if importlib.util.find_spec('better_profanity'):
    assert profanity_list()(['You bastard!', 'Good morning.']) == [1.0, 0.0]
  else:
    with pytest.raises(ValueError, match=r'better_profanity.*rlhf-jax\[eval\]'):
      profanity_list()


def test_the_lexicon_knows_good_from_bad():
  """Of two words of +-1.9 and 0: compound x / sqrt(x^2 + 15)."""
  reason = 'vaderSentiment is not installed: pip install "rlhf-jax[eval]"'
  pytest.importorskip('vaderSentiment', reason=reason)
  good, bad, none = SentimentLexicon()(['good', 'not good', 'table'])
  assert good == pytest.approx(1.9 / (1.9**2 + 15) ** 0.5, abs=1e-4)
  # VADER takes .74 of a word after "not", with the other sign.
  negated = 1.9 * -0.74
  wanted = negated / (negated**2 + 15) ** 0.5
  assert bad == pytest.approx(wanted, abs=1e-4)
  assert none == 0.0
