"""Chat templates beside transformers: the same text of the same dialogue.

The templates have the constructs of those with which libraries train:
{% generation %} blocks, namespaces, macros, trimmed words, dates, refusals.
"""

import datetime
import itertools

import jinja2
import pytest
from transformers.utils import chat_template_utils

from rlhf_jax.text.chat import ChatTemplate
from rlhf_jax.text.dialogue import DialogueError, Turn

pytestmark = pytest.mark.slow  # imports transformers; a process each

NAMES = {'bos_token': '<s>', 'eos_token': '</s>', 'unk_token': '<unk>'}
TEMPLATES = {
  'trimmed, generation': """\
{{- bos_token }}
{%- if messages[0]['role'] == 'system' %}
  {%- set system = messages[0]['content'] | trim %}
  {%- set messages = messages[1:] %}
{%- else %}
  {%- set system = '' %}
{%- endif %}
{{- '<|head|>system<|end|>\\n\\n' + system + '<|eot|>' }}
{%- for message in messages %}
  {%- if message['role'] == 'assistant' %}
    {{- '<|head|>assistant<|end|>\\n\\n' }}
    {%- generation %}
    {{- message['content'] | trim + '<|eot|>' }}
    {%- endgeneration %}
  {%- else %}
    {{- '<|head|>' + message['role'] + '<|end|>\\n\\n' }}
    {{- message['content'] | trim + '<|eot|>' }}
  {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
  {{- '<|head|>assistant<|end|>\\n\\n' }}
{%- endif %}
""",
  'set inside of generation': """\
{% set ns = namespace(turns=0, last='') %}
{% for message in messages %}
{% if message.role == 'assistant' %}
{% generation %}
{% set ns.turns = ns.turns + 1 %}
{% set word = 'inside' %}
A{{ ns.turns }}: {{ message.content }}{{ eos_token }}
{% endgeneration %}
{{ word }}
{% else %}
U{{ loop.index0 }}{{ ns.turns }}: {{ message.content }}
{% endif %}
{% endfor %}
{% if add_generation_prompt %}A:{% endif %}""",
  'refuses, first turn holds the system': """\
{% if messages[0]['role'] == 'system' %}{% set first = messages[0]['content'] \
| trim + '\\n\\n' %}{% set loop_messages = messages[1:] %}{% else %}\
{% set first = '' %}{% set loop_messages = messages %}{% endif %}
{% for message in loop_messages %}
{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}
{{ raise_exception('Conversation roles must alternate') }}
{% endif %}
{% if message['role'] == 'user' %}
{{ bos_token + '[INST] ' + (first if loop.first else '') \
+ message['content'].strip() + ' [/INST]' }}
{% else %}
{% generation %}{{ ' ' + message['content'].strip() + ' ' + eos_token }}\
{% endgeneration %}
{% endif %}
{% endfor %}""",
  'parts, macros, one side': """\
{%- macro words(content) -%}
  {%- if content is string -%}{{ content.rstrip() }}
  {%- else -%}{%- for part in content -%}{{ part.text }}{%- endfor -%}
  {%- endif -%}
{%- endmacro -%}
{%- for message in messages -%}
  {%- if message.role == 'assistant' and not message.tool_calls -%}
    <model>{% generation %}{{ words(message.content) -}}
    {% endgeneration %}</model>
  {%- elif message.role == 'system' -%}{% continue %}
  {%- else -%}<{{ message.role }}>{{ words(message.content) }}</>
  {%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}<model>{%- endif -%}""",
  'tools, documents, dates, json': """\
{%- if tools is not none and tools | length %}
  {{- tools | tojson }}
{%- endif %}
{%- if documents %}DOCUMENTS{% endif %}
{%- set today = strftime_now('%d %b %Y') if strftime_now is defined else 'x' %}
{{- {'date': today, 'names': [unk_token, none]} | tojson(indent=1) }}
{%- for message in messages[::-1] if message.role == 'user' %}
{%- if loop.first %}{% set last = loop.length %}{{ last }}{% endif %}
{%- endfor %}
{%- for message in messages %}
{{- message['role'].upper() ~ ': ' ~ message.content.lstrip() ~ '\\n' }}
{%- endfor %}
{%- if thinking is defined and thinking is false %}quick{% endif %}
{%- if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}""",
}
TALKS = [
  ['What is 3 + 4?'],
  ['Hi there', 'Hello.', 'What is 3 + 4?', '7', 'Thanks'],
  [' Hi\t', '\n\nHello. ', 'Bye?\u00a0\n'],
  ['Is <|eot|> or [INST] {{ 1 }} special?', '<b>&amp;</b>\n', 'Ü\n\n é'],
  ['Hi', '', 'Again'],
]
SYSTEMS = [None, 'Be kind.', ' Be kind.\n']


class July(datetime.datetime):
  """The day of every template of ours."""

  @classmethod
  def now(cls, tz=None):
    return cls(2024, 7, 26, tzinfo=tz)


def theirs(source, said, system):
  """transformers' text, or None where the template refuses.

  Args:
    source: of the template.
    said: [(role, words)].
    system: prompt, or None.
  """
  messages = [{'role': role, 'content': text} for role, text in said]
  if system is not None:
    messages.insert(0, {'role': 'system', 'content': system})
  try:
    [text], _ = chat_template_utils.render_jinja_template(
      [messages], chat_template=source, add_generation_prompt=True, **NAMES
    )
  except jinja2.TemplateError as error:
    assert 'roles must alternate' in str(error)
    return None
  return text


def ours(template, said, system):
  names = {'user': 'human', 'assistant': 'assistant'}
  turns = [Turn(names[role], f' {text}') for role, text in said]
  try:
    pieces = template.pieces([*turns, Turn('assistant', '')], system)
  except DialogueError as error:
    assert 'roles must alternate' in str(error)
    return None
  return ''.join(piece.text for piece in pieces)


@pytest.mark.parametrize('name', TEMPLATES)
def test_a_dialogue_has_the_text_that_transformers_renders(name, monkeypatch):
  monkeypatch.setattr(chat_template_utils, 'datetime', July)
  source = TEMPLATES[name]
  template = ChatTemplate(source, NAMES)
  for talk, system in itertools.product(TALKS, SYSTEMS):
    roles = itertools.cycle(('user', 'assistant'))
    said = list(zip(roles, talk, strict=False))
    expected = theirs(source, said, system)
    assert ours(template, said, system) == expected
    assert expected is not None


def test_two_turns_of_one_role_are_refused_by_both():
  source = TEMPLATES['refuses, first turn holds the system']
  said = [('user', 'a'), ('user', 'b')]
  assert theirs(source, said, None) is None
  assert ours(ChatTemplate(source, NAMES), said, None) is None
