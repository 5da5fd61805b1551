"""Chat templates: the names and limits of their process, dates, refusals."""

import time

import pytest

from rlhf_jax.data.pairs import encode_pairs
from rlhf_jax.data.records import make_comparison
from rlhf_jax.text import chat
from rlhf_jax.text.chat import ChatTemplate
from rlhf_jax.text.dialogue import DialogueError, Turn
from tests.pretrained_files import need_or_skip

need_or_skip('tokenizers')

from small_tokenizer import CHATML, write_folder  # noqa: E402

from rlhf_jax.text.pretrained import PretrainedTokenizer  # noqa: E402

TURNS = [Turn('human', ' hi'), Turn('assistant', '')]
SAID = '{% for m in messages %}{{ m.content }}{% endfor %}'
ALTERNATE = (
  '{% for message in messages %}'
  "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
  "{{ raise_exception('roles must alternate') }}{% endif %}"
  "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] }}"
  "{{ '<|im_end|>\n' }}{% endfor %}"
  "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def rendered(source, **tokens):
  return ''.join(p.text for p in ChatTemplate(source, tokens).pieces(TURNS))


@pytest.mark.parametrize(
  ('source', 'text'),
  [
    ('{% if tools is not none %}TOOLS{% endif %}', ''),
    ('{% if tools is defined and tools is none %}none{% endif %}', 'none'),
    ('{% if documents is not none %}DOCUMENTS{% endif %}', ''),
    ('{{ documents is none }}', 'True'),
    ('{% if bos_token is defined %}{{ bos_token }}{% endif %}.', '.'),
    ('{{ eos_token }}', '</s>'),
    ('{{ {"b": "<ä>", "a": 1} | tojson }}', '{"b": "<ä>", "a": 1}'),
    ('{% generation %}a{% endgeneration %}b', 'ab'),
    (
      '{% set x = 1 %}{% generation %}{% set x = 2 %}{{ x }}'
      '{% endgeneration %}{{ x }}',
      '21',
    ),
    ('{%- generation -%}\n a \n{%- endgeneration -%}\n b', 'ab'),
    ('{% for i in range(9) %}{% if i == 2 %}{% break %}{% endif %}'
     '{{ i }}{% endfor %}', '01'),
  ],
)  # fmt: skip
def test_a_template_finds_the_names_that_transformers_gives_it(source, text):
  assert rendered(source, eos_token='</s>') == text


@pytest.mark.parametrize(
  ('content', 'text'),
  [
    ('content', '[  a b\n]'),
    ('content | trim', '[a b]'),
    ('content.strip()', '[a b]'),
    ('content.rstrip()', '[  a b]'),
    ('content.lstrip()', '[a b\n]'),
    ('content | string | upper', '[  a b\n]'),  # words stay what was said
  ],
)
def test_words_lose_the_spaces_that_the_template_takes_off(content, text):
  source = SAID.replace('m.content', f"'[' ~ m.{content} ~ ']'")
  turns = [Turn('human', '   a b\n'), Turn('assistant', '')]
  pieces = ChatTemplate(source, {}).pieces(turns)
  assert ''.join(piece.text for piece in pieces) == text
  assert [piece.turn for piece in pieces] == [None, 0, None]


DATED = (
  '{%- if not date_string is defined %}\n'
  '    {%- if strftime_now is defined %}\n'
  '        {%- set date_string = strftime_now("%d %b %Y") %}\n'
  '    {%- else %}\n'
  '        {%- set date_string = "none" %}\n'
  '    {%- endif %}\n'
  '{%- endif %}\n'
  '  {% if true %}{{ date_string }}{% endif %}'
)


def test_the_date_of_a_template_never_changes():
  assert rendered(DATED) == '26 Jul 2024'
  assert rendered('{{ strftime_now("%A, %-d. %B %Y %H:%M 100%%") }}') == (
    'Friday, 26. July 2024 00:00 100%'
  )


@pytest.mark.parametrize(
  'source',
  [
    '\n{{ strftime_now("%Y") }}',
    '  {% if true %}{{ strftime_now("%Y") }}{% endif %}',
    '\n\n  {%+ if true %} {{ strftime_now("%Y") }}{% endif %}\n',
  ],
)
def test_the_clock_is_stopped_without_moving_a_space(source):
  plain = source.replace('strftime_now("%Y")', '"2024"')
  assert rendered(source) == rendered(plain)


BOMBS = [
  pytest.param(
    '{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}'
    '{% endfor %}',
    marks=pytest.mark.slow,  # runs until it is stopped, as the next does
  ),
  pytest.param('{{ 9 ** (9 ** 9) }}', marks=pytest.mark.slow),
  '{% set s = namespace(x="a" * 1000) %}{% for i in range(40) %}'
  '{% set s.x = s.x + s.x %}{% endfor %}',
  '{{ "a" * 10 ** 11 }}',
  '{{ "%99999999999d" % 1 }}',
]


@pytest.mark.parametrize('bomb', BOMBS)
def test_a_template_that_loops_or_grows_is_stopped(bomb):
  start = time.perf_counter()
  with pytest.raises(ValueError) as error:
    rendered(bomb + SAID)
  assert time.perf_counter() - start < 60  # 5 s of processor time
  assert '\n' not in str(error.value)


@pytest.mark.parametrize(
  ('source', 'message'),
  [
    ('{{ "a" * 2000000 }}', 'TooLongError: 2000000 characters'),
    ('{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}', 'RecursionError'),
    ('{{ "a".encode("utf-99") }}', 'LookupError: unknown encoding'),
    ('{{ [].pop() }}', 'SecurityError'),
    ('{{ messages[0]["nothing"]["more"] }}', 'UndefinedError'),
    ('{{ raise_exception("a\nb") }}', 'refuses: turns of user: a b'),
    ('{{ 1 / 0 }}', 'ZeroDivisionError|not all'),
    ("{{ ''.__class__.__mro__ }}", 'SecurityError'),
  ],
)
def test_whatever_a_template_raises_is_a_refusal(source, message):
  with pytest.raises(ValueError, match=message) as error:
    rendered(source)
  assert '\n' not in str(error.value)


def test_text_that_is_no_template_is_named():
  with pytest.raises(ValueError, match='wanted a chat template in jinja2'):
    ChatTemplate('{% if %}', {})
  with pytest.raises(ValueError, match='wanted a chat template in jinja2'):
    ChatTemplate('{{ ' + '(' * 9999 + ' }}', {})


@pytest.fixture(scope='module')
def strict(tmp_path_factory):
  folder = tmp_path_factory.mktemp('strict')
  return PretrainedTokenizer.from_folder(
    write_folder(folder, template=ALTERNATE)
  )


ONE = '\n\nHuman: the cat\n\nAssistant:'
TWO = ONE + ' a\n\nAssistant: b' + ONE


def pairs():
  return [
    make_comparison(f'{prompt} hello', f'{prompt} dog', 'tests/strict')
    for prompt in (ONE, TWO, ONE)
  ]


def test_a_pair_that_the_template_refuses_is_dropped_and_counted(strict):
  arrays, counts = encode_pairs(pairs(), strict, 60, 8, on_error='skip')
  assert len(arrays.kind_N) == 2
  assert counts['chat template refuses'] == 1
  assert (counts['read'], counts['kept']) == (3, 2)
  assert strict.refuses(TWO) and not strict.refuses(ONE)


def test_without_skip_such_a_pair_is_named(strict):
  message = 'roles must alternate; in a pair of tests/strict .*on_error=skip'
  with pytest.raises(DialogueError, match=message) as error:
    encode_pairs(pairs(), strict, 60, 8)
  assert '\n' not in str(error.value)


def test_what_the_template_refuses_is_no_prompt_either(strict):
  from experiments.shared.comparisons import accepted

  prompts = [(ONE, 'helpful'), (TWO, 'helpful')]
  assert accepted(prompts, strict) == prompts[:1]


def test_a_dialogue_of_any_roles_is_rendered_with_its_ends_at_once(monkeypatch):
  template, asked = ChatTemplate(SAID, {}), []
  real = chat._rendered
  monkeypatch.setattr(
    chat,
    '_rendered',
    lambda source, names, shapes: (
      asked.append(shapes) or real(source, names, shapes)
    ),
  )
  roles = ('human', 'assistant', 'assistant', 'human', 'human', 'assistant')
  turns = [Turn(role, f' {i}') for i, role in enumerate(roles)]
  for start in (0, 3, 4):
    said = ''.join(p.text for p in template.pieces(turns[start:]))
    assert said == ''.join(map(str, range(start, 5)))
  first = ('user', 'assistant', 'assistant', 'user', 'user')
  assert asked == [((first, True), (('user', 'user'), True))]


def test_a_template_without_rules_refuses_nothing(tmp_path):
  folder = write_folder(tmp_path, template=CHATML)
  assert not PretrainedTokenizer.from_folder(folder).refuses(TWO)
