"""Writes docs/checklist.md: each item, and the tests that name it.

    python -m scripts.make_checklist

A test names its items at the end of its docstring: `(checklist 44)`.
"""

import ast
import collections
import pathlib
import re

from scripts.checklist_items import ITEMS, TITLES

ROOT = pathlib.Path(__file__).resolve().parents[1]
OUT = ROOT / 'docs' / 'checklist.md'
MENTION = re.compile(r'\(checklist\b([^)]*)\)')
HEADER = """\
# Checklist

What a correct RLHF program must satisfy, and the tests that hold us to it.
Written by `python -m scripts.make_checklist` from the tests' docstrings: edit
those, not this page. {covered} of {total} items are covered.
"""


def mentions(docstring):
  """Numbers of the items that a docstring names.

  Raises:
    ValueError: if something else than numbers and commas stands there.
  """
  numbers = []
  for group in MENTION.findall(docstring or ''):
    try:
      numbers += [int(number) for number in group.split(',')]
    except ValueError:
      raise ValueError(
        f'(checklist{group}): wanted numbers with commas between'
      ) from None
  return numbers


def covering_tests(root):
  """{item: ['tests/FILE.py::test_name']} of every test below root/tests.

  Raises:
    ValueError: if a test names an item that does not exist.
  """
  found = collections.defaultdict(list)
  for file in sorted((root / 'tests').rglob('test_*.py')):
    for node in ast.walk(ast.parse(file.read_text())):
      if not isinstance(node, ast.FunctionDef | ast.ClassDef):
        continue
      name = f'{file.relative_to(root).as_posix()}::{node.name}'
      for number in mentions(ast.get_docstring(node)):
        if number not in ITEMS:
          raise ValueError(f'{name} names item {number}, which is not listed')
        found[number].append(name)
  return found


def generate(root=ROOT):
  """The text of docs/checklist.md."""
  found = covering_tests(root)
  covered = sum(bool(found[number]) for number in ITEMS)
  lines = [HEADER.format(covered=covered, total=len(ITEMS)).rstrip()]
  for number, text in ITEMS.items():
    if number in TITLES:
      lines.append(f'\n## {TITLES[number]}\n')
    lines.append(f'{number}. {text}')
    lines += [f'   - `{name}`' for name in found[number]] or ['   - open']
  return '\n'.join(lines) + '\n'


if __name__ == '__main__':
  OUT.write_text(generate())
  print(f'wrote {OUT.relative_to(ROOT)}')
