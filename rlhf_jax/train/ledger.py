"""A ledger of compiled programs: which, how often, how many seconds."""

import collections
import contextlib

import jax

_COMPILE = '/jax/core/compile/backend_compile_duration'
_entries = collections.defaultdict(lambda: [0, 0.0])
_listening = False


def start():
  """Begins to record every program that XLA compiles in this process."""
  global _listening
  if not _listening:
    jax.monitoring.register_event_duration_secs_listener(_record)
    _listening = True


def _record(event, seconds, **details):
  if event == _COMPILE:
    entry = _entries[details.get('fun_name', '?')]
    entry[0] += 1
    entry[1] += seconds


def rows():
  """[{'program', 'count', 'seconds'}], the most expensive first."""
  table = [
    {'program': name, 'count': count, 'seconds': round(seconds, 3)}
    for name, (count, seconds) in _entries.items()
  ]
  return sorted(table, key=lambda row: -row['seconds'])


def count(program):
  """How often a program of this name was compiled (jit(NAME) or NAME)."""
  return sum(
    entry[0]
    for name, entry in _entries.items()
    if name in (program, f'jit({program})', f'jit_{program}')
  )


@contextlib.contextmanager
def no_more_than(programs, name):
  """Fails when a block compiles `name` more often than expected.

  Raises:
    RuntimeError: with the counts.
  """
  start()
  before = count(name)
  yield
  compiled = count(name) - before
  if compiled > programs:
    raise RuntimeError(
      f'{name} was compiled {compiled} times, expected at most {programs}: a '
      'shape or a static argument changes between calls'
    )
