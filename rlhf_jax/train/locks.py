"""Locks, so that two processes do not write to one directory or file."""

import errno
import fcntl
import os
import socket
import sys
from pathlib import Path

from rlhf_jax.train.about import RunError

LOCK = '.lock'
# A file system without locks: Lustre without -o flock, some NFS, FUSE.
NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP)


def take_lock(folder, held):
  """Opens the lock file of a directory, which says who holds it.

  On a file system that has no locks the run goes on, and says so.

  Args:
    folder: of a run, a study or a sweep.
    held: whether this process is to hold it.

  Returns:
    The open file; to close it lets go of the lock.

  Raises:
    RunError: if another live process holds it.
  """
  path = Path(folder) / LOCK
  if not held:
    return open(path, 'a+')  # noqa: SIM115
  return hold(path, folder, 'wait for it, or choose another --workdir')


def hold(path, used, remedy):
  """Opens a lock file and holds it, as `take_lock` does that of a directory.

  Args:
    path: of the lock file.
    used: what nobody else may use meanwhile, as a refusal names it.
    remedy: what to do where somebody does.
  """
  file = open(path, 'a+')  # noqa: SIM115
  try:
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
  except OSError as error:
    if error.errno in NO_LOCKS:
      print(
        f'{used}: its file system has no locks ({error.strerror}); see to it '
        'that no other process uses it',
        file=sys.stderr,
      )
      return file
    file.seek(0)
    holder = f' ({file.read().strip()})'.replace(' ()', '')
    file.close()
    if isinstance(error, BlockingIOError | PermissionError):
      raise RunError(
        f'{used} is in use by another process{holder}: {remedy}'
      ) from None
    raise
  file.truncate(0)
  file.write(f'{os.getpid()} on {socket.gethostname()}\n')
  file.flush()
  return file
