"""A directory that several processes write as if each were alone.

For stages without checkpoints: all processes do the same, process 0 in the
directory itself, the others in copies that go when they end.
"""

import contextlib
import shutil
import tempfile
from pathlib import Path

from rlhf_jax.train import hosts
from rlhf_jax.train.locks import LOCK


@contextlib.contextmanager
def apart(workdir):
  """The directory in which this process works.

  A copy holds what is there when all processes have come here, so that they go
  on from one state.

  Args:
    workdir: of the job; it may be absent.

  Yields:
    `workdir` in process 0, or where there is one process; in the others a copy.
  """
  workdir = Path(workdir)
  if not hosts.several():
    yield workdir
    return
  with tempfile.TemporaryDirectory() as folder:
    own = workdir
    if hosts.index():
      own = Path(folder) / (workdir.name or 'run')
      own.mkdir()
      if workdir.exists():
        ignored = shutil.ignore_patterns(LOCK)
        shutil.copytree(workdir, own, ignore=ignored, dirs_exist_ok=True)
    hosts.meet()  # before process 0 writes
    yield own
