"""Chat templates: from turns to the text that a model was tuned on.

A template is a jinja2 program that comes with the model, so it is a stranger's:
it runs in a process of its own (`template_sandbox`), and it is handed a
placeholder for every turn. What people wrote is put in afterwards, so neither
can a user's text change what the template does, nor is a special token that a
user types taken for one. What it renders depends on the roles alone, so each
sequence of roles is rendered once. White space is taken off the words where the
template takes it off (`placeholders`); a template that reads more than that out
of words, such as thoughts before `</think>`, does not find it.

A date in a template is always the same, in training and in what is exported:
the 26th of July 2024, which Llama 3.2's template has where there is no clock.
"""

import functools
import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from typing import NamedTuple

from rlhf_jax.text import template_sandbox
from rlhf_jax.text.dialogue import DialogueError, Turn
from rlhf_jax.text.placeholders import parts_of, placeholder
from rlhf_jax.text.tokenizer import END_OF_CONTEXT

ROLES = {'human': 'user', 'assistant': 'assistant'}
SYSTEM = -1
PATIENCE = 120  # seconds on a busy machine; the limit is one of processor time

# What is asked of most dialogues, all of it in one process: up to 12 exchanges.
_USUAL = (
  (('user', 'assistant'), False),
  *(
    ((*first, *('user', 'assistant') * n, 'user'), True)
    for first in ((), ('system',))
    for n in range(12)
  ),
)

# Friday, the 26th of July 2024, midnight; longer directives first.
_DATE = {
  '%-d': '26', '%-m': '7', '%-H': '0', '%-I': '12', '%-M': '0', '%-S': '0',
  '%-j': '208', '%-y': '24', '%d': '26', '%e': '26', '%j': '208', '%a': 'Fri',
  '%A': 'Friday', '%w': '5', '%u': '5', '%b': 'Jul', '%h': 'Jul',
  '%B': 'July', '%m': '07', '%y': '24', '%Y': '2024', '%G': '2024',
  '%C': '20', '%H': '00', '%k': ' 0', '%I': '12', '%l': '12', '%p': 'AM',
  '%M': '00', '%S': '00', '%f': '000000', '%z': '', '%Z': '', '%U': '29',
  '%W': '30', '%V': '30', '%F': '2024-07-26', '%D': '07/26/24',
  '%x': '07/26/24', '%T': '00:00:00', '%X': '00:00:00', '%R': '00:00',
  '%c': 'Fri Jul 26 00:00:00 2024', '%n': '\n', '%t': '\t', '%%': '%',
}  # fmt: skip
_CLOCK = 'strftime_now'
# Its newline is taken off as behind every block, and what follows begins a line
# as it does in a file of its own.
_REPLACED = ''.join(
  f'|replace({json.dumps(directive)},{json.dumps(value)})'
  for directive, value in _DATE.items()
)
_NO_CLOCK = (
  f'{{%- macro {_CLOCK}(rlhf_jax_format) -%}}{{{{- rlhf_jax_format'
  f'{_REPLACED} -}}}}{{%- endmacro %}}\n'
)

