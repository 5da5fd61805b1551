"""Control tokens in a chat template's text, as `tokenizers` cuts it.

A token may take the spaces before it (lstrip) or behind it (rstrip) with it, or
count only where no letter is beside it (single_word): `AddedVocabulary` in
added_vocabulary.rs of https://github.com/huggingface/tokenizers. Only what the
template itself writes can be such a token; the spaces may be anybody's.
"""

import json
import re
from typing import NamedTuple

# White_Space of Unicode, as Rust has it; Python's \s has four more.
SPACES = (
  '\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000'
  '\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a'
)


class Control(NamedTuple):
  """A control token.

  Attributes:
    id: its id.
    lstrip: whether spaces before it are part of it.
    rstrip: whether spaces behind it are part of it.
    single_word: whether it counts only where no letter or digit is beside it.
    shown: whether it is text where ids are read back, as Qwen3's <think>.
  """

  id: int
  lstrip: bool = False
  rstrip: bool = False
  single_word: bool = False
  shown: bool = False


class Run(NamedTuple):
  """A text between control tokens: text[start:stop] of the whole."""

  text: str
  start: int
  stop: int


class ControlTokens:
  """The control tokens of a tokenizer.

  Attributes:
    ids: of those that are not shown.
  """

  def __init__(self, tokens: dict[str, Control]):
    """Takes {characters: Control}."""
    self._tokens = tokens
    self._by_id = {control.id: control for control in tokens.values()}
    self.ids = tuple(i for i, x in self._by_id.items() if not x.shown)
    longest_first = sorted(map(re.escape, tokens), key=len, reverse=True)
    self._pattern = re.compile('|'.join(longest_first))

  def all_special(self, model: str) -> str:
    """A tokenizer.json in which every control token is called special."""
    content = json.loads(model)
    for token in content['added_tokens']:
      token['special'] |= token['content'] in self._tokens
    return json.dumps(content)

  def eats_behind(self, i: int) -> bool:
    """Whether spaces behind a token, given by its id, are part of it."""
    return self._by_id[i].rstrip

  def eats_before(self, token: str) -> bool:
    """Whether spaces before a token are part of it."""
    return self._tokens[token].lstrip

  def cut(self, pieces: list[tuple[str, bool]]) -> list[int | Run]:
    """Cuts a text into control tokens and what is between them.

    Args:
      pieces: (text, whether control tokens count in it).
    """
    text = ''.join(piece for piece, _ in pieces)
    found, done = [], 0
    for start, stop, control in self._matches(pieces, text):
      if control.lstrip:
        start = max(len(text[:start].rstrip(SPACES)), done)
      if control.rstrip:
        stop = len(text) - len(text[stop:].lstrip(SPACES))
      if done < start:
        found.append(Run(text[done:start], done, start))
      found.append(control.id)
      done = stop
    if done < len(text):
      found.append(Run(text[done:], done, len(text)))
    return found

  def _matches(self, pieces, text):
    """Yields (start, stop, Control) of each control token that counts."""
    at = 0
    for piece, counts in pieces:
      for match in self._pattern.finditer(piece) if counts else ():
        start, stop = at + match.start(), at + match.end()
        control = self._tokens[match.group()]
        beside = text[max(start - 1, 0) : start], text[stop : stop + 1]
        if not (control.single_word and any(map(_is_word, beside))):
          yield start, stop, control
      at += len(piece)


def _is_word(character):
  return re.fullmatch(r'\w', character) is not None
