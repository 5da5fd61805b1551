"""Cost of running a chat template in a process with limits.

    python -m benchmarks.templates [--json FILE] [--rounds 5]

1,000 dialogues of one to six exchanges, in a twentieth of them a turn is said
in two parts, are rendered in turns, A B A B: as we do, in a process for the
usual sequences of roles and one for each that is new (`text.chat`), and as
`transformers` does, each dialogue by itself with nothing between it and the
template. Seconds are of processor time, that of the processes included.
"""

import argparse
import os
import pathlib
import random
import statistics

from benchmarks.common import print_row, to_rows, write_rows
from rlhf_jax.text import chat, template_sandbox
from rlhf_jax.text.dialogue import Turn

DIALOGUES = 1000
NAMES = {'bos_token': '<s>', 'eos_token': '</s>'}
SOURCE = """\
{{- bos_token }}
{%- if messages[0]['role'] == 'system' %}
  {%- set system = messages[0]['content'] | trim %}
  {%- set messages = messages[1:] %}
{%- else %}
  {%- set system = 'Be helpful.' %}
{%- endif %}
{{- '<|head|>system<|end|>\\n\\n' + system + '<|eot|>' }}
{%- for message in messages %}
  {{- '<|head|>' + message['role'] + '<|end|>\\n\\n' }}
  {%- if message['role'] == 'assistant' %}
    {%- generation %}
    {{- message['content'] | trim + '<|eot|>' }}
    {%- endgeneration %}
  {%- else %}
    {{- message['content'] | trim + '<|eot|>' }}
  {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
  {{- '<|head|>assistant<|end|>\\n\\n' }}
{%- endif %}
"""


def clock():
  """Processor seconds of this process and of those that it waited for."""
  return sum(os.times()[:4])


def dialogues(count, seed=0):
  """Turns of dialogues that end before a reply."""
  rng, found = random.Random(seed), []
  for number in range(count):
    roles = ['human', 'assistant'] * rng.randint(0, 5) + ['human']
    if rng.random() < 0.05:
      place = rng.randrange(len(roles))
      roles.insert(place, roles[place])
    words = [f' In dialogue {number} I say {i}.' for i in range(len(roles))]
    turns = [Turn(role, text) for role, text in zip(roles, words, strict=True)]
    found.append([*turns, Turn('assistant', '')])
  return found


def sandboxed(items):
  """(texts as we render them, seconds to open the template, seconds of all)."""
  chat._rendered.cache_clear()
  start = clock()
  template = chat.ChatTemplate(SOURCE, NAMES)
  opened = clock() - start
  texts = [''.join(x.text for x in template.pieces(item)) for item in items]
  return texts, opened, clock() - start


def unprotected(items):
  """(texts of each dialogue rendered in this process, seconds)."""
  start = clock()
  shapes = []
  for item in items:
    said = [(chat.ROLES[turn.role], chat.words_of(turn)) for turn in item[:-1]]
    shapes.append(([{'role': r, 'content': text} for r, text in said], True))
  request = {'source': SOURCE, 'names': NAMES, 'shapes': shapes}
  found = template_sandbox.answer(request)
  return [text for text, _ in found['texts']], clock() - start


def measure(rounds, count=DIALOGUES):
  """Lines of (metric, value, unit).

  Raises:
    ValueError: if the two do not give the same texts.
  """
  items, opened, all_s, plain = dialogues(count), [], [], []
  for _ in range(rounds):
    ours, open_s, seconds = sandboxed(items)
    theirs, plain_s = unprotected(items)
    if ours != theirs:
      raise ValueError('the process gives other texts than this one')
    opened.append(open_s)
    all_s.append(seconds)
    plain.append(plain_s)
  middle = statistics.median
  added = [a - b for a, b in zip(all_s, plain, strict=True)]
  return [
    ('open_cpu_s', middle(opened), 's'),
    ('sandboxed_cpu_s', middle(all_s), 's'),
    ('unprotected_cpu_s', middle(plain), 's'),
    (
      'added_cpu_s',
      middle(added),
      's',
    ),
    ('processes', chat._rendered.cache_info().misses, 'processes'),
  ]


def main(argv=None):
  """Prints the table, writes the rows and returns them."""
  parser = argparse.ArgumentParser(prog='python -m benchmarks.templates')
  parser.add_argument('--json', type=pathlib.Path, help='file for the rows')
  parser.add_argument('--rounds', type=int, default=5)
  args = parser.parse_args(argv)
  lines = measure(args.rounds)
  rows = to_rows('templates', f'{DIALOGUES} dialogues', lines)
  for row in rows:
    print_row(row)
  write_rows(args.json, rows)
  return rows


if __name__ == '__main__':
  main()
