"""Worker processes that run jobs, each on its own core.

Two pinned one-thread processes beat one two-thread process on small models, and
a worker that keeps to one kind of job compiles its programs once.
"""

import contextlib
import importlib
import multiprocessing
import os
import signal
import time
from multiprocessing.connection import wait

from experiments.studies import beats, children, retries, several, single
from experiments.studies.clock import Clock, by_weight
from experiments.studies.job import (
  Job,
  cache_of,
  failures_text,
  has_stopped,
  is_done,
  is_lost,
  why_stopped,
)
from rlhf_jax.train.progress import line, listen


def _worker(pipe, core, cache, root, log):
  """Receives (name, module, config, processes); sends progress, the outcome.

  What a job prints goes to its own log, the rest to `log`.
  """
  beats.die_with_parent()
  signal.signal(signal.SIGINT, signal.SIG_IGN)
  with open(log, 'a') as file:
    os.dup2(file.fileno(), 1)
    os.dup2(file.fileno(), 2)
  if core is not None:
    os.sched_setaffinity(0, {core})
    flags = '--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1'
    os.environ['XLA_FLAGS'] = f'{os.environ.get("XLA_FLAGS", "")} {flags}'
  import jax

  from rlhf_jax.train import ledger

  jax.config.update('jax_compilation_cache_dir', cache)
  jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.5)
  ledger.start()
  elsewhere = []  # programs of jobs of several processes
  while True:
    try:
      task = pipe.recv()
    except EOFError:
      return
    if task is None:
      return
    started = time.time()
    try:
      elsewhere += _perform(task, root, pipe)
      rows = [*ledger.rows(), *elsewhere]
      pipe.send(('done', time.time() - started, rows))
    except Exception as error:  # noqa: BLE001 (any error ends a job alone)
      pipe.send(('failed', single.said_of(error)))


def _perform(task, root, pipe):
  """Runs a job's stage, heard of by the pipe and by its beats.

  Returns:
    Rows of the programs that other processes compiled for it.
  """
  name, module, config, processes = task
  log = beats.log_of(root, name)

  say = lambda *progress: pipe.send(('progress', progress))
  if processes > 1:
    children.run(single.file_for(root, name), root, name, processes, say)
    return (single.spent(root / name) or {}).get('programs', [])

  def tell(*progress):
    beat.progress(*progress)
    say(*progress)

  beat = beats.Beat(root, name, log, kind_of=single.said_of)
  with beats.output_to(log), beat, listen(tell):
    importlib.import_module(module).run(config, root / name)
  return []


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
  return Pool(options.workers, root, cache_of(root), report, options.reckoned)


