"""Runs test files in forks of one process that has imported the libraries.

Reads a job of JSON in each line of its input and answers with a line of JSON.
It is started by its path, so that nothing of the project is imported in it: the
fork imports that from the folder it is told.
"""

import contextlib
import importlib
import json
import os
import runpy
import signal
import sys
import time
import warnings

LIBRARIES = (
  'jax', 'jax.numpy', 'numpy', 'optax', 'flax', 'flax.linen', 'chex',
  'orbax.checkpoint', 'pandas', 'scipy.special', 'scipy.stats',
  'matplotlib.pyplot', 'ml_collections', 'absl.testing', 'hypothesis',
  'pytest', 'tokenizers', 'grain', 'unittest.mock', 'asyncio',
)  # fmt: skip
NO_END = -1  # status of tests that were stopped


class _From:
  """Leaves out the tests that stand before the first that matters."""

  def __init__(self, first):
    self._first = first

  def pytest_collection_modifyitems(self, items):
    names = [item.nodeid for item in items]
    if self._first in names:
      del items[: names.index(self._first)]


def _child(job):
  import pytest

  os.setsid()
  os.chdir(job['folder'])
  out = os.open(job['log'], os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
  os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
  os.dup2(out, 1)
  os.dup2(out, 2)
  os.environ['PYTHONPATH'] = sys.path[0] = job['folder']
  status = pytest.main(job['arguments'], plugins=[_From(job['first'])])
  sys.stdout.flush()
  sys.stderr.flush()
  return int(status)


def _wait(pid, limit):
  ends = time.time() + limit
  while time.time() < ends:
    done, status = os.waitpid(pid, os.WNOHANG)
    if done:
      return os.waitstatus_to_exitcode(status)
    time.sleep(0.02)
  os.killpg(pid, signal.SIGKILL)
  os.waitpid(pid, 0)
  return NO_END


def run(job):
  """{'status', 'seconds'} of one pytest, whose processes all end with it.

  Args:
    job: 'folder' to stand in, 'arguments' of pytest, 'first' test to run or '',
      'log' for its output, 'limit' in seconds.
  """
  started, pid = time.time(), os.fork()
  if pid == 0:
    status = 70
    try:
      status = _child(job)
    finally:
      os._exit(status)
  status = _wait(pid, job['limit'])
  with contextlib.suppress(ProcessLookupError):
    os.killpg(pid, signal.SIGKILL)
  return {'status': status, 'seconds': round(time.time() - started, 2)}


def main(conftest):
  """Entry point; `conftest` sets the environment before JAX is imported."""
  runpy.run_path(conftest)
  for name in LIBRARIES:
    with contextlib.suppress(ImportError):
      importlib.import_module(name)
  warnings.filterwarnings('ignore', message=r'os\.fork')
  for line in sys.stdin:
    print(json.dumps(run(json.loads(line))), flush=True)


if __name__ == '__main__':
  main(sys.argv[1])
