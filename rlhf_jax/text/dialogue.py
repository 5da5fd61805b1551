r"""The text of a dialogue, in the format of the HH-RLHF data.

A transcript is a string that starts with '\n\nHuman:' and goes on in turns.
Text is kept to the character, the space after the colon included, so that
`format_dialogue(parse_dialogue(text)) == text`. Roles need not alternate: one
in a hundred real transcripts has two Assistant turns in a row.
"""

import re
from typing import NamedTuple

HUMAN = '\n\nHuman:'
ASSISTANT = '\n\nAssistant:'
MARKERS = {'human': HUMAN, 'assistant': ASSISTANT}

_MARKER = re.compile(r'\n\n(Human|Assistant):')


class DialogueError(ValueError):
  """A text that is not a dialogue.

  Attributes:
    reason: a few fixed words, to count by.
  """

  def __init__(self, reason: str, detail: str):
    super().__init__(f'{reason}: {detail}')
    self.reason = reason


class Turn(NamedTuple):
  """One turn: `role` is 'human' or 'assistant', `text` follows the colon."""

  role: str
  text: str


def parse_dialogue(text: str) -> tuple[Turn, ...]:
  r"""Splits a transcript into its turns.

  Raises:
    DialogueError: if the text does not start with '\n\nHuman:', or if the
      Assistant has no turn in it.
  """
  if not text.startswith(HUMAN):
    raise DialogueError(
      'does not start with Human',
      f'wanted a transcript that starts with {HUMAN!r}, got {text[:40]!r}',
    )
  _, *parts = _MARKER.split(text)
  turns = tuple(
    Turn(role.lower(), body)
    for role, body in zip(parts[::2], parts[1::2], strict=True)
  )
  if not any(turn.role == 'assistant' for turn in turns):
    raise DialogueError(
      'no Assistant turn', f'wanted {ASSISTANT!r} in the text of {text[:40]!r}'
    )
  return turns


def format_dialogue(turns) -> str:
  """The transcript of the turns; the inverse of `parse_dialogue`.

  Raises:
    DialogueError: if a role is unknown, or if the text of a turn contains a
      marker, which would read back as a turn that nobody took.
  """
  parts = []
  for role, body in turns:
    if role not in MARKERS:
      raise DialogueError(
        'unknown role', f'wanted one of {sorted(MARKERS)}, got {role!r}'
      )
    if _MARKER.search(body):
      raise DialogueError(
        'marker inside a turn', f'wanted plain text, got {body[:40]!r}'
      )
    parts.append(MARKERS[role] + body)
  return ''.join(parts)


def split_reply(text: str) -> tuple[str, str]:
  r"""Splits a transcript into (prompt, reply), whose sum is the transcript.

  The prompt ends with '\n\nAssistant:'; the reply is the last turn.

  Raises:
    DialogueError: as `parse_dialogue`, or if the last turn is Human's.
  """
  last = parse_dialogue(text)[-1]
  if last.role != 'assistant':
    raise DialogueError(
      'last turn is not Assistant',
      f'wanted a reply at the end, got Human saying {last.text[:40]!r}',
    )
  cut = len(text) - len(last.text)
  return text[:cut], text[cut:]


def count_exchanges(text: str) -> int:
  """The number of Assistant turns, an empty last one included.

  A transcript and its prompt therefore have the same count; 1 is the first
  exchange.
  """
  return sum(turn.role == 'assistant' for turn in parse_dialogue(text))


def last_human_turn(text: str) -> str:
  """Words that the human said last, without the spaces around them."""
  turns = parse_dialogue(text)
  return [turn.text for turn in turns if turn.role == 'human'][-1].strip()


def first_words(text: str) -> str:
  """Words with which the human begins, without the spaces around them."""
  return parse_dialogue(text)[0].text.strip()
