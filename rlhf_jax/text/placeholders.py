"""Placeholders that a chat template is handed for the words of turns.

Each stands between two spaces of its own. Where a template takes one away, as
`content | trim` does, the words lose their white space on that side, as they
would in its hands.
"""

import re
from typing import NamedTuple

# A rare space and two private-use characters, which no template holds.
_SPACE = '\u2004'
_PLACE = re.compile(f'({_SPACE}?)\ue000(-?[0-9]+)\ue001({_SPACE}?)')


class Slot(NamedTuple):
  """A placeholder in a rendered text.

  Attributes:
    before, after: the space on this side; '' if the template took it away.
    turn: index of the turn.
  """

  before: str
  turn: int
  after: str

  def filled(self, words: str) -> str:
    """The words as the template would leave them."""
    words = words if self.before else words.lstrip()
    return words if self.after else words.rstrip()


def placeholder(turn: int) -> str:
  """The words that a template is handed for a turn."""
  return f'{_SPACE}\ue000{turn}\ue001{_SPACE}'


def parts_of(text: str) -> tuple[list[str], list[Slot]]:
  """(n + 1 texts of the template's own, the n Slots between them)."""
  found = _PLACE.split(text)
  slots = zip(found[1::4], map(int, found[2::4]), found[3::4], strict=True)
  return found[::4], [Slot(*slot) for slot in slots]
