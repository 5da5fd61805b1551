"""BoxLimits of a box, and the error of a machine that has no boxes."""

from typing import NamedTuple

MIB = 1 << 20


class SandboxError(OSError):
  """A program was not run, or not watched to its end; the message says why."""


class BoxLimits(NamedTuple):
  """BoxLimits of one box.

  Attributes:
    seconds: of the clock, from the program's start to its end.
    cpu_seconds: of the processor, whole seconds of each process.
    memory: bytes of address space of each process.
    file_bytes: of the longest file.
    scratch_bytes: of all files together; they lie in memory, in /tmp.
    output_bytes: of stdout and stderr together; more ends the box.
    filtered: whether the filter of system calls is on. It is off only where a
      test shows that the other walls hold without it.
  """

  seconds: float = 15.0
  cpu_seconds: int = 5
  memory: int = 512 * MIB
  file_bytes: int = 4 * MIB
  scratch_bytes: int = 16 * MIB
  output_bytes: int = 1 << 16
  filtered: bool = True
