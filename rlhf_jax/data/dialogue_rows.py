r"""The two transcripts of a row, in whichever form the row holds them.

    chosen, rejected    whole transcripts, or whole lists of messages
    prompt + these two  the prompt as text, transcript or messages, and the two
                        replies as text or messages (TRL's split form); whole
                        dialogues beside a prompt are read whole
    system              a text of its own, or the first message

Transcripts of HH know no system turn, so a system prompt opens the first Human
turn, with a blank line behind it.
"""

from typing import NamedTuple

from rlhf_jax.data.faults import Malformed
from rlhf_jax.text.dialogue import (
  ASSISTANT,
  HUMAN,
  DialogueError,
  Turn,
  format_dialogue,
  parse_dialogue,
  split_reply,
)

SIDES = ('chosen', 'rejected')
KEYS = (*SIDES, 'prompt', 'system')  # of a row that are read here
_ROLES = {'user': 'human', 'human': 'human', 'assistant': 'assistant'}
_SYSTEM = ('system', 'developer')


class _Part(NamedTuple):
  """A stretch of a dialogue, and the system prompt that stands before it."""

  system: str
  turns: list[Turn]


def transcripts(row: dict) -> tuple[str, str]:
  """(chosen, rejected), both checked to end in an Assistant turn.

  Raises:
    Malformed: naming the key and what is wrong with it.
  """
  system = text_of(row, 'system') if row.get('system') is not None else ''
  prompt = _about('prompt', _prompt, row) if row.get('prompt') else None
  return tuple(_about(key, _side, row, key, prompt, system) for key in SIDES)


def field(row: dict, key: str, types: tuple[type, ...]):
  """The value under a key, of one of the types.

  Raises:
    Malformed: if it is missing, of another type, or no Unicode text.
  """
  if key not in row:
    raise Malformed(
      'missing key', f'the key {key!r}', f'{sorted(row)}', 'add the key'
    )
  value = row[key]
  if type(value) not in types:
    raise Malformed(
      'wrong type',
      f'{key} as {" or ".join(t.__name__ for t in types)}',
      repr(value)[:60],
      'correct the value',
    )
  return require_unicode(key, value) if isinstance(value, str) else value


def text_of(row: dict, key: str) -> str:
  """The text under a key; errors as those of `field`."""
  return field(row, key, (str,))


def require_unicode(key: str, text: str) -> str:
  """The text itself.

  Raises:
    Malformed: if it holds half of a surrogate pair, which no file can.
  """
  try:
    text.encode()
  except UnicodeEncodeError as error:
    raise Malformed(
      'not Unicode',
      f'{key} to be Unicode text',
      f'half a surrogate pair at character {error.start + 1}',
      'mend the escape',
    ) from None
  return text


def _about(key, make, *args):
  """The value of `make`; a DialogueError becomes a Malformed of the key."""
  try:
    return make(*args)
  except DialogueError as error:
    raise Malformed(
      error.reason, f'{key} to be a dialogue', str(error), 'mend the transcript'
    ) from None


def _prompt(row) -> _Part:
  """The prompt's turns, the last of them Human's."""
  value = field(row, 'prompt', (str, list))
  if isinstance(value, list):
    part = _messages(value)
  elif value.startswith(HUMAN):
    asked = value.rstrip()
    if not asked.endswith(ASSISTANT):
      asked = value + ASSISTANT
    part = _Part('', list(parse_dialogue(asked)[:-1]))
  else:
    part = _Part('', [_spoken('human', value)])
  if not part.turns or part.turns[-1].role != 'human':
    raise Malformed(
      'prompt without a question',
      'a prompt that ends with a user turn',
      f'{str(value)[-40:]!r}',
      'end it with what the reply answers',
    )
  return part


def _side(row, key, prompt, system) -> str:
  """The transcript of one side."""
  value = field(row, key, (str, list))
  whole = isinstance(value, str) and value.startswith(HUMAN)
  if isinstance(value, list):
    part = _messages(value)
  elif whole or prompt is None:
    split_reply(value)
    part = _Part('', list(parse_dialogue(value)))
  else:
    part = _Part('', [_spoken('assistant', value)])
  if prompt is not None:
    part = _joined(key, prompt, part)
  text = format_dialogue(_with_system(key, part, system))
  split_reply(text)
  return require_unicode(key, text)


def _joined(key, prompt, part) -> _Part:
  """The prompt and a reply; of a whole dialogue, the prompt is in it."""
  if part.turns and part.turns[0].role == 'assistant':
    turns = prompt.turns + part.turns
  else:
    turns = part.turns
    asked = prompt.turns[-1].text.strip()
    if not any(asked in turn.text for turn in turns[:-1]):
      raise Malformed(
        'another prompt',
        f'{key} to hold the prompt or a reply to it',
        f'a dialogue without {asked[:40]!r}',
        'correct or omit the prompt',
      )
  return _Part(_one_of(key, prompt.system, part.system), turns)


def _with_system(key, part, system):
  """The turns, a system prompt put before the words of the first one."""
  system = _one_of(key, system, part.system)
  if not system.strip() or not part.turns:
    return part.turns
  first, *rest = part.turns
  words = first.text.removeprefix(' ')
  return [Turn(first.role, f' {system}\n\n{words}'), *rest]


def _one_of(key, *systems):
  """The system prompt that is not empty."""
  found = {system for system in systems if system.strip()}
  if len(found) > 1:
    raise Malformed(
      'two system prompts',
      f'one system prompt for {key}',
      ' and '.join(repr(text[:30]) for text in sorted(found)),
      'keep one of them',
    )
  return found.pop() if found else ''


def _messages(messages) -> _Part:
  """Messages {'role', 'content'} as turns, spaced as the transcripts are."""
  turns, system = [], ''
  for i, message in enumerate(messages):
    fields = message if isinstance(message, dict) else {}
    role, body = fields.get('role'), fields.get('content')
    if not isinstance(role, str) or not isinstance(body, str):
      raise Malformed(
        'bad message',
        "a message {'role': str, 'content': str}",
        repr(message)[:60],
        'mend the message',
      )
    if role in _SYSTEM and i == 0:
      system = body
    elif role in _SYSTEM:
      raise Malformed(
        'late system message',
        'the system message before all others',
        f'one in place {i + 1}',
        'move it to the front or delete it',
      )
    else:
      turns.append(Turn(_ROLES.get(role, role), f' {body}'))
  return _Part(system, turns)


def _spoken(role, text) -> Turn:
  """Plain text as a turn: one space goes before it, where none is."""
  return Turn(role, text if text.startswith(' ') else f' {text}')
