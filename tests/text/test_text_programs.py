"""Programs out of what a model writes."""

import pytest

from rlhf_jax.text import programs

PROMPT = 'import math\n\n\ndef f(x):\n  """Root."""\n'
BODY = '  return math.sqrt(x)\n'


@pytest.mark.parametrize(
  ('text', 'kept'),
  [
    (BODY, BODY),
    (BODY + '\nprint(f(4))\n', BODY),
    (BODY + '\ndef g():\n  pass\n', BODY),
    ('  y = x\n\nclass A:\n\nprint()', '  y = x\n'),
    ('  y = x\n# so\n', '  y = x'),
    ('  y = x\nif x:\n', '  y = x'),
    ('  # a\n  if x:\n    print(x)\n', '  # a\n  if x:\n    print(x)\n'),
    ('\ndef g', ''),
    ('', ''),
  ],
)  # fmt: skip
def test_a_completion_ends_before_the_first_stop(text, kept):
  assert programs.cut_at_stops(text) == kept
  assert programs.program('raw', PROMPT, 'f', text) == PROMPT + kept


WHOLE = 'def f(x):\n  return x ** 0.5'


@pytest.mark.parametrize(
  ('reply', 'program'),
  [
    (f'Sure!\n```python\n{WHOLE}\n```\nThis is it.', f'{PROMPT}\n\n{WHOLE}\n'),
    (f'```\n{WHOLE}\n```\n```\nf(1)\n```', f'{PROMPT}\n\n{WHOLE}\n'),
    (f'```python\n{WHOLE}', f'{PROMPT}\n\n{WHOLE}\n'),  # cut by the limit
    (WHOLE, f'{PROMPT}\n\n{WHOLE}\n'),
    (f'```python\n{BODY}```', PROMPT + BODY.rstrip('\n')),
    ('I cannot.', f'{PROMPT}I cannot.'),
    (
      'def first(x):\n  return x',
      f'{PROMPT}def first(x):\n  return x',
    ),
  ],
)
def test_of_a_reply_the_first_code_block_counts(reply, program):
  assert programs.program('chat', PROMPT, 'f', reply) == program


def test_a_whole_function_finds_the_imports_of_the_prompt():
  reply = '```python\ndef f(x):\n    return math.sqrt(x)\n```'
  space = {}
  exec(programs.program('chat', PROMPT, 'f', reply), space)
  assert space['f'](4) == 2.0


def test_each_form_has_its_protocol():
  assert set(programs.PROTOCOL) == set(programs.FORMS)
