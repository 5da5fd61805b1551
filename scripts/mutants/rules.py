"""Rules by which a line of Python becomes a wrong one.

Each rule takes a node of the syntax tree and gives edits: the columns of one
line and the text that takes their place. Only code inside functions is touched,
and neither docstrings nor what stands in a `raise`.
"""

import ast
from typing import NamedTuple

OPERATORS = {
  ast.Add: ('+', '-'),
  ast.Sub: ('-', '+'),
  ast.Mult: ('*', '/'),
  ast.Div: ('/', '*'),
  ast.Pow: ('**', '*'),
  ast.FloorDiv: ('//', '*'),
  ast.Mod: ('%', '*'),
  ast.Lt: ('<', '<='),
  ast.LtE: ('<=', '<'),
  ast.Gt: ('>', '>='),
  ast.GtE: ('>=', '>'),
  ast.Eq: ('==', '!='),
  ast.NotEq: ('!=', '=='),
  ast.And: ('and', 'or'),
  ast.Or: ('or', 'and'),
  ast.BitAnd: ('&', '|'),
  ast.BitOr: ('|', '&'),
}


class Edit(NamedTuple):
  """Replacement of columns [start, stop) of line `line` (from 1) by `text`."""

  line: int
  start: int
  stop: int
  text: str


def _between(lines, left, right, old, new):
  """The edit of an operator that stands between two nodes, in a list."""
  if left.end_lineno != right.lineno:
    return []
  text = lines[right.lineno - 1][left.end_col_offset : right.col_offset]
  at = text.find(old)
  if at < 0:
    return []
  start = left.end_col_offset + at
  return [Edit(right.lineno, start, start + len(old), new)]


def _whole(node, text):
  return [Edit(node.lineno, node.col_offset, node.end_col_offset, text)]


def operator(node, lines, _):
  """Another operator, or none: + for -, < for <=, and for or, x for not x."""
  if isinstance(node, ast.UnaryOp) and not isinstance(
    node.operand, ast.Constant
  ):
    return _whole(node, f'({ast.unparse(node.operand)})')
  pairs = []
  if isinstance(node, ast.BinOp):
    pairs = [(node.left, node.right, node.op)]
  elif isinstance(node, ast.Compare):
    pairs = [(node.left, node.comparators[0], node.ops[0])]
  elif isinstance(node, ast.BoolOp):
    pairs = [(*node.values[:2], node.op)]
  return [
    edit
    for left, right, op in pairs
    if type(op) in OPERATORS
    for edit in _between(lines, left, right, *OPERATORS[type(op)])
  ]


def index(node, lines, _):
  """A number in brackets that is one too large: x[0] becomes x[1]."""
  if not isinstance(node, ast.Subscript):
    return []
  parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
  parts = [
    bound
    for part in parts
    for bound in (
      (part.lower, part.upper) if isinstance(part, ast.Slice) else (part,)
    )
  ]
  return [edit for part in parts for edit in _larger(part)]


def _larger(node):
  value = _number(node)
  return _whole(node, repr(value + 1)) if isinstance(value, int) else []


def _number(node):
  """Value of a literal number with its sign, else None; True is no number."""
  try:
    value = ast.literal_eval(node) if node is not None else None
  except (ValueError, TypeError):
    return None
  return value if type(value) in (int, float) else None


def key(node, lines, names):
  """Another key or attribute of the same thing in the same function."""
  if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
    found, own = names['keys'], node.slice.value
    others = found.get(ast.unparse(node.value), ())
    return [
      edit
      for other in _next(own, others)
      for edit in _whole(node.slice, repr(other))
    ]
  if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
    base = ast.unparse(node.value)
    start = node.end_col_offset - len(node.attr)
    return [
      Edit(node.end_lineno, start, node.end_col_offset, other)
      for other in _next(node.attr, names['attributes'].get(base, ()))
    ]
  return []


def _next(own, others):
  """The name after this one, in a list; the last has the first."""
  others = sorted(others, key=str)
  if not isinstance(own, str) or own not in others or len(others) < 2:
    return []
  return [others[(others.index(own) + 1) % len(others)]]


