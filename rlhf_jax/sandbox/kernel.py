"""System calls of Linux that Python 3.11 does not have, for x86_64.

Each raises OSError with the call's name.
"""

import ctypes
import errno
import os
import struct

_LIBC = ctypes.CDLL(None, use_errno=True)

# Namespaces: mounts, names, messages, users, processes, network, groups.
NEW_MOUNTS, NEW_USERS, NEW_PIDS = 0x00020000, 0x10000000, 0x20000000
EVERY_NAMESPACE = (
  NEW_MOUNTS | 0x04000000 | 0x08000000 | NEW_USERS | NEW_PIDS | 0x42000000
)
NO_SUID, NO_DEVICES, BIND, DEEP, PRIVATE = 2, 4, 1 << 12, 1 << 14, 1 << 18
_DETACH, _AT_HERE, _AT_DEEP = 2, -100, 0x8000
_SET_DEATH_SIGNAL, _SET_SECCOMP, _SET_NO_NEW_PRIVILEGES = 1, 22, 38
_FILTER = 2
_NUMBER = {'capset': 126, 'pivot_root': 155, 'mount_setattr': 442}

# What computing needs, with files and pipes. Not here: fork, clone (threads
# too), exec, sockets, ptrace, mounts, namespaces, shared memory, keys, ioctl.
ALLOWED = {
  'read': 0, 'write': 1, 'open': 2, 'close': 3, 'stat': 4, 'fstat': 5,
  'lstat': 6, 'poll': 7, 'lseek': 8, 'mmap': 9, 'mprotect': 10, 'munmap': 11,
  'brk': 12, 'rt_sigaction': 13, 'rt_sigprocmask': 14, 'rt_sigreturn': 15,
  'pread64': 17, 'pwrite64': 18, 'readv': 19, 'writev': 20, 'access': 21,
  'pipe': 22, 'select': 23, 'sched_yield': 24, 'mremap': 25, 'madvise': 28,
  'dup': 32, 'dup2': 33, 'pause': 34, 'nanosleep': 35, 'getitimer': 36,
  'alarm': 37, 'setitimer': 38, 'getpid': 39, 'exit': 60, 'uname': 63,
  'fcntl': 72, 'fsync': 74, 'truncate': 76, 'ftruncate': 77, 'getdents': 78,
  'getcwd': 79, 'chdir': 80, 'rename': 82, 'mkdir': 83, 'rmdir': 84,
  'unlink': 87, 'readlink': 89, 'umask': 95, 'gettimeofday': 96,
  'getrusage': 98, 'sysinfo': 99, 'times': 100, 'getuid': 102, 'getgid': 104,
  'geteuid': 107, 'getegid': 108, 'getppid': 110, 'sigaltstack': 131,
  'gettid': 186, 'time': 201, 'futex': 202, 'getdents64': 217,
  'restart_syscall': 219, 'clock_gettime': 228, 'clock_getres': 229,
  'clock_nanosleep': 230, 'exit_group': 231, 'openat': 257, 'mkdirat': 258,
  'newfstatat': 262, 'unlinkat': 263, 'renameat': 264, 'readlinkat': 267,
  'faccessat': 269, 'pselect6': 270, 'ppoll': 271, 'set_robust_list': 273,
  'dup3': 292, 'pipe2': 293, 'renameat2': 316, 'getrandom': 318,
  'statx': 332, 'rseq': 334, 'faccessat2': 439,
}  # fmt: skip
_X86_64 = 0xC000003E
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06
# EACCES: after it Python takes fcntl in place of an ioctl that is denied.
_KILL, _DENY, _ALLOW = 0x80000000, 0x00050000 | errno.EACCES, 0x7FFF0000


def _checked(result, name):
  if result == -1:
    number = ctypes.get_errno()
    raise OSError(number, f'{name}: {os.strerror(number)}')


def _call(name, *arguments):
  _checked(getattr(_LIBC, name)(*arguments), name)


def _system_call(name, *arguments):
  _checked(_LIBC.syscall(_NUMBER[name], *arguments), name)


def _text(text):
  return None if text is None else os.fsencode(text)


def unshare(flags):
  """Leaves namespaces; the next child is process 1 of a new one."""
  _call('unshare', flags)


def mount(source, target, kind=None, flags=0, options=None):
  """Puts one file system, or part of one, at a place."""
  words = [_text(x) for x in (source, target, kind)]
  _call('mount', *words, ctypes.c_ulong(flags), _text(options))


def make_read_only(path, deep=False):
  """Closes a mount to writing, devices and set-uid; `deep`: what it holds."""
  attributes = ctypes.create_string_buffer(struct.pack('QQQQ', 7, 0, 0, 0))
  _system_call(
    'mount_setattr',
    _AT_HERE,
    _text(path),
    _AT_DEEP if deep else 0,
    attributes,
    ctypes.c_size_t(32),
  )


def change_root(path):
  """Makes a mount the root of this namespace, and lets go of the old one."""
  os.chdir(path)
  _system_call('pivot_root', b'.', b'.')
  _call('umount2', b'.', _DETACH)
  os.chdir('/')


def die_with_parent(signal):
  """Asks for a signal when the parent dies."""
  _call('prctl', _SET_DEATH_SIGNAL, int(signal), 0, 0, 0)


def drop_capabilities():
  """Gives up every privilege, for ever."""
  header = ctypes.create_string_buffer(struct.pack('Ii', 0x20080522, 0))
  nothing = ctypes.create_string_buffer(struct.pack('6I', *[0] * 6))
  _system_call('capset', header, nothing)
  _call('prctl', _SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0)


def filter_program(numbers):
  """Instructions of BPF that allow the system calls of these numbers.

  Others fail with EACCES. A call of another machine's table (32 bits) ends the
  process; those of x32 have numbers that are not in the list.

  Returns:
    bytes, eight an instruction.
  """
  rows = [(_LOAD, 0, 0, 4), (_EQUAL, 1, 0, _X86_64), (_RETURN, 0, 0, _KILL)]
  rows.append((_LOAD, 0, 0, 0))
  left = len(numbers)
  for number in numbers:
    rows.append((_EQUAL, left, 0, number))
    left -= 1
  rows += [(_RETURN, 0, 0, _DENY), (_RETURN, 0, 0, _ALLOW)]
  return b''.join(struct.pack('HBBI', *row) for row in rows)


def filter_calls():
  """Lets this process make the calls of ALLOWED alone, for ever."""
  program = ctypes.create_string_buffer(filter_program(ALLOWED.values()))
  length = (len(program) - 1) // 8
  order = struct.pack('HxxxxxxQ', length, ctypes.addressof(program))
  _call('prctl', _SET_SECCOMP, _FILTER, ctypes.create_string_buffer(order))
