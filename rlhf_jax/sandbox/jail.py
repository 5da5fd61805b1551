"""The inside of a box: four processes, of which the last runs the program.

    P0   started by `box`; says who is who in the new user namespace
    P1   has left every namespace; watches the clock and whoever started it
    P2   process 1 of the new namespaces; builds the file system; when it ends
         the kernel ends all that is left in there
    P3   gives up every privilege, takes its limits, then runs

A step that the kernel refuses ends everything before the program starts.
"""

import functools
import json
import os
import resource
import select
import signal
import sys
from typing import NamedTuple

from rlhf_jax.sandbox import checker, kernel, root, solver
from rlhf_jax.sandbox.limits import BoxLimits

NOBODY = 65534
PROCESSES, OPEN_FILES = 8, 64
ROLES = {'run': solver.run, 'solve': solver.solve, 'check': checker.check}


class Order(NamedTuple):
  """An order, as `box` gives it in JSON.

  Attributes:
    role: of ROLES.
    limits: BoxLimits.
    job: file descriptor that holds the role's job.
    control: one that closes when the box is to end.
    report: one for lines of JSON: refused, ended, status.
    given: those that the role is called with.
  """

  role: str
  limits: BoxLimits
  job: int
  control: int
  report: int
  given: list


def main():
  """Runs P0."""
  words = json.loads(sys.argv[1])
  order = Order(**words | {'limits': BoxLimits(*words['limits'])})
  ready, go = os.pipe(), os.pipe()
  child = os.fork()
  if not child:
    os.close(ready[0])
    os.close(go[1])
    _guarded(order, functools.partial(_leave, order, ready[1], go[0]))
  os.close(ready[1])
  _keep(order.report, ready[0], go[1])
  _guarded(order, functools.partial(_admit, child, ready[0], go[1]))


def _guarded(order, step):
  """Takes a step and ends the process; a step that fails is a refusal."""
  try:
    step()
  except BaseException as error:
    _refuse(order, error)
  finally:
    os._exit(0)


def _refuse(order, error):
  words = getattr(error, 'strerror', None) or str(error)
  _say(order, refused=words or type(error).__name__)


def _say(order, **words):
  os.write(order.report, (json.dumps(words) + '\n').encode())


def _keep(*fds):
  """Closes every other file descriptor."""
  below = -1
  for fd in sorted(fds):
    if fd > below + 1:  # Python takes the range (0, 0) for all
      os.closerange(below + 1, fd)
    below = fd
  os.closerange(below + 1, 1 << 16)


def _admit(child, ready, go):
  """P0: writes the maps of users and groups of its child's namespace."""
  if os.read(ready, 1):
    _write_maps(child)
    os.write(go, b'1')
  os.close(go)
  os.waitpid(child, 0)


def _write_maps(child):
  """Root keeps root, for the mounts, and nobody; anyone else is themselves."""
  for kind, own in (('uid', os.geteuid()), ('gid', os.getegid())):
    rows = [f'{own} {own} 1']
    if os.geteuid() == 0:
      rows.append(f'{NOBODY} {NOBODY} 1')
    elif kind == 'gid':
      _write(f'/proc/{child}/setgroups', 'deny')
    _write(f'/proc/{child}/{kind}_map', '\n'.join(rows))


def _write(path, text):
  with open(path, 'w') as file:
    file.write(text)


def _leave(order, ready, go):
  """P1: leaves every namespace, starts P2 and watches it."""
  kernel.unshare(kernel.EVERY_NAMESPACE)
  os.write(ready, b'1')
  if not os.read(go, 1):
    return
  child = os.fork()
  if not child:
    _guarded(order, functools.partial(_first, order))
  watched = os.pidfd_open(child)
  _keep(watched, order.control, order.report)
  both = [watched, order.control]
  found, _, _ = select.select(both, [], [], order.limits.seconds)
  if watched not in found:
    _say(order, ended='stopped' if found else 'time')
    os.kill(child, signal.SIGKILL)
  os.waitpid(child, 0)


def _first(order):
  """P2: builds the file system, starts P3, and collects what ends."""
  kernel.die_with_parent(signal.SIGKILL)
  root.build(order.limits)
  child = os.fork()
  if not child:
    _live(order)
  _keep(order.report)
  ended = status = 0
  while ended != child:
    ended, status = os.wait()
  _say(order, status=os.waitstatus_to_exitcode(status))


def _live(order):
  """P3: everything is given up, then the role begins; never the other way."""
  code = 1
  try:
    try:
      job = _prepared(order)
    except BaseException as error:
      _refuse(order, error)
      raise
    os.close(order.report)
    code = ROLES[order.role](job, *order.given)
  finally:
    os._exit(code & 255)


def _prepared(order):
  """Gives up all but the role's file descriptors and plain calls; the job."""
  with os.fdopen(order.job) as file:
    job = json.load(file)
  _keep(0, 1, 2, order.report, *order.given)
  os.chdir(root.SCRATCH)
  limits = order.limits
  for kind, most in (
    (resource.RLIMIT_AS, limits.memory),
    (resource.RLIMIT_CPU, limits.cpu_seconds),
    (resource.RLIMIT_FSIZE, limits.file_bytes),
    (resource.RLIMIT_NOFILE, OPEN_FILES),
    (resource.RLIMIT_NPROC, PROCESSES),
    (resource.RLIMIT_CORE, 0),
    (resource.RLIMIT_MEMLOCK, 0),
    (resource.RLIMIT_MSGQUEUE, 0),
  ):
    resource.setrlimit(kind, (most, most))
  if os.geteuid() == 0:
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
  kernel.drop_capabilities()
  if limits.filtered:
    kernel.filter_calls()
  return job