def arguments(node, lines, _):
  """Two neighbouring arguments of a call in the other order."""
  if not isinstance(node, ast.Call) or len(node.args) < 2:
    return []
  first, second = node.args[:2]
  plain = (ast.Name, ast.Attribute, ast.Subscript)
  if not (isinstance(first, plain) and isinstance(second, plain)):
    return []
  one, other = ast.unparse(first), ast.unparse(second)
  if one == other or first.lineno != second.end_lineno:
    return []
  edit = Edit(
    first.lineno, first.col_offset, second.end_col_offset, f'{other}, {one}'
  )
  return [edit]


def keyword(node, lines, _):
  """A keyword argument that is left out, so that its default holds."""
  if not isinstance(node, ast.Call):
    return []
  edits = []
  for given in node.keywords:
    if given.arg and given.lineno == given.end_lineno:
      line = lines[given.lineno - 1]
      stop = given.end_col_offset
      stop += len(line[stop:]) - len(line[stop:].lstrip(', '))
      edits.append(Edit(given.lineno, given.col_offset, stop, ''))
  return edits


def constant(node, lines, _):
  """Another constant: one more, twice as much, False for True."""
  if not isinstance(node, ast.Constant):
    return []
  if isinstance(node.value, bool):
    return _whole(node, repr(not node.value))
  value = _number(node)
  if value is None:
    return []
  larger = value + 1 if isinstance(value, int) or value == 0 else 2 * value
  return _whole(node, repr(larger))


RULES = (operator, index, key, arguments, keyword, constant)


def edits_of(source):
  """[(rule name, function name, Edit)] that the rules allow, in order."""
  lines = source.splitlines()
  found = []
  for function in ast.parse(source).body:
    for inner in ast.walk(function):
      if isinstance(inner, ast.FunctionDef):
        found += _edits_in(inner, lines)
  unique = {edit: (rule, name, edit) for rule, name, edit in found}
  return sorted(unique.values(), key=lambda row: (row[2], row[0]))


def _edits_in(function, lines):
  nodes = [n for statement in _statements(function) for n in _plain(statement)]
  names = {'keys': {}, 'attributes': {}}
  called = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
  for node in nodes:
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
      value = node.slice.value
      if isinstance(value, str):
        names['keys'].setdefault(ast.unparse(node.value), set()).add(value)
    if isinstance(node, ast.Attribute) and id(node) not in called:
      base = ast.unparse(node.value)
      names['attributes'].setdefault(base, set()).add(node.attr)
  slots = {id(n.slice) for n in nodes if isinstance(n, ast.Subscript)}
  return [
    (rule.__name__, function.name, edit)
    for node in nodes
    for rule in RULES
    if not (rule is key and id(node) in called)
    if not (rule is constant and id(node) in slots)
    for edit in rule(node, lines, names)
    if edit.line == node.end_lineno or rule is not key
  ]


def _statements(function):
  body = function.body
  if ast.get_docstring(function) is not None:
    body = body[1:]
  return body


def _plain(node):
  """The node and all below it, but for functions, `raise` and strings."""
  if isinstance(node, ast.Raise | ast.FunctionDef | ast.JoinedStr):
    return
  yield node
  for child in ast.iter_child_nodes(node):
    yield from _plain(child)


def find(source, edit, before):
  """The edit where its line stands now; None if the line is there no more.

  Args:
    source: as it is today.
    edit: as it was drawn.
    before: the line as it was drawn, without indentation. Of several such lines
      the nearest is meant.
  """
  lines = source.splitlines()
  numbers = [n for n, x in enumerate(lines, 1) if x.strip() == before]
  if not numbers:
    return None
  number = min(numbers, key=lambda n: abs(n - edit.line))
  return edit._replace(line=number)


def apply(source, edit):
  """The source with the edit made; None if it is no Python any more."""
  lines = source.splitlines(keepends=True)
  line = lines[edit.line - 1]
  lines[edit.line - 1] = line[: edit.start] + edit.text + line[edit.stop :]
  changed = ''.join(lines)
  try:
    same = ast.dump(ast.parse(changed)) == ast.dump(ast.parse(source))
  except SyntaxError:
    return None
  return None if same else changed
