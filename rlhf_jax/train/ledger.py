"""A ledger of compiled programs: which, how often, how long, and why again."""

import collections
import contextlib
import re

import jax

_COMPILE = '/jax/core/compile/backend_compile_duration'
_entries = collections.defaultdict(lambda: [0, 0.0])
_signatures = collections.defaultdict(list)
_listening = False
_spent = [0.0]  # seconds of all compilations


def start():
  """Begins to record every program that XLA compiles in this process."""
  global _listening
  if not _listening:
    jax.monitoring.register_event_duration_secs_listener(_record)
    _listening = True


def _record(event, seconds, **details):
  if event == _COMPILE:
    entry = _entries[_plain(details.get('fun_name', '?'))]
    entry[0] += 1
    entry[1] += seconds
    _spent[0] += seconds


def _plain(name):
  """NAME of jit(NAME) and jit_NAME."""
  return re.sub(r'^jit_(.*)$|^jit\((.*)\)$', r'\1\2', name)


def note(program, arguments):
  """Keeps the shapes that a program is being traced with.

  To be called by the function that is jitted: its Python runs once for each
  new set of shapes, and not when the program is called again.

  Args:
    program: its name.
    arguments: dict of argument name -> pytree.
  """
  leaves = jax.tree_util.tree_leaves_with_path(arguments)
  name = lambda path: jax.tree_util.keystr(path, simple=True, separator='/')
  signature = {name(path): _type(leaf) for path, leaf in leaves}
  if signature not in _signatures[program]:
    _signatures[program].append(signature)


def _type(leaf):
  """'int32[4,8]'; 'float32[] weak' for a Python number."""
  kind = jax.typeof(leaf)
  shape = ','.join(map(str, kind.shape))
  return f'{kind.dtype}[{shape}]' + (' weak' if kind.weak_type else '')


def shapes(program):
  """Differences between the compilations of a program, in one line.

  'batch/tokens_BT: int32[4,8] | int32[6,8]' for each argument that came in
  several shapes; '' for a program that was compiled once, or that notes none.
  """
  seen = _signatures.get(program, [])
  if len(seen) == 1 and count(program) > 1:
    return 'the same shapes: a static setting or a placement differs'
  differing = []
  for path in dict.fromkeys(path for signature in seen for path in signature):
    kinds = dict.fromkeys(signature.get(path, 'none') for signature in seen)
    if len(kinds) > 1:
      differing.append(f'{path}: {" | ".join(kinds)}')
  return '; '.join(differing)


def rows():
  """[{'program', 'count', 'seconds', 'shapes'}], the most expensive first."""
  table = [
    {
      'program': name,
      'count': count,
      'seconds': round(seconds, 3),
      'shapes': shapes(name),
    }
    for name, (count, seconds) in _entries.items()
  ]
  return sorted(table, key=lambda row: -row['seconds'])


def seconds():
  """Seconds of compilation in this process since `start`."""
  return _spent[0]


def count(program):
  """Number of compilations of programs of this name."""
  return _entries[program][0] if program in _entries else 0


@contextlib.contextmanager
def no_more_than(programs, name):
  """Fails when a block compiles `name` more often than expected.

  Raises:
    RuntimeError: with the counts, and the shapes that differ.
  """
  start()
  before = count(name)
  yield
  compiled = count(name) - before
  if compiled > programs:
    raise RuntimeError(
      f'{name} was compiled {compiled} times, expected at most {programs}: a '
      'shape or a static argument changes between calls '
      f'({shapes(name) or "no shapes noted"})'
    )
