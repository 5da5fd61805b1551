"""Time, rates and memory of a run: speed.jsonl, a row where metrics are read.

    seconds = compiling + measuring + saving + logging + step * updates

`data` is the host's time for batches, most of it while the device computes, so
it is part of the step. All pieces of an iteration of PPO are one program: what
each of them takes says `benchmarks.ppo_iteration`. Times differ from run to
run, so they stand in a file of their own, of which no digest is kept.
"""

import contextlib
import json
import resource
import time
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from rlhf_jax.train import ledger

NAME = 'speed.jsonl'
APART = ('measure', 'save', 'log')  # phases in which no update runs
SIDE, TIMES = 512, 3  # of the product that a CPU's rate is taken from

# Peak of dense products in bfloat16, FLOP/s a chip, as published by NVIDIA
# (datasheets, without sparsity) and docs.cloud.google.com/tpu/docs.
PEAKS = {
  'A100': 312e12,
  'H100': 989e12,
  'H200': 989e12,
  'L40S': 362e12,
  'TPU v4': 275e12,
  'TPU v5 lite': 197e12,
  'TPU v5e': 197e12,
  'TPU v5p': 459e12,
  'TPU v5': 459e12,
  'TPU v6 lite': 918e12,
  'TPU v6e': 918e12,
}


class Work(NamedTuple):
  """Work of an update; None where it is not said.

  Attributes:
    tokens: that it reads or writes, or a function of its metrics.
    flops: of the model, without what is computed twice.
  """

  tokens: object = None
  flops: float | None = None


def peak_flops() -> float | None:
  """FLOP/s that all devices could do at most; None of an unknown device.

  Of accelerators what is published, in bfloat16. A CPU has no such number: its
  rate is that of a float32 product of NumPy, the best of a few, now.
  """
  device = jax.devices()[0]
  if device.platform == 'cpu':
    return _measured_rate()
  for name, flops in PEAKS.items():
    if name in device.device_kind:
      return flops * jax.device_count()
  return None


def _measured_rate():
  a, seconds = np.full((SIDE, SIDE), 0.5, np.float32), []
  for _ in range(TIMES):
    start = time.perf_counter()
    a @ a
    seconds.append(time.perf_counter() - start)
  return 2 * SIDE**3 / min(seconds)


def memory() -> dict:
  """{'host_bytes', 'device_bytes'}: the most that was held so far.

  The device's is None where it does not say, as a CPU.
  """
  stats = jax.local_devices()[0].memory_stats() or {}
  most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
  return {
    'host_bytes': most * 1024,
    'device_bytes': stats.get('peak_bytes_in_use'),
  }


class Clock:
  """Times a run's phases, and writes them.

  Args:
    folder: run directory.
    writes: whether this process writes.
    wait: () -> None, which returns when the updates so far are done.
  """

  def __init__(self, folder, writes, wait):
    ledger.start()
    self._path, self._writes, self._wait = Path(folder) / NAME, writes, wait
    self._work, self._peak, self._session = Work(), None, None
    self._inside = False
    self._begin(0)

  def _begin(self, step):
    self._step, self._spent = step, {}
    self._start, self._compiled = time.perf_counter(), ledger.seconds()

  def start(self, step):
    """Begins a session: `step` updates are done."""
    if self._writes:
      rows = self._path.read_bytes() if self._path.exists() else b''
      numbers = [json.loads(x).get('session', 0) for x in rows.splitlines()]
      self._session = max(numbers, default=0) + 1
    self._begin(step)

  def says(self, work: Work):
    """Keeps what an update's work is."""
    self._work = work
    if work.flops:
      self._peak = peak_flops()

  @contextlib.contextmanager
  def phase(self, name):
    """Adds the seconds of a block to a phase, without what was compiled in it.

    A phase of APART first waits for the updates before it. One inside another
    is part of that.
    """
    if self._inside:
      yield
      return
    if name in APART:
      self._wait()
    start, compiled = time.perf_counter(), ledger.seconds()
    self._inside = True
    try:
      yield
    finally:
      self._inside = False
    spent = time.perf_counter() - start - (ledger.seconds() - compiled)
    self._spent[name] = self._spent.get(name, 0.0) + max(spent, 0.0)

  def write(self, step, metrics):
    """Ends a stretch of updates, whose metrics have been read: a row.

    Nothing is written of a run that was not started, or of no update.
    """
    if self._session is None or step <= self._step:
      return
    now = time.perf_counter()
    row = self._row(step, metrics, now)
    with self._path.open('a') as file:
      file.write(json.dumps(row) + '\n')
    self._begin(step)

  def _row(self, step, metrics, now):
    updates, seconds = step - self._step, now - self._start
    compiling = ledger.seconds() - self._compiled
    apart = compiling + sum(self._spent.get(name, 0.0) for name in APART)
    running = max(seconds - apart, 1e-9)
    tokens, flops = self._work
    tokens = tokens(metrics) if callable(tokens) else tokens
    rate = None if tokens is None else updates * tokens / running
    mfu = None
    if flops and self._peak:
      mfu = updates * flops / running / self._peak
    return {
      'session': self._session,
      'step': int(step),
      'updates': int(updates),
      'seconds': seconds,
      'compile_s': compiling,
      'update_s': running / updates,
      **{f'{name}_s': self._spent.get(name, 0.0) for name in ('data', *APART)},
      'tokens_per_s': rate,
      'mfu': mfu,
      **memory(),
    }
