"""The processes of a job on this machine, from their start to their end."""

import os
import socket
import subprocess
import sys
import time

from experiments.studies import beats, retries
from experiments.studies.several import PLACE, LostError

GRACE = 30.0  # seconds for the others to end after one has failed
LOOK = 0.2
CHILD = """
import sys
from experiments.studies import single
single.child(sys.argv[1])
"""


def run(file, root, name, count, tell):
  """Runs a job as several processes, to their end.

  Args:
    file: JSON file of the job, as `single.run_file` takes it.
    root: of the study.
    name: of the job.
    count: of processes.
    tell: called with what process 0 says of its progress.

  Raises:
    LostError: if one of them has failed.
  """
  with socket.create_server(('127.0.0.1', 0)) as sock:
    address = f'127.0.0.1:{sock.getsockname()[1]}'
  beats.forget(root, name)
  own = os.environ | {'PYTHONPATH': os.pathsep.join(filter(None, sys.path))}
  processes = [
    subprocess.Popen(
      [sys.executable, '-c', CHILD, str(file)],
      env=own | {PLACE: f'{address} {count} {i}'},
    )
    for i in range(count)
  ]
  try:
    _wait(processes, lambda: _told(root, name, tell))
  finally:
    for process in processes:
      process.kill()
      process.wait()
  if any(process.returncode for process in processes):
    raise LostError(_said(beats.read(root, name)))


def _wait(processes, look):
  """Waits for the end of all, or some time after one has failed."""
  until = None
  while any(process.poll() is None for process in processes):
    look()
    if until is None and any(process.poll() for process in processes):
      until = time.monotonic() + GRACE
    if until is not None and time.monotonic() > until:
      return
    time.sleep(LOOK)


def _told(root, name, tell):
  progress = beats.read(root, name).get('progress')
  if progress:
    tell(*progress)


def _said(beat):
  """{'kind', 'why'} of a failure; a process that was killed said nothing."""
  if beat.get('state') == 'failed':
    return {key: beat[key] for key in ('kind', 'why')}
  return {'kind': retries.SIGNAL, 'why': retries.HELPED[retries.SIGNAL]}