# `{%+` keeps the spaces before it: "Whitespace Control" in jinja2's Template
# Designer Documentation.
_WHOLE = """\
{{%- macro rlhf_jax_ask(messages, add_generation_prompt) %}}
{source}{{%+ endmacro -%}}
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


def _messages(roles):
  """Messages of these roles, a placeholder in each."""
  numbers = iter(range(len(roles)))
  return [
    {
      'role': role,
      'content': placeholder(SYSTEM if role == 'system' else next(numbers)),
    }
    for role in roles
  ]


@functools.lru_cache(maxsize=1024)
def _rendered(source, names, shapes):
  """The answer of `template_sandbox` to these shapes.

  Args:
    source: jinja2 text.
    names: ((name, token), ...).
    shapes: ((roles, whether a reply is asked for), ...).

  Returns:
    {'syntax', 'literals', 'texts'}, as `template_sandbox.answer`.
  """
  request = {
    'source': source,
    'names': dict(names),
    'shapes': [(_messages(roles), ask) for roles, ask in shapes],
  }
  places = os.pathsep.join(place for place in sys.path if place)
  try:
    done = subprocess.run(
      [sys.executable, '-P', template_sandbox.__file__],
      input=json.dumps(request).encode(),
      capture_output=True,
      timeout=PATIENCE,
      env=os.environ | {'PYTHONPATH': places},
    )
    if done.returncode == 0:
      return json.loads(done.stdout)
    last = done.stderr.decode(errors='replace').strip().splitlines()[-1:]
    why = f'{"".join(last)[:200] or "killed"}, exit code {done.returncode}'
  except subprocess.TimeoutExpired:
    why = f'not ready after {PATIENCE} s'
  error = (
    'limit',
    f'it goes beyond {template_sandbox.SECONDS} s of processor time or '
    f'{template_sandbox.MEMORY / 2**30:g} GiB of memory ({why})',
  )
  return {
    'syntax': None,
    'literals': '',
    'texts': [(None, error)] * len(shapes),
  }


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
    clock = _CLOCK in source and not source.startswith(_NO_CLOCK)
    self.source = _NO_CLOCK * clock + source
    self._names = tuple(sorted(tokens.items()))
    usual = _rendered(self.source, self._names, _USUAL)
    if usual['syntax']:
      raise ValueError(
        f'wanted a chat template in jinja2, got {source[:40]!r}: '
        f'{": ".join(usual["syntax"])}; give another one or none'
      )
    self._known = dict(zip(_USUAL, usual['texts'], strict=True))
    self._literals = usual['literals']

  def writes(self, token: str) -> bool:
    """Whether the template itself writes a token into the usual dialogues."""
    return any(token in text for text, _ in self._known.values() if text)

  def mentions(self, token: str) -> bool:
    """Whether a token stands in the template, whatever it does with it."""
    return token in self._literals

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
    roles = tuple(ROLES[turns[i].role] for i in said)
    if system is not None:
      said[SYSTEM] = system
      roles = ('system', *roles)
    (first, *texts), slots = parts_of(self._render(roles))
    pieces = [Piece(first, None)]
    for slot, own in zip(slots, texts, strict=True):
      words = slot.filled(said[slot.turn])
      pieces += [Piece(words, slot.turn), Piece(own, None)]
    return [piece for piece in pieces if piece.text]

  def before_a_reply(self) -> tuple[str, str]:
    """(what asks for a reply, the spaces between that and the reply).

    A template may put a space before a reply that was given and none after the
    words that ask for one; the model then begins its reply with a space.
    """
    asked = parts_of(self._render(('user',)))[0][-1]
    whole = self._render(('user', 'assistant'), ask=False)
    *_, given, _ = ['', *parts_of(whole)[0]]
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

  def _learn(self, roles, ask):
    """Renders a dialogue, and its ends that a long one is cut to."""
    head = roles[: roles[:1] == ('system',)]
    rest = roles[len(head) :]
    ends = [rest[i:] for i, role in enumerate(rest) if i and role == 'user']
    shapes = [(head + end, ask) for end in ends]
    shapes = [shape for shape in shapes if shape not in self._known]
    shapes = ((roles, ask), *shapes)
    found = _rendered(self.source, self._names, shapes)
    self._known |= dict(zip(shapes, found['texts'], strict=True))

  def _render(self, roles, ask=True):
    if (roles, ask) not in self._known:
      self._learn(roles, ask)
    text, error = self._known[roles, ask]
    if error:
      kind, message = error
      said = message if kind == 'TemplateError' else f'{kind}: {message}'
      raise DialogueError(
        'chat template refuses', f'turns of {", ".join(roles)}: {said}'
      )
    return text
