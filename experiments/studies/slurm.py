"""Submits the jobs of a study to SLURM and watches them, without accounting.

A job is done when its run directory says so, and has failed when it has left
the queue without that: `squeue` and the files are all that is asked, since many
clusters keep no accounting. Ids stand in ROOT/slurm.json, so that the same
command, given again, watches what is still in the queue.
"""

import collections
import subprocess
import time

from experiments.studies import sbatch, single
from experiments.studies.job import (
  failures_text,
  has_stopped,
  is_lost,
  read_list,
  state_of,
  why_stopped,
  write_json,
)
from rlhf_jax import digests

IDS = 'slurm.json'
# Looks at the queue without a job or its done.json, after which it has failed:
# a network file system may show a file late. And looks that may fail.
PATIENCE, SILENCE = 3, 10
NEVER = 'DependencyNeverSatisfied'


def launcher(root, options, report):
  """The Slurm that `launch.Options` ask for."""
  return Slurm(root, options.poll, options.limits, report)


def call(*words):
  """What a command of SLURM prints.

  Raises:
    RuntimeError: with what it says, if it fails or is not installed.
  """
  try:
    done = subprocess.run(
      words,
      cwd=sbatch.REPOSITORY,
      capture_output=True,
      text=True,
      check=False,
    )
  except FileNotFoundError:
    raise RuntimeError(
      f'there is no {words[0]} here: start this where SLURM is, or choose '
      '--on=pool or --on=list'
    ) from None
  if done.returncode:
    said = ' '.join(done.stderr.split()) or 'nothing'
    raise RuntimeError(f'{words[0]} failed ({done.returncode}): {said}')
  return done.stdout


def queue():
  """{id of an array's task: state, or NEVER} of all of the user's jobs."""
  rows = call('squeue', '--me', '--array', '--noheader', '--format=%i|%T|%r')
  found = {}
  for line in rows.splitlines():
    task, state, reason = line.strip().split('|', 2)
    found[task] = state if reason != NEVER else NEVER
  return found


