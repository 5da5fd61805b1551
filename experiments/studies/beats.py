"""What the process of a job says of itself: ROOT/beats/NAME.json, ROOT/logs.

    {'state': 'running' or 'failed', 'beat': 12, 'host': ..., 'pid': ...,
     'log': path, 'progress': [label, done, total, seconds left],
     'kind': of a failure, 'why': one line}

While it runs, `beat` grows every quarter of a minute, whatever the job does; a
file that stands still is of a process that is gone. It is taken away at the
end: done.json then says the rest. One that failed stays, with its kind
(`retries`) and its line.
"""

import contextlib
import ctypes
import os
import signal
import socket
import sys
import threading
import traceback
from pathlib import Path

from rlhf_jax import digests

EVERY = 15.0  # seconds between two beats
LOST = 120.0  # seconds of silence after which a process counts as gone
STARTING = 600.0  # seconds until the first word, imports over a network too


def file_of(root, name) -> Path:
  """Where a job's process says how it is."""
  return Path(root) / 'beats' / f'{name}.json'


def log_of(root, name) -> Path:
  """Where what a job prints is kept, one file for all of its tries."""
  return Path(root) / 'logs' / f'{name}.log'


def read(root, name) -> dict:
  """What a job's process said last; {} where it has said nothing."""
  try:
    return digests.read_json(file_of(root, name), dict)
  except (OSError, digests.DamagedError):
    return {}


def forget(root, name) -> None:
  """Takes away what was said, so that what comes is of a new try."""
  file_of(root, name).unlink(missing_ok=True)


def die_with_parent():
  """Ends this process when the one that started it is gone; on Linux."""
  if sys.platform == 'linux':
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Beat:
  """Says that a job's process is alive, and how it ended; a context manager.

  Args:
    root: of the study.
    name: of the job.
    log: path where its output goes, '' to the terminal.
    kind_of: (exception) -> {'kind', 'why'}, what is said of it.
  """

  def __init__(self, root, name, log='', *, kind_of):
    self.file, self._kind_of = file_of(root, name), kind_of
    self._said = {
      'state': 'running',
      'beat': 0,
      'host': socket.gethostname(),
      'pid': os.getpid(),
      'log': str(log),
    }
    self._end, self._lock = threading.Event(), threading.Lock()

  def __enter__(self):
    self.file.parent.mkdir(parents=True, exist_ok=True)
    self._write()
    self._thread = threading.Thread(target=self._run, daemon=True)
    self._thread.start()
    return self

  def __exit__(self, kind=None, error=None, trace=None):
    self._end.set()
    self._thread.join()
    if error is None:
      self.file.unlink(missing_ok=True)
    elif isinstance(error, Exception):
      self._write(state='failed', **self._kind_of(error))

  def progress(self, *told):
    """Notes (label, done, total, seconds left); written with the next beat."""
    self._said['progress'] = list(told)

  def _run(self):
    while not self._end.wait(EVERY):
      with contextlib.suppress(OSError):  # a file system that is busy
        self._write(beat=self._said['beat'] + 1)

  def _write(self, **changes):
    with self._lock:
      self._said |= changes
      digests.write_json(self.file, self._said)


class Pulse:
  """Tells which processes are not heard of any more, by this machine's clock.

  Clocks of other machines are not read: a file that does not change for long
  is of a process that is gone.
  """

  def __init__(self):
    self._heard = {}

  def is_lost(self, name, said, now) -> bool:
    """Whether a job that should run has been silent for too long.

    Args:
      name: of the job.
      said: what its process said last, as of `read`.
      now: seconds, of one clock.
    """
    mark = tuple(said.get(key) for key in ('host', 'pid', 'beat'))
    if name not in self._heard or self._heard[name][0] != mark:
      self._heard[name] = mark, now
    limit = LOST if said else STARTING
    return now - self._heard[name][1] > limit

  def forget(self, name):
    """Begins anew with a job, as when it has gone back into a queue."""
    self._heard.pop(name, None)


@contextlib.contextmanager
def output_to(log):
  """Leads what this process prints, compilers too, to the end of a file.

  An exception that leaves is printed there.
  """
  log.parent.mkdir(parents=True, exist_ok=True)
  streams, kept = (sys.stdout, sys.stderr), [os.dup(1), os.dup(2)]
  with open(log, 'a') as file:
    _lead(streams, [file.fileno()] * 2)
  try:
    yield
  except Exception:
    traceback.print_exc()
    raise
  finally:
    _lead(streams, kept)
    for number in kept:
      os.close(number)


def _lead(streams, numbers):
  for place, (stream, number) in enumerate(
    zip(streams, numbers, strict=True), 1
  ):
    stream.flush()
    os.dup2(number, place)
