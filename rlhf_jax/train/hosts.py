"""Calls that the processes of a job make once, and all know the outcome of.

All processes run one program: each makes the same calls in the same order.
Arrays need no word of it, a mesh spans them all (`sharding`); files do:

    once(make)        process 0 calls it, every process gets what it returns
    by_one(write)     a writer that process 0 alone calls, while others wait
    in_turn(make)     process 0 calls it, then the others, which find its files
    meet()            all wait until all of them are there

Values go through the store of `jax.distributed`, so nothing is compiled. Where
there is one process all are plain calls. JAX is not imported here: a
script that does without it writes its tables by the same functions.
"""

import contextlib
import functools
import itertools
import json
import os
import sys
import threading

from rlhf_jax.digests import reason
from rlhf_jax.train.about import RunError

# Milliseconds for which the others wait for process 0, which may be drawing
# figures; if it dies they end sooner (`partners`).
PATIENCE = 3_600_000

_numbers, _inside = itertools.count(), False
# Set where a call has failed: all processes end then, each with that line, and
# the end of another one is no death (`partners`).
failed = threading.Event()


def _state():
  """JAX's record of its job, which needs no device; None before JAX is."""
  return getattr(sys.modules.get('jax._src.distributed'), 'global_state', None)


def count():
  """Number of processes of the job; 1 without `distributed.start`."""
  return getattr(_state(), 'num_processes', 1)


def index():
  """Number of this process among them, from 0."""
  return getattr(_state(), 'process_id', 0)


def several():
  """Whether several processes make this call together: not inside `once`."""
  return count() > 1 and not _inside


@contextlib.contextmanager
def alone():
  """In it a process acts for itself: what is done `once` it does itself."""
  global _inside
  before, _inside = _inside, True
  try:
    yield
  finally:
    _inside = before


def once(make, name=None):
  """`make()`, called by process 0 alone; what it returned, in every process.

  One inside another is a plain call.

  Args:
    make: () -> a value of JSON.
    name: what it is, the same in every process; None: that of the function.

  Raises:
    RunError: in the others, with the line of what it raised in process 0; or if
      they are not at the same call.
  """
  if not several():
    return make()
  key, client = f'rlhf_jax/once/{next(_numbers)}', _state().client
  name = name or getattr(make, '__qualname__', '')
  if index():
    return _heard(
      json.loads(client.blocking_key_value_get(key, PATIENCE)), name
    )
  try:
    with alone():
      told = json.dumps({'name': name, 'value': make()})
  except BaseException as error:
    failed.set()
    told = json.dumps({'name': name, 'error': reason(error)})
    raise
  finally:
    client.key_value_set(key, told)
  return json.loads(told)['value']


def _heard(told, name):
  """The value that process 0 tells at a call of that name."""
  if told['name'] != name:
    failed.set()
    raise RunError(
      f'process {index()} is at {name} and process 0 at {told["name"]}: the '
      'processes of a job have to make the same calls, from one version of the '
      'code, on files that all of them see'
    )
  if 'error' in told:
    failed.set()
    raise RunError(told['error'])
  return told['value']


def by_one(write):
  """`write`, called by process 0 alone; the others wait until it is done."""

  @functools.wraps(write)
  def called(*args, **options):
    def make():
      write(*args, **options)

    once(make, write.__qualname__)

  return called


def in_turn(make):
  """`make()` in process 0, then in the others, which find what it has written.

  Args:
    make: () -> anything; no program of a mesh of all processes runs in it.
  """
  made = []
  once(lambda: made.append(make()), make.__qualname__)
  return made[0] if made else make()


def meet():
  """Waits until all processes are at this call."""
  if several():
    name = f'rlhf_jax/meet/{next(_numbers)}'
    _state().client.wait_at_barrier(name, PATIENCE)


def ended(code):
  """The exit code of a script, of which a process that failed ends here.

  JAX's orderly end would wait for the others.
  """
  if code and count() > 1:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
  return code
