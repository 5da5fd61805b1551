"""Chat templates: from turns to the text that a model was tuned on.

A template is a jinja2 program that comes with the model, so it is a stranger's:
it runs in a sandbox, and it is handed a placeholder for every turn. What people
wrote is put in afterwards, so neither can a user's text change what the
template does, nor is a special token that a user types taken for one.
"""

import functools
import json
import re
from collections.abc import Sequence
from typing import NamedTuple

import jinja2
import jinja2.sandbox

from rlhf_jax.text.dialogue import DialogueError, Turn
from rlhf_jax.text.tokenizer import END_OF_CONTEXT

ROLES = {'human': 'user', 'assistant': 'assistant'}
SYSTEM = -1

# Two private-use characters, which no template holds.
_PLACE = re.compile('\ue000(-?[0-9]+)\ue001')

# `+%}` keeps the newline behind it, and `{%+` the spaces before it: "Whitespace
# Control" in jinja2's Template Designer Documentation.
_WHOLE = """\
{{%- macro rlhf_jax_ask(messages, add_generation_prompt) +%}}{source}\
{{%+ endmacro -%}}
{{%- set rlhf_jax_first = {first} -%}}
{{%- if messages[0]['role'] == 'system' -%}}
  {{%- set rlhf_jax_first = [] -%}}
{{%- endif -%}}
{{%- if add_generation_prompt -%}}
  {{{{- rlhf_jax_ask(rlhf_jax_first + messages, true) -}}}}
{{%- elif messages[-1]['role'] != 'assistant' -%}}
  {{{{- raise_exception('wanted a dialogue that ends in a reply') -}}}}
{{%- else -%}}
  {{{{- rlhf_jax_ask(rlhf_jax_first + messages[:-1], true) + {lead} -}}}}
  {{{{- messages[-1]['content'] + eos_token + {end_of_context} -}}}}
{{%- endif -%}}
"""


class Piece(NamedTuple):
  """A part of a rendered dialogue.

  Attributes:
    text: the characters.
    turn: index of the turn whose words these are; SYSTEM for the system
      prompt; None for the template's own, where special tokens are special.
  """

  text: str
  turn: int | None


def words_of(turn: Turn) -> str:
  """Words of a turn, without the one space that HH puts before them."""
  return turn.text.removeprefix(' ')


def _refuse(message):
  raise jinja2.TemplateError(message)


@functools.cache
def _environment():
  """A sandbox with the settings and the names that templates count on."""
  environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
    trim_blocks=True,
    lstrip_blocks=True,
    extensions=['jinja2.ext.loopcontrols'],
  )
  environment.globals['raise_exception'] = _refuse
  return environment


class ChatTemplate:
  """A model's chat template; `pieces` renders a dialogue with it."""

  def __init__(self, source: str, tokens: dict[str, str]):
    """Compiles the template.

    Args:
      source: jinja2 text.
      tokens: names that the template may use, such as 'bos_token'.

    Raises:
      ValueError: if it is not jinja2.
    """
    self.source, self._tokens = source, tokens
    try:
      self._template = _environment().from_string(source)
    except jinja2.TemplateError as error:
      raise ValueError(
        f'wanted a chat template in jinja2, got {source[:40]!r}: {error}; '
        'give another one or none'
      ) from error

  def pieces(self, turns: Sequence[Turn], system: str | None = None):
    """The dialogue as a list of Piece, ready for the next word of the last.

    Args:
      turns: the last of them the Assistant's, and empty: the reply to come.
      system: the system prompt; None: what the template does without one.

    Raises:
      DialogueError: if the template refuses the turns, as some refuse two of
        the same role in a row.
    """
    said = {i: words_of(turn) for i, turn in enumerate(turns[:-1])}
    messages = [
      {'role': ROLES[turns[i].role], 'content': f'\ue000{i}\ue001'}
      for i in said
    ]
    if system is not None:
      said[SYSTEM] = system
      place = f'\ue000{SYSTEM}\ue001'
      messages.insert(0, {'role': 'system', 'content': place})
    parts = _PLACE.split(self._render(messages))
    pieces = [Piece(parts[0], None)]
    for turn, own in zip(parts[1::2], parts[2::2], strict=True):
      pieces += [Piece(said[int(turn)], int(turn)), Piece(own, None)]
    return [piece for piece in pieces if piece.text]

  def before_a_reply(self) -> tuple[str, str]:
    """(what asks for a reply, the spaces between that and the reply).

    A template may put a space before a reply that was given and none after the
    words that ask for one; the model then begins its reply with a space.
    """
    messages = [
      {'role': 'user', 'content': '\ue0000\ue001'},
      {'role': 'assistant', 'content': '\ue0001\ue001'},
    ]
    asked = _PLACE.split(self._render(messages[:1]))[-1]
    *_, given, _, _ = ['', '', *_PLACE.split(self._render(messages, False))]
    rest = given.removeprefix(asked)
    return asked, rest if given == asked + ' ' * len(rest) else ''

  def of_whole_dialogues(self, system: str | None = None) -> str:
    """A template for preference models, which read a dialogue to its end.

    It renders what comes before the last reply as this one does to ask for it;
    then come the reply, the end token and the end-of-context token, without
    what templates put behind an end token (a newline in ChatML). Asked for a
    prompt, it renders what this one does.

    Args:
      system: the system prompt of dialogues that have none; None: what this
        template does without one.
    """
    source = re.sub(r'(\r\n|\r|\n)\Z', '', self.source)  # as jinja2 does
    spelled = lambda text: json.dumps(text, ensure_ascii=False)
    first = []
    if system is not None:
      first = [f"{{'role': 'system', 'content': {spelled(system)}}}"]
    return _WHOLE.format(
      source=source,
      first=f'[{"".join(first)}]',
      lead=spelled(self.before_a_reply()[1]),
      end_of_context=spelled(END_OF_CONTEXT),
    )

  def _render(self, messages, ask=True):
    try:
      return self._template.render(
        messages=messages, add_generation_prompt=ask, **self._tokens
      )
    except (jinja2.TemplateError, TypeError, ArithmeticError) as error:
      roles = ', '.join(message['role'] for message in messages)
      raise DialogueError(
        'chat template refuses', f'turns of {roles}: {error}'
      ) from error
