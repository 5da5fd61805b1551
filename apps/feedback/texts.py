"""Text that people type, as it goes into transcripts."""

import re

from rlhf_jax.text.dialogue import ASSISTANT, HUMAN, parse_dialogue

_MARKER = re.compile(r'(?=(?:Human|Assistant):)')
_CUT = re.compile(r'\n\n(?:Human|Assistant):')


def cleaned(text: str) -> str:
  r"""What somebody typed, without what no transcript may hold.

  Line ends are '\n'; control characters go; a blank line before 'Human:' or
  'Assistant:' becomes a line end; spaces around it go.
  """
  text = text.replace('\r\n', '\n').replace('\r', '\n')
  kept = (c for c in text if c in '\n\t' or not _is_control(c))
  *before, last = _MARKER.split(''.join(kept))
  return ''.join([*map(_one_line_end, before), last]).strip()


def _one_line_end(text):
  """A text before a marker; blank lines at its end become one line end.

  They would read back as a turn that nobody took. No regular expression: one
  that tries every line end takes minutes over a form full of them.
  """
  end = text[len(text.rstrip()) :]
  if not (end.endswith('\n') and end.count('\n') > 1):
    return text
  return text.rstrip() + end[: end.index('\n') + 1]


def _is_control(c):
  """Whether a character is C0, DEL, C1, half a surrogate, or turns text."""
  code = ord(c)
  return (
    code < 32
    or 127 <= code < 160
    or 0xD800 <= code < 0xE000
    or 0x202A <= code <= 0x202E
    or 0x2066 <= code <= 0x2069
  )


def typed(text: str, name: str, most: int) -> str:
  """The cleaned text.

  Raises:
    ValueError: if nothing is left, or it is longer than `most` characters.
  """
  text = cleaned(text)
  if not text:
    raise ValueError(f'The {name} is empty: write something.')
  if len(text) > most:
    raise ValueError(
      f'The {name} has {len(text):,} characters, {most:,} are allowed: '
      'shorten it.'
    )
  return text


def first_prompt(human: str) -> str:
  """Transcript of one message, up to the Assistant's marker."""
  return f'{HUMAN} {human}{ASSISTANT}'


def next_prompt(prompt: str, reply: str, human: str) -> str:
  """Transcript after a reply and one more message."""
  return f'{prompt}{reply}{first_prompt(human)}'


def one_reply(text: str) -> str:
  """A sampled text up to where it begins a turn of its own."""
  return _CUT.split(text, maxsplit=1)[0]


def messages(prompt: str) -> list[tuple[str, str]]:
  """[(role, text)] of a transcript, without its last, empty turn."""
  turns = parse_dialogue(prompt)[:-1]
  return [(turn.role, turn.text.strip()) for turn in turns]