class Slurm:
  """Runs jobs on a cluster.

  Args:
    root: pathlib.Path of the study, on storage that all nodes see.
    poll: seconds between two looks at the queue.
    limits: of time, as for `sbatch.minutes`.
    report: callable(str), shown to the user.
  """

  def __init__(self, root, poll, limits, report):
    self.root, self.poll, self.limits, self.report = root, poll, limits, report
    file = root / IDS
    self.ids = digests.read_json(file, dict) if file.exists() else {}
    self.waiting, self.seconds, self.failed, self.ledger = {}, {}, {}, []

  def run(self, jobs, after):
    """Submits what is to do, and returns when nothing is left in the queue.

    Raises:
      RuntimeError: naming what failed, or how to go on after an interrupt.
    """
    self.started, self.total = time.time(), len(jobs)
    todo = [job for job in jobs if state_of(job, self.root) != 'done']
    self.done = self.total - len(todo)
    todo = [job for job in todo if not is_lost(job, self.root)]
    try:
      self._find(todo)
      self.report(
        f'{self.done} of {self.total} jobs are done, {len(self.waiting)} in '
        'the queue'
      )
      self._submit([job for job in todo if job.name not in self.waiting])
      self._watch(after)
    except KeyboardInterrupt:
      arrays = {self.ids[name].split('_')[0] for name in self.waiting}
      raise RuntimeError(
        f'{len(self.waiting)} jobs go on in SLURM: the same command watches '
        f'them again, scancel {" ".join(sorted(arrays))} ends them'
      ) from None
    self._raise_failures()

  def _find(self, todo):
    """Takes over the jobs that are in the queue and can still run.

    Others of ours that are in it wait for runs that have failed: they are
    taken out.
    """
    inside, names = queue(), {job.name for job in todo}
    for job in todo:
      waits = [need.name for need in job.needs if need.name in names]
      state = inside.get(self.ids.get(job.name), NEVER)
      can_start = all(name in self.waiting for name in waits)
      if state not in (NEVER, 'PENDING') or (state == 'PENDING' and can_start):
        self.waiting[job.name] = job
    self._cancel(names - self.waiting.keys(), inside)

  def _cancel(self, names, inside):
    """Takes jobs out of the queue."""
    left = sorted({self.ids.get(name) for name in names} & inside.keys())
    if left:
      call('scancel', *left)

  def _submit(self, jobs):
    """Sends jobs to SLURM and keeps their ids."""
    (self.root / 'logs').mkdir(exist_ok=True)
    listed = read_list(self.root)
    numbers = {job.name: number for number, job in enumerate(listed)}
    for array in sbatch.arrays_of(jobs):
      needs = [need.name for need in array[0].needs]
      after = [self.ids[name] for name in needs if name in self.waiting]
      words = sbatch.words_of(array, numbers, after, self.root, self.limits)
      number = call('sbatch', *words).strip().split(';')[0]
      self.ids |= {job.name: f'{number}_{numbers[job.name]}' for job in array}
      write_json(self.root / IDS, self.ids)
      self.waiting |= {job.name: job for job in array}
      names = ', '.join(job.name for job in array)
      self.report(f'  job {number} in SLURM: {names}')

  def _watch(self, after):
    """Looks at the queue until none of the jobs is in it."""
    absent, running = collections.Counter(), set()
    while self.waiting:
      inside = self._look()
      for job in list(self.waiting.values()):
        task = self.ids[job.name]
        state = inside.get(task, NEVER)
        absent[task] = absent[task] + 1 if state == NEVER else 0
        if state_of(job, self.root) == 'done':
          self._finished(job)
          after()
        elif any(need.name in self.failed for need in job.needs):
          self._lost(job, '')
        elif absent[task] >= PATIENCE:
          self._lost(job, self._cause(job))
        elif state == 'RUNNING' and task not in running:
          running.add(task)
          self.report(f'  {job.name}: running (job {task})')
      time.sleep(self.poll if self.waiting else 0)
    self._cancel(self.failed, self._look() if self.failed else {})

  def _look(self):
    """The queue; SLURM may be silent for a while."""
    for _ in range(SILENCE):
      try:
        return queue()
      except RuntimeError as error:
        self.report(f'  {error}')
        time.sleep(self.poll)
    raise RuntimeError(
      f'squeue failed {SILENCE} times: {len(self.waiting)} jobs go on in '
      'SLURM, and the same command watches them again'
    )

  def _finished(self, job):
    del self.waiting[job.name]
    self.done += 1
    spent = single.spent(self.root / job.name) or {}
    seconds = self.seconds[job.name] = spent.get('seconds', 0.0)
    rows = spent.get('programs', [])
    self.ledger += [row | {'worker': job.name} for row in rows]
    elapsed = time.time() - self.started
    self.report(
      f'[{self.done}/{self.total}] {job.name} in {seconds:.1f} s '
      f'({elapsed:.0f} s in all)'
    )

  def _lost(self, job, cause):
    """Takes a job off the list that failed, or needs one that did ('').

    One that stopped at a number that is not finite is said and counts as none:
    the study goes on without it.
    """
    del self.waiting[job.name]
    if is_lost(job, self.root):
      if has_stopped(job, self.root):
        self.report(f'  stopped: {why_stopped(job, self.root)}')
      self.failed[job.name] = ''
      return
    self.failed[job.name] = cause
    if cause:
      self.report(f'  failed: {cause}')

  def _cause(self, job):
    """The last line that a failed job said, and where the others are."""
    task = self.ids[job.name]
    log = self.root / 'logs' / f'{task}.log'
    text = log.read_text(errors='replace') if log.exists() else ''
    said = [line for line in text.splitlines() if line.strip()]
    last = said[-1] if said else 'no output'
    return f'{job.name}: {last} (job {task}, see {log})'

  def _raise_failures(self):
    if any(self.failed.values()):
      raise RuntimeError(failures_text(self.failed))

  def programs(self):
    """Compile ledger of the jobs that ended while they were watched."""
    return self.ledger

  def close(self):
    """Holds nothing: jobs are SLURM's."""
