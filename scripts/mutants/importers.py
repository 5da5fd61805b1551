"""Finds the test files that import a module, at once or through others."""

import ast
import collections
import functools
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ('rlhf_jax', 'experiments', 'tests', 'configs', 'benchmarks', 'scripts')


def _module(path):
  parts = path.relative_to(ROOT).with_suffix('').parts
  return '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)


@functools.cache
def modules():
  """{dotted name: path} of every Python file of the project."""
  files = (path for room in ROOMS for path in (ROOT / room).rglob('*.py'))
  return {_module(path): path for path in files}


def _named(path):
  """Modules of ours that a file imports, or names in a string (`-m NAME`)."""
  found = set()
  for node in ast.walk(ast.parse(path.read_text())):
    names = []
    if isinstance(node, ast.Import):
      names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom) and node.module:
      names = [node.module, *(f'{node.module}.{a.name}' for a in node.names)]
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
      names = [node.value, f'experiments.{node.value}']
    found.update(name for name in names if name in modules())
  return found - {_module(path)}


@functools.cache
def _importers():
  found = collections.defaultdict(set)
  for name, path in modules().items():
    for imported in _named(path):
      found[imported].add(name)
  return found


def importing_tests(path):
  """{test file: number of imports between it and the module}, nearest first."""
  distance = {_module(ROOT / path): 0}
  queue = collections.deque(distance)
  while queue:
    name = queue.popleft()
    for importer in sorted(_importers()[name]):
      if importer not in distance:
        distance[importer] = distance[name] + 1
        queue.append(importer)
  tests = {
    modules()[name].relative_to(ROOT).as_posix(): steps
    for name, steps in distance.items()
    if name.split('.')[-1].startswith('test_')
  }
  return dict(sorted(tests.items(), key=lambda item: (item[1], item[0])))
