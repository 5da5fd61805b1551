"""Docstrings name their thing: they begin with a noun or a verb."""

import ast
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[1]
TOPS = ('rlhf_jax', 'experiments', 'benchmarks', 'configs', 'scripts', 'apps')
FILES = sorted(
  path.relative_to(ROOT).as_posix()
  for top in TOPS
  for path in (ROOT / top).rglob('*.py')
)
LIBRARY = [
  path
  for path in FILES
  if path.startswith('rlhf_jax/') and '/analysis/' not in path
]
# A first line that begins so is about the thing, and does not name it.
CLAUSES = re.compile('(As|From|How|Those|To|What|Where|Which|Who|Whose) ')


def documented(source):
  """Yields (name, whether it is a public function, docstring or None).

  Functions inside functions are nobody else's; what their maker builds stands
  in its docstring.
  """
  tree = ast.parse(source)
  yield '', False, ast.get_docstring(tree)
  todo = [('', node) for node in tree.body]
  while todo:
    above, node = todo.pop()
    if not isinstance(node, ast.ClassDef | ast.FunctionDef):
      continue
    name = f'{above}{node.name}'
    hidden = any(part.startswith('_') for part in name.split('.'))
    function = isinstance(node, ast.FunctionDef)
    yield name, function and not hidden, ast.get_docstring(node)
    if not function:
      todo += [(f'{name}.', inner) for inner in node.body]


def wrong_of(source, beginnings=None):
  """Names without a docstring that need one, or with one that begins wrong."""
  return [
    name or 'the file'
    for name, public, text in documented(source)
    if (public and not text)
    or (text and re.match('of ', text, re.IGNORECASE))
    or (text and beginnings and beginnings.match(text))
  ]


@pytest.mark.parametrize('path', FILES)
def test_public_functions_say_what_they_are_and_none_begins_with_of(path):
  assert wrong_of((ROOT / path).read_text()) == []


@pytest.mark.parametrize('path', LIBRARY)
def test_first_lines_of_the_library_name_the_thing(path):
  assert wrong_of((ROOT / path).read_text(), CLAUSES) == []


@pytest.mark.parametrize(
  ('source', 'wrong'),
  [
    ('"""Of rows."""', ['the file']),
    ('def f():\n  """of a batch."""', ['f']),
    ('def f():\n  return 1', ['f']),
    ('class A:\n  """Rows."""\n  def f(self):\n    return 1', ['A.f']),
    ('class A:\n  """Rows."""\n  def __init__(self):\n    self.a = 1', []),
    ('def _f():\n  return 1', []),
    ('def _f():\n  """of a row."""', ['_f']),
    ('def f():\n  """Often used."""\n  def g():\n    return 1', []),
    ('def f():\n  """What f gives."""', []),
  ],
)
def test_a_docstring_that_is_missing_or_begins_with_of_is_seen(source, wrong):
  assert wrong_of(source) == wrong


def test_a_first_line_that_does_not_name_the_thing_is_seen():
  assert wrong_of('def f():\n  """What f gives."""', CLAUSES) == ['f']
  assert wrong_of('def f():\n  """Whether it is so."""', CLAUSES) == []
