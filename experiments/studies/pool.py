"""Worker processes that run jobs, each on its own core.

Two pinned one-thread processes beat one two-thread process on small models, and
a worker that keeps to one kind of job compiles its programs once.
"""

import ctypes
import importlib
import multiprocessing
import os
import signal
import sys
import time
import traceback
from multiprocessing.connection import wait

from experiments.studies.job import (
  Job,
  cache_of,
  has_stopped,
  is_lost,
  why_stopped,
)


def _worker(pipe, core, cache, log):
  """Receives (module, config, workdir); sends progress, then the outcome."""
  if sys.platform == 'linux':
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # die with the parent
  signal.signal(signal.SIGINT, signal.SIG_IGN)
  sys.stdout = sys.stderr = open(log, 'a', buffering=1)  # noqa: SIM115
  if core is not None:
    os.sched_setaffinity(0, {core})
    flags = '--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1'
    os.environ['XLA_FLAGS'] = f'{os.environ.get("XLA_FLAGS", "")} {flags}'
  import jax

  from experiments.shared.command import EXPECTED, one_line
  from rlhf_jax.train import ledger
  from rlhf_jax.train.progress import listen

  jax.config.update('jax_compilation_cache_dir', cache)
  jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.5)
  ledger.start()
  while True:
    try:
      task = pipe.recv()
    except EOFError:
      return
    if task is None:
      return
    module, config, workdir = task
    started = time.time()
    try:
      with listen(lambda *progress: pipe.send(('progress', progress))):
        importlib.import_module(module).run(config, workdir)
      pipe.send(('done', time.time() - started, ledger.rows()))
    except EXPECTED as error:
      traceback.print_exc()
      pipe.send(('failed', one_line(error)))
    except Exception as error:  # noqa: BLE001 (any error ends the study)
      traceback.print_exc()
      what = f'{type(error).__name__}: {error}'.splitlines()[0]
      pipe.send(('failed', f'{what} (see {log})'))


# glibc hands large buffers back to the system after each step, and the page
# faults of getting them again cost as much as the step: keep them.
MALLOC = {
  'MALLOC_ARENA_MAX': '1',
  'MALLOC_MMAP_MAX_': '0',
  'MALLOC_TRIM_THRESHOLD_': str(2**33),
  'MALLOC_TOP_PAD_': str(2**26),
}


def launcher(root, options, report):
  """The Pool that `launch.Options` ask for."""
  return Pool(options.workers, root, cache_of(root), report)


class Pool:
  """Runs jobs in the order of their needs, and of their weight.

  Args:
    workers: number of processes; more than one are pinned to a core each.
    root: pathlib.Path of the study; job `x` runs in root/x.
    cache: directory of the compilation cache.
    report: callable(str), shown to the user.
  """

  def __init__(self, workers, root, cache, report):
    self.root, self.report = root, report
    cores = sorted(os.sched_getaffinity(0))
    context = multiprocessing.get_context('spawn')
    os.environ.update(MALLOC | os.environ)  # read by glibc at process start
    self.pipes, self.processes, self.seen, self.ledgers = [], [], [], []
    self.seconds, self.running = {}, {}
    for i in range(workers):
      ours, theirs = context.Pipe()
      core = cores[i % len(cores)] if workers > 1 else None
      process = context.Process(
        target=_worker,
        args=(theirs, core, str(cache), root / f'worker-{i}.log'),
        daemon=True,
      )
      process.start()
      theirs.close()
      self.pipes.append(ours)
      self.processes.append(process)
      self.seen.append(set())
      self.ledgers.append([])

  def run(self, jobs: list[Job], after=lambda: None):
    """Runs all jobs, calling `after` whenever one is done; {name: seconds}.

    Those that have stopped at a number that is not finite, now or before, and
    those that need them, are left out: the others go on.

    Raises:
      RuntimeError: naming the job that failed otherwise, and why.
    """
    self.seconds, self.running = {}, {}
    waiting = self._without_lost({job.name: job for job in jobs})
    total, started = len(jobs), time.time()
    while waiting or self.running:
      for i in range(len(self.pipes)):
        job = self._next(i, waiting) if i not in self.running else None
        if job:
          del waiting[job.name]
          self.seen[i].add(job.program)
          self._give(i, job)
      if not self.running:
        raise RuntimeError(f'jobs that wait for each other: {sorted(waiting)}')
      for pipe in wait([self.pipes[i] for i in self.running], timeout=10):
        if self._receive(self.pipes.index(pipe), total, started):
          after()
      waiting = self._without_lost(waiting)
    return self.seconds

  def _without_lost(self, waiting):
    """The jobs that can still run; what the others lack is said."""
    kept = {}
    for name, job in waiting.items():
      if not is_lost(job, self.root):
        kept[name] = job
      elif has_stopped(job, self.root):
        self.report(f'  left out: {why_stopped(job, self.root)}')
      else:
        self.report(f'  left out: {name} needs a run that has stopped')
    return kept

  def _give(self, i, job):
    """Sends a job to worker i."""
    try:
      self.pipes[i].send((job.module, job.config, self.root / job.name))
    except OSError:
      raise RuntimeError(f'{job.name}: its process was killed') from None
    self.running[i] = job

  def _receive(self, i, total, started):
    """Reads one message of worker i; whether it finished its job."""
    job = self.running[i]
    try:
      kind, *message = self.pipes[i].recv()
    except (EOFError, OSError):
      raise RuntimeError(f'{job.name}: its process was killed') from None
    if kind == 'progress':
      label, done, of = message[0]
      self.report(f'  {job.name}: {label} {done}/{of}')
      return False
    if kind == 'failed' and has_stopped(job, self.root):
      self.report(f'  stopped: {why_stopped(job, self.root)}')
      del self.running[i]
      return False
    if kind == 'failed':
      raise RuntimeError(f'{job.name}: {message[0]}')
    self.seconds[job.name], self.ledgers[i] = message
    del self.running[i]
    elapsed = time.time() - started
    self.report(
      f'[{len(self.seconds)}/{total}] {job.name} in {message[0]:.1f} s '
      f'({elapsed:.0f} s in all)'
    )
    return True

  def _next(self, i, waiting):
    """The best job that worker i can start: known programs, then weight.

    Work whose program another worker has compiled is left to it while there is
    anything else to do.
    """
    ready = [
      job
      for job in waiting.values()
      if all(need.name in self.seconds for need in job.needs)
    ]
    others = set().union(
      *(seen for j, seen in enumerate(self.seen) if j != i), set()
    )
    rank = lambda job: (
      job.program in self.seen[i],
      job.program not in others,
      job.weight,
    )
    return max(ready, key=rank, default=None)

  def programs(self):
    """Compile ledger of all workers: rows for programs.csv."""
    return [
      {**row, 'worker': i}
      for i, rows in enumerate(self.ledgers)
      for row in rows
    ]

  def close(self):
    """Ends the workers: those at work at once."""
    for i in self.running:
      self.processes[i].kill()
    for pipe in self.pipes:
      try:
        pipe.send(None)
      except OSError:
        pass
    for process in self.processes:
      process.join(timeout=5)
      if process.is_alive():
        process.kill()
