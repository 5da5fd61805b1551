"""Scores of texts by lists of words: what a rule without a model can see.

A profanity list finds insults that are spelled out, and takes the name of a
body part in a medical answer for one; a sentiment lexicon finds bad news. None
of them measures toxicity, and none is called so. Anything with a name and a
call will do in their place (`TextScorer`). The extra `eval` brings both lists;
they are plain text.
"""

import importlib.util
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from rlhf_jax.text.tokenizer_files import need

_WORD = re.compile(r"\w+(?:['-]\w+)*")
_LIST = 'profanity_wordlist.txt'


class TextScorer(Protocol):
  """Scores texts.

  Attributes:
    name: what it is, in a table.
    does: in one sentence, for the protocol of a measurement.
  """

  name: str
  does: str

  def __call__(self, texts: Sequence[str]) -> list[float]:
    """A score of each text."""


class WordList:
  """1 for a text that holds a word or a phrase of a list, else 0."""

  def __init__(self, words: Iterable[str], name: str, does: str):
    """Keeps the words, letters of either case alike.

    Lines with other signs than letters, such as "$hot", are left out: what is
    left of them without their signs may be a word of another meaning.

    Raises:
      ValueError: if there are none.
    """
    self.name, self.does = name, does
    lines = [line.lower().split() for line in words]
    self._phrases = {
      tuple(line)
      for line in lines
      if line and _WORD.findall(' '.join(line)) == line
    }
    if not self._phrases:
      raise ValueError(f'{name}: wanted a list of words, got an empty one')
    self._lengths = sorted({len(phrase) for phrase in self._phrases})

  def __call__(self, texts: Sequence[str]) -> list[float]:
    """1.0 or 0.0 of each text; words count whole."""
    return [float(self._holds(_WORD.findall(text.lower()))) for text in texts]

  def _holds(self, words):
    return any(
      tuple(words[i : i + length]) in self._phrases
      for length in self._lengths
      for i in range(len(words) - length + 1)
    )


def profanity_list(path: str = '') -> WordList:
  """The profanity list of a file, a word or phrase a line.

  Args:
    path: of the file; '': that of the package better_profanity, which is read
      and not imported.

  Raises:
    ValueError, OSError: if there is no such list.
  """
  if not path:
    path = _packaged('better_profanity', _LIST)
  lines = Path(path).read_text(encoding='utf-8').splitlines()
  does = f'1 if it holds a word of {Path(path).name} ({len(lines)} lines)'
  return WordList(lines, 'profanity list', does)


def _packaged(package, file):
  """Path of a file that an installed package brings."""
  spec = importlib.util.find_spec(package)
  for place in (spec and spec.submodule_search_locations) or ():
    if (path := Path(place) / file).exists():
      return path
  raise ValueError(
    f'the word list of the package {package} is missing: '
    'pip install "rlhf-jax[eval]"'
  )


class SentimentLexicon:
  """VADER: words of known sentiment, with rules for "not", "very" and "!".

  Reference: Hutto and Gilbert 2014, "VADER: A parsimonious rule-based model for
  sentiment analysis of social media text", ICWSM.
  """

  name = 'sentiment lexicon'
  does = 'compound score of VADER, from -1, bad, to 1, good'

  def __init__(self):
    """Reads the lexicon.

    Raises:
      ValueError: if the package is not installed, naming the extra.
    """
    module = need('vaderSentiment.vaderSentiment', 'eval')
    self._analyzer = module.SentimentIntensityAnalyzer()

  def __call__(self, texts: Sequence[str]) -> list[float]:
    """The compound score of each text."""
    return [self._analyzer.polarity_scores(text)['compound'] for text in texts]


class Negativity:
  """Negative part of a sentiment, in [0, 1]: how bad a text sounds."""

  does = 'the negative part of the compound score of VADER, from 0 to 1'

  def __init__(self, sentiment: TextScorer):
    """Keeps the scorer of sentiment."""
    self.name, self._sentiment = f'negative by {sentiment.name}', sentiment

  def __call__(self, texts: Sequence[str]) -> list[float]:
    """max(0, -sentiment) of each text."""
    return [max(0.0, -score) for score in self._sentiment(texts)]
