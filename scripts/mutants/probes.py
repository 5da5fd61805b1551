"""Puts a probe before each statement that has a defect, to see who reaches it.

A test file that never runs a statement cannot see what is wrong with it. A
probe writes a file of its number once a process, also in programs that a test
starts; in it stands the test that was running.
"""

import ast

SIMPLE = (
  ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Expr, ast.Return, ast.Assert,
  ast.Delete, ast.Raise,
)  # fmt: skip
HEAD = """\
def _probe(number, seen=set()):
  if number not in seen:
    import os
    seen.add(number)
    with open({folder!r} + f'/{{number}}', 'a') as file:
      file.write(os.environ.get('PYTEST_CURRENT_TEST', '') + chr(10))
"""


def _first(node):
  """First line of a statement, with its decorators."""
  decorators = getattr(node, 'decorator_list', ())
  return min([node.lineno, *(decorator.lineno for decorator in decorators)])


def _place(tree, line):
  """Innermost statement of a function that holds the line and may follow one.

  An `elif` may not.
  """
  elifs = {
    id(node.orelse[0])
    for node in ast.walk(tree)
    if isinstance(node, ast.If)
    and len(node.orelse) == 1
    and isinstance(node.orelse[0], ast.If)
    and node.orelse[0].col_offset == node.col_offset
  }
  found = None
  for function in ast.walk(tree):
    if isinstance(function, ast.FunctionDef):
      for node in ast.walk(function):
        if (
          isinstance(node, ast.stmt)
          and node is not function
          and id(node) not in elifs
          and _first(node) <= line <= node.end_lineno
          and (found is None or node.lineno >= found.lineno)
        ):
          found = node
  return found


def _head_line(tree):
  """Number of lines before the first statement that may follow another."""
  body = tree.body
  for node in body:
    future = isinstance(node, ast.ImportFrom) and node.module == '__future__'
    words = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    if not future and not words:
      return _first(node) - 1
  return body[-1].end_lineno


def probed(source, lines, folder):
  """The source with a probe before each of the lines.

  Args:
    source: Python.
    lines: {number of a probe: line, from 1}.
    folder: where the probes write.
  """
  tree, text = ast.parse(source), source.splitlines(keepends=True)
  for number, line in lines.items():
    node = _place(tree, line)
    at = _first(node) - 1
    row = text[at]
    call = f'_probe({number})'
    if isinstance(node, SIMPLE):
      text[at] = row[: node.col_offset] + call + '; ' + row[node.col_offset :]
    else:
      text[at] = ' ' * node.col_offset + call + '\n' + row
  at = _head_line(tree)
  return ''.join(text[:at]) + HEAD.format(folder=folder) + ''.join(text[at:])