class Pool:
  """Runs jobs in the order of their needs, and of their weight.

  Args:
    workers: number of processes; more than one are pinned to a core each.
    root: pathlib.Path of the study; job `x` runs in root/x.
    cache: directory of the compilation cache.
    report: callable(str), shown to the user; of progress with `passing`.
    reckoned: job -> seconds that it should take.
  """

  def __init__(self, workers, root, cache, report, reckoned=by_weight):
    self.root, self.report, self.reckoned = root, report, reckoned
    cores = sorted(os.sched_getaffinity(0))
    os.environ.update(MALLOC | os.environ)  # read by glibc at process start
    self.pipes, self.processes = [None] * workers, [None] * workers
    self.seen, self.ledgers = [set() for _ in range(workers)], [[]] * workers
    self.seconds, self.running, self.failed, self.kinds = {}, {}, {}, {}
    self.cache = cache
    self.cores = [
      cores[i % len(cores)] if workers > 1 else None for i in range(workers)
    ]
    for i in range(workers):
      self._start(i)

  def _start(self, i):
    """Starts worker i."""
    context = multiprocessing.get_context('spawn')
    ours, theirs = context.Pipe()
    log = self.root / f'worker-{i}.log'
    self.pipes[i] = ours
    self.processes[i] = context.Process(
      target=_worker,
      args=(theirs, self.cores[i], str(self.cache), self.root, log),
      daemon=True,
    )
    self.processes[i].start()
    theirs.close()

  def run(self, jobs: list[Job], after=lambda: None):
    """Runs all jobs, calling `after` whenever one is done; {name: seconds}.

    Those that it has run before are left alone. Those that have stopped at a
    number that is not finite, now or before, and those that need them, are left
    out: the others go on.

    Raises:
      RuntimeError: after all that could run, naming what failed otherwise, and
        why.
    """
    self.running, self.failed, self.kinds = {}, {}, {}
    left = {job.name: job for job in jobs if job.name not in self.seconds}
    waiting = self._without_lost(left)
    todo = [job for job in waiting.values() if not is_done(job, self.root)]
    clock = Clock(todo, len(jobs), self.reckoned)
    clock.done = len(jobs) - len(left)
    for job in todo:
      beats.forget(self.root, job.name)
    while waiting or self.running:
      for i in range(len(self.pipes)):
        job = self._next(i, waiting) if i not in self.running else None
        if job:
          del waiting[job.name]
          self.seen[i].add(job.program)
          self._send(i, job)
      if not self.running:
        raise RuntimeError(f'jobs that wait for each other: {sorted(waiting)}')
      for pipe in wait([self.pipes[i] for i in self.running], timeout=10):
        if self._receive(self.pipes.index(pipe), clock):
          after()
      waiting = self._without_lost(waiting)
    if self.failed:
      raise RuntimeError(failures_text(self.failed))
    return self.seconds

  def _without_lost(self, waiting):
    """The jobs that can still run; what the others lack is said."""
    kept = {}
    for name, job in waiting.items():
      if self._needs_failed(job):
        self.failed[name] = ''
      elif not is_lost(job, self.root):
        kept[name] = job
      elif has_stopped(job, self.root):
        self.report(f'  left out: {why_stopped(job, self.root)}')
      else:
        self.report(f'  left out: {name} needs a run that has stopped')
    return kept

  def _send(self, i, job):
    """Gives a job to worker i, or to a new one in place of one that is dead."""
    if not self.processes[i].is_alive():
      self.report(f'  worker {i}: its process was killed, another takes over')
      self._start(i)
    self.running[i] = job
    with contextlib.suppress(OSError):  # it dies: the next answer will say so
      count = several.count(job.resources)
      self.pipes[i].send((job.name, job.module, job.config, count))

  def _needs_failed(self, job):
    """Whether a job needs one that failed, or that cannot run either."""
    return any(
      n.name in self.failed or self._needs_failed(n) for n in job.needs
    )

  def _receive(self, i, clock):
    """Reads one message of worker i; whether it finished its job."""
    job = self.running[i]
    try:
      kind, *message = self.pipes[i].recv()
    except (EOFError, OSError):
      said = {'kind': retries.SIGNAL, 'why': retries.HELPED[retries.SIGNAL]}
      kind, message = 'failed', [said]
      self.processes[i].join(timeout=5)
    if kind == 'progress':
      label, done, of, left = message[0]
      own = '' if label == job.name.split('/')[-1] else f': {label}'
      self.report(f'  {line(job.shown + own, done, of, left)}', passing=True)
      return False
    del self.running[i]
    if kind == 'failed':
      self._fail(job, **message[0])
      return False
    self.seconds[job.name], self.ledgers[i] = message
    self.report(clock.line(job, message[0]))
    return True

  def _fail(self, job, kind, why):
    """One line of a job that failed, with its log."""
    if has_stopped(job, self.root):
      self.report(f'  stopped: {why_stopped(job, self.root)}')
      return
    log = beats.log_of(self.root, job.name)
    self.failed[job.name] = f'{job.shown}: {why} (see {log})'
    self.kinds[job.name] = kind
    self.report(f'  failed: {self.failed[job.name]}')

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
