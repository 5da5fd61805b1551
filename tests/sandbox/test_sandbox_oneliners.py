"""The sandbox and the world's own checker agree on lines of Python.

The world walks the tree of a reply and runs nothing (`crowd/oneliners.py`);
HumanEval runs a program in a box. Both are asked about the same lines, with
values that a loop of these tests has worked out. Where the kernel refuses
boxes the reason is printed.
"""

import numpy as np
import pytest
from boxes import need_boxes

from rlhf_jax.crowd import oneliners
from rlhf_jax.sandbox.judge import judge

PROMPT = 'def answer(x):\n  """One number."""\n'
ASKED = oneliners.Asked('sum', '*', 3, '>', 4)
RIGHT = (
  ' sum(v * 3 for v in x if v > 4)',
  'sum([3 * v for v in x if 4 < v])',
  'sum(w * 3 for w in sorted(x) if w >= 5)',
  '3 * sum(v for v in x if v > 4)',
  'sum(v * 3 for v in x) - sum(v * 3 for v in x if v <= 4)',
)
WRONG = (
  ' sum(v * 2 for v in x if v > 4)',
  ' sum(v * 3 for v in x if v < 4)',
  ' max(v * 3 for v in x if v > 4)',
  'sum(v * 3 for v in x if v >= 4)',  # of the last list alone
  '78',  # right of the first list alone
  'sum(v * 3 for v in x if v > 4',
  'sum(y)',
  'x',
  'max(v for v in x if v > 99)',
  '1 // 0',
  '',
  'hello there.',
  '__import__("os")._exit(0)',
)
# Right in Python, of nodes that the world does not know: it gives no value.
UNKNOWN = (
  'sum(map(lambda v: 3 * v, [v for v in x if v > 4]))',
  'sum(v * 3 if v > 4 else 0 for v in x)',
  'sum(3 * v for v in x if not v <= 4)',
)


def by_hand(asked, x):
  """The wanted value, by a loop."""
  kept = []
  for v in x:
    if (v > asked.bound) if asked.filter == '>' else (v < asked.bound):
      change = {'+': v + asked.number, '-': v - asked.number}
      kept.append((change | {'*': v * asked.number})[asked.change])
  return {'sum': sum, 'max': max, 'min': min}[asked.total](kept)


def passes(asked, line):
  """Whether a line passes in the sandbox, on the lists of the world."""
  checks = [
    f'  assert candidate({list(x)}) == {by_hand(asked, x)}\n'
    for x in oneliners.LISTS
  ]
  test = 'def check(candidate):\n' + ''.join(checks)
  program = f'{PROMPT}  return {line.strip()}\n'
  return judge(program, PROMPT, test, 'answer').passed


@pytest.fixture(autouse=True)
def boxes():
  need_boxes()


@pytest.mark.parametrize(
  ('line', 'right'),
  [*((line, True) for line in RIGHT), *((line, False) for line in WRONG)],
)
def test_a_line_is_right_in_the_box_where_the_world_calls_it_right(line, right):
  assert oneliners.is_right(ASKED, line) is right
  assert passes(ASKED, line) is right


def test_replies_of_authors_have_one_verdict_of_both():
  """Requests of every total and change; lines with one part that is other."""
  rng, seen = np.random.default_rng(0), set()
  for _ in range(6):
    prompt = oneliners.sample_prompt(rng).text
    said = prompt.removeprefix('\n\nHuman: ').removesuffix('\n\nAssistant:')
    asked = oneliners.read(said)
    both = zip(oneliners.twins(rng, asked), (True, False), strict=True)
    for line, right in both:
      assert oneliners.is_right(asked, line) is right
      assert passes(asked, line) is right, (asked, line)
    seen |= {asked.total, asked.change, asked.filter}
  assert len(seen) >= 6


@pytest.mark.parametrize('line', UNKNOWN)
def test_the_world_is_the_stricter_of_the_two(line):
  """It knows few nodes: what it does not know is wrong there, and runs here."""
  assert not oneliners.is_right(ASKED, line)
  assert passes(ASKED, line)
