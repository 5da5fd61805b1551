"""Boxes from outside: starting, hearing, ending.

A box runs one untrusted Python program on Linux:

- no network, no processes of others, no files but the standard library
  (read-only) and a scratch in memory: namespaces and a root of its own;
- memory, processor, clock, file size, scratch and output are limited;
- no fork, thread, exec, socket or shared memory: a filter of system calls;
- whatever happens, nothing is left: the namespace of processes ends with it,
  and it ends when whoever started it dies.

Where the kernel does not allow this, nothing is run (`SandboxError`).
"""

import contextlib
import json
import os
import platform
import selectors
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from rlhf_jax.sandbox.limits import BoxLimits, SandboxError

ROOT = Path(__file__).resolve().parents[2]
_START = (
  f'import sys; sys.path.insert(0, {str(ROOT)!r}); '
  'from rlhf_jax.sandbox import jail; sys.path.pop(0); jail.main()'
)
GRACE = 60.0  # seconds for start and end on a busy machine
LINGER = 1.0  # seconds in which a box may end by itself when all is said
REPORT_BYTES, _PIECE = 4096, 1 << 16
REFUSED = (
  'wanted Linux 5.12 or later on x86_64 that lets this user make namespaces, '
  'got: {}; nothing was run (see docs/humaneval.md)'
)


class Ended(NamedTuple):
  """The end of a program.

  Attributes:
    kind: 'exit', 'signal', 'time' (of the clock), 'output' (too much of it) or
      'stopped' (by whoever started it).
    number: exit code or signal; 0 where there is neither.
    output: what it wrote on stdout and stderr, at most `output_bytes`.
    seconds: of the clock, the box's start and end included.
  """

  kind: str
  number: int
  output: bytes
  seconds: float


class Box:
  """A box that has been started; `stop` ends it, and says nothing."""

  def __init__(self, role, job, limits, given=(), heard=True):
    """Starts it.

    Args:
      role: of `jail.ROLES`.
      job: dict for the role, JSON.
      limits: BoxLimits.
      given: file descriptors that the role is called with.
      heard: whether its output is wanted.

    Raises:
      SandboxError: on another system than Linux, or another machine.
    """
    if (platform.system(), platform.machine()) != ('Linux', 'x86_64'):
      found = f'{platform.system()} on {platform.machine()}'
      raise SandboxError(REFUSED.format(found))
    held, self._control = os.pipe()
    self.report, told = os.pipe()
    paper = os.memfd_create('job')
    os.write(paper, json.dumps(job).encode())
    os.lseek(paper, 0, os.SEEK_SET)
    order = {
      'role': role,
      'limits': list(limits),
      'job': paper,
      'control': held,
      'report': told,
      'given': list(given),
    }
    self._process = subprocess.Popen(
      [sys.executable, '-I', '-S', '-c', _START, json.dumps(order)],
      stdin=subprocess.DEVNULL,
      stdout=subprocess.PIPE if heard else subprocess.DEVNULL,
      stderr=subprocess.STDOUT if heard else subprocess.DEVNULL,
      pass_fds=[paper, held, told, *given],
      cwd='/',
      env={},
      start_new_session=True,
    )
    for fd in (paper, held, told):
      os.close(fd)
    self.output = self._process.stdout.fileno() if heard else None

  def stop(self):
    """Has the kernel end all that runs in the box, if it still does."""
    if self._control is not None:
      os.close(self._control)
      self._control = None

  def close(self):
    """Stops it, and waits until it is gone."""
    self.stop()
    self._process.wait(GRACE)
    if self._process.stdout:
      self._process.stdout.close()
    os.close(self.report)


def hear(caps, stop, seconds, last=None):
  """{fd: bytes} of several pipes, each to its end.

  Args:
    caps: {fd: most bytes}; what comes after them is thrown away.
    stop: called, perhaps several times, when a pipe has brought more than its
      cap, and when the seconds are over.
    seconds: of the clock.
    last: a pipe; soon after its end the seconds are over.

  Returns:
    ({fd: bytes}, the set of pipes that brought too much).

  Raises:
    SandboxError: if the pipes do not end after that.
  """
  found, full = {fd: b'' for fd in caps}, set()
  until = time.monotonic() + seconds
  with selectors.DefaultSelector() as select:
    for fd in caps:
      select.register(fd, selectors.EVENT_READ)
    while select.get_map():
      left = until - time.monotonic()
      if left < -GRACE:
        raise SandboxError('a box did not end when it was told to')
      ready = select.select(max(left, 0.1))
      if left < 0:
        stop()
      for key, _ in ready:
        fd, data = key.fd, os.read(key.fd, _PIECE)
        found[fd] += data[: caps[fd] - len(found[fd])]
        if data and len(found[fd]) == caps[fd]:
          full.add(fd)
        if not data:
          select.unregister(fd)
        if fd in full:
          stop()
        if fd == last and not data:
          until = min(until, time.monotonic() + LINGER)
  return found, full


def reported(data):
  """{'ended' | 'status': ...} of the lines of a report.

  Raises:
    SandboxError: if the kernel refused something, or nothing is reported.
  """
  found = {}
  for line in data.decode().splitlines():
    with contextlib.suppress(ValueError):
      found |= json.loads(line)
  if 'refused' in found:
    raise SandboxError(REFUSED.format(found['refused']))
  if not found:
    raise SandboxError('a box died and did not say why: was memory short?')
  return found


def ending(found, full, output, seconds):
  """The `Ended` of a box, from its report and its output."""
  status = found.get('status')
  if full:
    return Ended('output', 0, output, seconds)
  if status is None:
    return Ended(found['ended'], 0, output, seconds)
  kind = 'signal' if status < 0 else 'exit'
  return Ended(kind, abs(status), output, seconds)


def run_program(program: str, limits: BoxLimits | None = None) -> Ended:
  """Runs the text of a program in a box; how it ended.

  Raises:
    SandboxError: if the kernel refuses a box.
  """
  limits, begun = limits or BoxLimits(), time.monotonic()
  box = Box('run', {'program': program}, limits)
  try:
    caps = {box.output: limits.output_bytes, box.report: REPORT_BYTES}
    found, full = hear(caps, box.stop, limits.seconds + GRACE)
  finally:
    box.close()
  report, seconds = reported(found[box.report]), time.monotonic() - begun
  return ending(report, full, found[box.output], seconds)


def refusal() -> str:
  """Reason why this machine runs no boxes; '' if it does."""
  try:
    ended = run_program('print(6 * 7)')
  except SandboxError as error:
    return str(error)
  if (ended.kind, ended.number, ended.output) != ('exit', 0, b'42\n'):
    return REFUSED.format(f'a box that ended with {ended}')
  return ''
