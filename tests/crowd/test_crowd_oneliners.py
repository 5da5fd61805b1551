"""One-line Python is run by walking its tree, and by nothing else."""

import builtins

import numpy as np
import pytest

from rlhf_jax.crowd import oneliners

ASKED = oneliners.Asked('sum', '*', 3, '>', 4)
RIGHT = ' sum(v * 3 for v in x if v > 4)'


def by_python(text, x):
  """What Python itself gives; for texts of these tests alone."""
  return eval(text.strip(), {'__builtins__': vars(builtins), 'x': list(x)})


@pytest.mark.parametrize(
  'text',
  [
    RIGHT,
    'sum([3 * v for v in x if v > 4])',
    'sum(v * 3 for v in sorted(x) if v >= 5)',
    'max(-v for v in x) + 2 * len(x) - min(x)',
    'sum(v // 2 for v in x if v % 2 == 1)',
    'len([w for w in [v - 1 for v in x] if w != 3])',
    '7',
  ],
)
def test_values_are_those_of_python(text):
  for x in oneliners.LISTS:
    assert oneliners.value_of(text, x) == by_python(text, x)


@pytest.mark.parametrize(
  'text',
  [
    '',
    'hello there.',
    'sum(v * 3 for v in x if v > 4',  # no end
    '__import__("os").getcwd()',
    'x.append(1)',
    'open("f")',
    'sum(y)',
    'x',  # a list is no number
    'v',
    'lambda: 1',
    'max(v for v in x if v > 99)',  # of nothing
    '1 // 0',
    '9 ** 9 ** 9',
    '999999 * 999999 * 999999',
    'sum(sum(sum(sum(sum(sum(1 for a in x) for b in x) for c in x) for d in x)'
    ' for e in x) for f in x)',  # 15,000 ones and more
    '(' * 100 + '1' + ')' * 100,
    '1 if x else 2',
    'True',
    '0in x',
    '1.5',
    RIGHT + ' ' * 200 + '+ 0',
  ],
)
def test_whatever_else_a_reply_says_has_no_value(text):
  assert oneliners.value_of(text, (1, 2, 3, 4, 5)) is None


def test_gold_is_the_share_of_tests_that_pass_and_that_it_runs():
  score = lambda text: oneliners.score(ASKED, text)
  assert score(RIGHT) == 4.0
  assert score(' sum([3 * v for v in x if 4 < v])') == 4.0
  assert score(' sum(v * 2 for v in x if v > 4)') == 1.0
  # 3 * (14 + 7 + 5) = 78 on the first list alone.
  assert score('78') == 2.0
  assert score(' the sum.') == 0.0
  assert oneliners.is_right(ASKED, RIGHT)
  assert not oneliners.is_right(ASKED, '78')


def test_a_request_reads_back_and_no_filter_leaves_a_list_empty():
  rng = np.random.default_rng(0)
  for _ in range(200):
    prompt = oneliners.sample_prompt(rng)
    said = prompt.text.removeprefix('\n\nHuman: ')
    asked = oneliners.read(said.removesuffix('\n\nAssistant:'))
    assert oneliners.is_right(asked, oneliners.write(rng, asked, 1.0))
    right, wrong = oneliners.twins(rng, asked)
    assert oneliners.is_right(asked, right)
    assert not oneliners.is_right(asked, wrong)
    differ = zip(right.split(), wrong.split(), strict=True)
    assert sum(a != b for a, b in differ) == 1
  assert oneliners.read('code the sum of x') is None


def test_authors_get_each_of_five_parts_right_as_often_as_said():
  """A reply of an author of quality p has all parts with p^5."""
  rng, n = np.random.default_rng(1), 4000
  same = [oneliners.write(rng, ASKED, 0.8) == RIGHT for _ in range(n)]
  p = 0.8**5
  assert np.mean(same) == pytest.approx(p, abs=4 * (p * (1 - p) / n) ** 0.5)
