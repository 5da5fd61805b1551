"""Writes the API reference: a page a room, of its docstrings (`make docs`).

Source is read, not imported: no library is needed, and what a module does when
it is imported does not matter. A docstring is plain text, in which lines that
are indented keep their layout and Args, Returns, ... become lists.
"""

import ast
import inspect
import pathlib
import re
import textwrap
from collections.abc import Iterator

ROOT = pathlib.Path(__file__).resolve().parents[1]
PACKAGE = 'rlhf_jax'
FENCE = '`' * 6  # of a directive, around the fences of equations
_SECTION = re.compile(r'(Args|Attributes|Returns|Yields|Raises|Reference):$')
_ENTRY = re.compile(r'([\w*]+): ?(.*)')
_SPECIAL = re.compile(r'([\\*_<>\[\]{}$|#~])')


def escape(text: str) -> str:
  """Plain text as Markdown; what stands in single backticks stays code."""
  parts = re.split(r'(`[^`]+`)', text)
  return ''.join(
    part if i % 2 else _SPECIAL.sub(r'\\\1', part).replace('`', '\\`')
    for i, part in enumerate(parts)
  )


def markdown_of(docstring: str) -> str:
  """A docstring as Markdown."""
  return '\n\n'.join(_blocks(inspect.cleandoc(docstring).splitlines()))


def _blocks(lines) -> Iterator[str]:
  """The paragraphs, equations and sections of a docstring."""
  while lines:
    if not lines[0].strip():
      lines = lines[1:]
      continue
    if section := _SECTION.match(lines[0]):
      end = _while(lines[1:], lambda x: not x or x[0] == ' ') + 1
      yield f'**{section[1]}**'
      yield _section('\n'.join(lines[1:end]))
    elif lines[0][0] == ' ':
      end = _while(lines, lambda x: not x or x[0] == ' ')
      yield _code('\n'.join(lines[:end]))
    else:
      # Items of a list go on in indented lines.
      more = _in_list if lines[0].startswith('- ') else _in_paragraph
      end = _while(lines, more)
      yield _paragraph(lines[:end])
    lines = lines[end:]


def _while(lines, holds) -> int:
  """How many lines hold from the first on."""
  for i, line in enumerate(lines):
    if not holds(line):
      return i
  return len(lines)


def _in_list(line):
  return line and not _SECTION.match(line)


def _in_paragraph(line):
  return _in_list(line) and line[0] != ' '


def _paragraph(lines):
  """A paragraph; lines that begin with a dash stay a list."""
  text = '\n'.join(escape(line) for line in lines)
  # What would begin a heading, a list or a table is text here.
  return re.sub(r'^(\d+)([.)])', r'\1\\\2', text, flags=re.M)


def _code(text):
  text = textwrap.dedent(text).strip('\n')
  return f'```text\n{text}\n```'


def _section(body):
  """Entries 'name: meaning' as a list; any other body as blocks."""
  text = textwrap.dedent(body).strip('\n')
  entries = re.split(r'^(?=\S)', text, flags=re.M)[1:]
  found = [_ENTRY.match(entry) for entry in entries]
  if not all(found):
    return '\n\n'.join(_blocks(text.splitlines()))
  items = []
  for name, entry in zip(found, entries, strict=True):
    meaning = ' '.join(entry[name.start(2) :].split())
    items.append(f'- **{escape(name[1])}**: {escape(meaning)}')
  return '\n'.join(items)


def _directive(kind, signature, docstring, inner=()):
  """An object of the Python domain with its docstring and what is in it."""
  body = [markdown_of(docstring)] if docstring else []
  parts = '\n\n'.join([*body, *inner])
  return f'{FENCE}{{py:{kind}}} {signature}\n\n{parts}\n{FENCE}'


def _signature(node):
  """'name(a, b=1) -> float' of a function."""
  arguments = ast.unparse(node.args)
  returns = f' -> {ast.unparse(node.returns)}' if node.returns else ''
  return f'{node.name}({arguments}){returns}'


def _public(nodes, kind):
  return [
    node
    for node in nodes
    if isinstance(node, kind) and not node.name.startswith('_')
  ]


def _class(node):
  """A class with its public methods; what fields mean its docstring says."""
  methods = []
  for method in _public(node.body, ast.FunctionDef):
    kinds = [ast.unparse(x) for x in method.decorator_list]
    kind = 'property' if 'property' in kinds else 'method'
    signature = method.name if kind == 'property' else _signature(method)
    text = ast.get_docstring(method, clean=False)
    methods.append(_directive(kind, signature, text).replace(FENCE, '`' * 5))
  bases = ', '.join(ast.unparse(base) for base in node.bases)
  signature = f'{node.name}({bases})' if bases else node.name
  text = ast.get_docstring(node, clean=False)
  return _directive('class', signature, text, methods)


def module_section(path: pathlib.Path, root: pathlib.Path = ROOT) -> str:
  """The part of a page on one module, or '' if it has nothing public.

  Args:
    path: of the module.
    root: of the repository.
  """
  tree = ast.parse(path.read_text())
  name = '.'.join(path.relative_to(root).with_suffix('').parts)
  things = [
    _class(node)
    if isinstance(node, ast.ClassDef)
    else _directive(
      'function', _signature(node), ast.get_docstring(node, clean=False)
    )
    for node in _public(tree.body, ast.ClassDef | ast.FunctionDef)
  ]
  if not things:
    return ''
  head = [f'## `{name}`', f'```{{py:module}} {name}\n```']
  text = ast.get_docstring(tree, clean=False)
  return '\n\n'.join([*head, markdown_of(text or ''), *things])


def pages(root: pathlib.Path = ROOT) -> dict[str, str]:
  """Name -> page: one a room of rlhf_jax, and `index`, their contents."""
  package = root / PACKAGE
  files = [x for x in sorted(package.rglob('*.py')) if x.stem != '__init__']
  rooms = {}
  for file in files:
    room = file.relative_to(package).parts[0].removesuffix('.py')
    rooms.setdefault(room, []).append(file)
  found = {}
  for room, members in sorted(rooms.items()):
    sections = [module_section(file, root) for file in members]
    parts = [f'# {PACKAGE}.{room}', *filter(None, sections)]
    found[room] = '\n\n'.join(parts) + '\n'
  names = '\n'.join(found)
  text = (
    'Every public function and class with its docstring; '
    '`docs/architecture.md` says what each room is for, and what the '
    'shape letters mean.'
  )
  tree = f'```{{toctree}}\n:maxdepth: 2\n\n{names}\n```'
  found['index'] = f'# API reference\n\n{text}\n\n{tree}\n'
  return found
