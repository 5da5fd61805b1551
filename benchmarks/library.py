"""The matrix products of the best library at hand: a yardstick not our own.

    python -m benchmarks.library --library numpy --threads 2 --rows 64 \
      --shapes '[[256, 1024, 4]]'

A worker does what `machine.chained_products` does, in OpenBLAS through numpy or
oneDNN through torch. It answers every line on its input with one pass, so that
several of them, one for each core, run at once and in turns with a program.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import time

LIBRARIES = ('numpy', 'torch')
THREADS = (
  'OMP_NUM_THREADS',
  'OPENBLAS_NUM_THREADS',
  'MKL_NUM_THREADS',
)


def installed():
  """Names of the libraries that this environment has."""
  return [name for name in LIBRARIES if importlib.util.find_spec(name)]


class Workers:
  """Processes of one library that share the rows of the products.

  Args:
    library: of `installed`.
    count: how many processes.
    threads: of each.
    rows: of x, on each.
    shapes: [(K, N, how often)], as of `machine.chained_products`.

  Attributes:
    flops: of a call of all processes together.
  """

  def __init__(self, library, count, threads, rows, shapes):
    command = [sys.executable, '-m', 'benchmarks.library']
    command += ['--library', library, '--threads', str(threads)]
    command += ['--rows', str(rows), '--shapes', json.dumps(shapes)]
    environment = os.environ | dict.fromkeys(THREADS, str(threads))
    self.flops = count * sum(4 * rows * K * N * n for K, N, n in shapes)
    self._processes = [
      subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
      )
      for _ in range(count)
    ]
    self._answers()  # each says that it is ready

  def __call__(self):
    """One pass of every process, at the same time."""
    for process in self._processes:
      process.stdin.write('\n')
      process.stdin.flush()
    return self._answers()

  def _answers(self):
    """Seconds of the last pass of each process.

    Raises:
      RuntimeError: if a process has ended.
    """
    lines = [process.stdout.readline() for process in self._processes]
    if not all(lines):
      raise RuntimeError('a worker of benchmarks.library has ended')
    return [float(line) for line in lines]

  def close(self):
    """Ends the processes."""
    for process in self._processes:
      process.stdin.close()
      process.wait()
      process.stdout.close()


def both_ways(cores, rows, shapes):
  """{name: Workers} of each library: all threads in one, and one a core."""
  ways = {(1, cores), (cores, 1)}
  return {
    f'{library}_{count}x{threads}': Workers(
      library, count, threads, rows // count, shapes
    )
    for library in installed()
    for count, threads in sorted(ways)
  }


def _numpy_chain(rows, shapes):
  import numpy as np

  rng = np.random.default_rng(0)
  random = lambda K, N: (
    rng.standard_normal((K, N), np.float32) / np.float32(K**0.5 + N**0.5)
  )
  pairs = [(random(K, N), random(N, K), n) for K, N, n in shapes]

  def chain():
    for w, v, count in pairs:
      x = np.ones((rows, len(w)), np.float32)
      for _ in range(count):
        x = (x @ w) @ v

  return chain


def _torch_chain(rows, shapes, threads):
  import torch

  torch.set_num_threads(threads)
  torch.manual_seed(0)
  random = lambda K, N: torch.randn(K, N) / (K**0.5 + N**0.5)
  pairs = [(random(K, N), random(N, K), n) for K, N, n in shapes]

  @torch.inference_mode()
  def chain():
    for w, v, count in pairs:
      x = torch.ones(rows, len(w))
      for _ in range(count):
        x = (x @ w) @ v

  return chain


def main(arguments=None):
  """A worker: 0.0 once it is ready, then the seconds of a pass for a line."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--library', choices=LIBRARIES, required=True)
  parser.add_argument('--threads', type=int, required=True)
  parser.add_argument('--rows', type=int, required=True)
  parser.add_argument('--shapes', type=json.loads, required=True)
  given = parser.parse_args(arguments)
  if given.library == 'numpy':
    chain = _numpy_chain(given.rows, given.shapes)
  else:
    chain = _torch_chain(given.rows, given.shapes, given.threads)
  chain()
  print(0.0, flush=True)
  for _ in sys.stdin:
    started = time.perf_counter()
    chain()
    print(time.perf_counter() - started, flush=True)


if __name__ == '__main__':
  main()
