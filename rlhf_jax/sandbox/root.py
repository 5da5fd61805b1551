"""The file system of a box: the standard library, and a little memory.

    /tmp            scratch, in memory, of a limited size
    stdlib, /lib    Python's own modules and the libraries that they need
    all else        is not there: no /proc, no /dev, no home, no data

All but the scratch is read-only. Packages beside the standard library are
hidden.
"""

import os

from rlhf_jax.sandbox import kernel

BASE = SCRATCH = '/tmp'  # the new root is built here, where it hides nothing
LIBRARIES = ('/lib', '/lib64', '/usr/lib', '/usr/lib64')
PACKAGES = ('site-packages', 'dist-packages')
_TMPFS = kernel.NO_SUID | kernel.NO_DEVICES


def build(limits):
  """Builds the root and enters it; for a process in namespaces of its own.

  Raises:
    OSError: if the kernel refuses a mount.
  """
  kernel.mount('none', '/', None, kernel.PRIVATE | kernel.DEEP)
  library = os.path.dirname(os.__file__)
  kept = [p for p in LIBRARIES if os.path.isdir(p)]
  linked = {path: os.readlink(path) for path in kept if os.path.islink(path)}
  shown = [path for path in kept if path not in linked]
  if not any(library.startswith(f'{path}/') for path in shown):
    shown.append(library)
  hidden = _packages(library, shown)
  held = {path: os.open(path, os.O_PATH) for path in shown}
  kernel.mount('tmpfs', BASE, 'tmpfs', _TMPFS, 'size=64k,nr_inodes=64,mode=755')
  # First, so that it hides nothing of what may lie in /tmp.
  os.makedirs(BASE + SCRATCH)
  size = f'size={limits.scratch_bytes},nr_inodes=1024,mode=1777'
  kernel.mount('tmpfs', BASE + SCRATCH, 'tmpfs', _TMPFS, size)
  for path, target in linked.items():
    os.makedirs(os.path.dirname(BASE + path), exist_ok=True)
    os.symlink(target, BASE + path)
  for path, fd in held.items():
    os.makedirs(BASE + path)
    kernel.mount(
      f'/proc/self/fd/{fd}', BASE + path, None, kernel.BIND | kernel.DEEP
    )
    kernel.make_read_only(BASE + path, deep=True)
    os.close(fd)
  for path in hidden:
    kernel.mount('tmpfs', BASE + path, 'tmpfs', _TMPFS, 'size=4k,mode=755')
    kernel.make_read_only(BASE + path)
  kernel.change_root(BASE)
  kernel.make_read_only('/')


def _packages(library, shown):
  """Folders of installed packages below what is shown."""
  places = [library, os.path.dirname(library), '/usr/lib/python3']
  found = [f'{place}/{name}' for place in places for name in PACKAGES]
  below = tuple(f'{path}/' for path in shown)
  return [p for p in found if p.startswith(below) and os.path.isdir(p)]
