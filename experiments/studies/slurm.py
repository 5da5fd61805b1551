"""Submits the jobs of a study to SLURM and watches them, without accounting.

A job is done when its run directory says so. It has failed when its own process
has said that, when it has left the queue without a word, or when it should run
and is not heard of any more: `squeue`, done.json and the beats are all that is
asked, since many clusters keep no accounting. Ids stand in ROOT/slurm.json, so
that the same command, given again, watches what is still in the queue.
"""

import collections
import contextlib
import dataclasses
import re
import subprocess
import time

from experiments.studies import beats, retries, sbatch, single, submit
from experiments.studies.clock import Clock, by_weight
from experiments.studies.job import (
  failures_text,
  has_stopped,
  is_lost,
  state_of,
  why_stopped,
  write_json,
)
from rlhf_jax import digests

IDS, FOLDER = 'slurm.json', 'slurm'
# Looks at the queue without a job or its done.json, after which it has failed:
# a network file system may show a file late. And looks that may fail.
PATIENCE, SILENCE = 3, 10
NEVER = 'DependencyNeverSatisfied'


def launcher(root, options, report):
  """The Slurm that `launch.Options` ask for."""
  sbatch.require_plain(root)
  return Slurm(root, options.poll, options.limits, report, options.reckoned)


def call(*words):
  """What a command of SLURM prints.

  Raises:
    RuntimeError: with what it says, if it fails or is not installed.
  """
  try:
    done = subprocess.run(
      words,
      cwd=submit.REPOSITORY,
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


def left_in(task):
  """State in which SLURM left a job: it knows for some minutes, or ''."""
  try:
    said = call('scontrol', '--oneliner', 'show', 'job', task)
  except RuntimeError:
    return ''
  found = re.search(r'\bJobState=(\w+)', said)
  return found[1] if found else ''


class Slurm:
  """Runs jobs on a cluster.

  Args:
    root: pathlib.Path of the study, on storage that all nodes see.
    poll: seconds between two looks at the queue.
    limits: of time, as for `sbatch.minutes`.
    report: callable(str), shown to the user.
    reckoned: job -> seconds that it should take.
  """

  def __init__(self, root, poll, limits, report, reckoned=by_weight):
    self.reckoned = reckoned
    self.root, self.poll, self.limits, self.report = root, poll, limits, report
    file = root / IDS
    self.ids = digests.read_json(file, dict) if file.exists() else {}
    self.waiting, self.seconds, self.failed, self.ledger = {}, {}, {}, []
    self.kinds, self.pulse = {}, beats.Pulse()
    self.no_memory, self.gone = collections.Counter(), set()

  def run(self, jobs, after):
    """Submits what is to do, and returns when nothing is left in the queue.

    Raises:
      RuntimeError: naming what failed, or how to go on after an interrupt.
    """
    self.failed, self.kinds = {}, {}
    try:
      self.submit(jobs)
      self._watch(after)
    except KeyboardInterrupt:
      self.kinds.clear()  # nothing is tried again
      arrays = {self.ids[name].split('_')[0] for name in self.waiting}
      raise RuntimeError(
        f'{len(self.waiting)} jobs go on in SLURM: the same command watches '
        f'them again, scancel {" ".join(sorted(arrays))} ends them'
      ) from None
    if any(self.failed.values()):
      raise RuntimeError(failures_text(self.failed))

  def submit(self, jobs):
    """Submits what is neither done nor in the queue; leaves it to SLURM."""
    todo = [job for job in jobs if state_of(job, self.root) != 'done']
    self.clock = Clock(todo, len(jobs), self.reckoned)
    self.clock.done = len(jobs) - len(todo)
    todo = [job for job in todo if not is_lost(job, self.root)]
    self._find(todo)
    self.report(
      f'{self.clock.done} of {len(jobs)} jobs are done, {len(self.waiting)} in '
      'the queue'
    )
    self._submit([job for job in todo if job.name not in self.waiting])

  def _find(self, todo):
    """Takes over the jobs that are in the queue and can still run.

    Others of ours that are in it wait for runs that have failed: they are
    taken out.
    """
    inside, names = queue(), {job.name for job in todo}
    for job in todo:
      waits = [need.name for need in job.needs if need.name in names]
      state = NEVER if self._has_failed(job) else self._state(job, inside)
      can_start = all(name in self.waiting for name in waits)
      if state not in (NEVER, 'PENDING') or (state == 'PENDING' and can_start):
        self.waiting[job.name] = job
    self._cancel(names - self.waiting.keys(), inside)

  def _has_failed(self, job):
    """Whether what the queue still has of a job is the end of a failure."""
    said = beats.read(self.root, job.name).get('state') == 'failed'
    return said or self.ids.get(job.name) in self.gone

  def _state(self, job, inside):
    return inside.get(self.ids.get(job.name), NEVER)

  def _cancel(self, names, inside):
    """Takes jobs out of the queue."""
    left = sorted({self.ids.get(name) for name in names} & inside.keys())
    if left:
      call('scancel', *left)

  def _submit(self, jobs):
    """Sends jobs to SLURM, a file each, and keeps their ids."""
    for array in sbatch.arrays_of(map(self._asking, jobs)):
      needs = [need.name for need in array[0].needs]
      after = [self.ids[name] for name in needs if name in self.waiting]
      files = [self._file(job) for job in array]
      asked = sbatch.parameters_of(array, after, self.limits)
      folder = self.root / FOLDER
      ids = submit.submit(single.run_file, files, folder, asked)
      self.ids |= {x.name: task for x, task in zip(array, ids, strict=True)}
      write_json(self.root / IDS, self.ids)
      self.waiting |= {job.name: job for job in array}
      names = ', '.join(job.shown for job in array)
      self.report(f'  job {ids[0].split("_")[0]} in SLURM: {names}')

  def _asking(self, job):
    """The job; it asks for twice as much where memory was too little."""
    asked = job.resources
    more = asked.host_bytes * 2 ** self.no_memory[job.name]
    return dataclasses.replace(job, resources=asked._replace(host_bytes=more))

  def _file(self, job):
    """The JSON file that names a job; what an earlier try said is forgotten."""
    beats.forget(self.root, job.name)
    self.pulse.forget(job.name)
    return single.file_for(self.root, job.name, f'{FOLDER}/jobs')

  def _watch(self, after):
    """Looks at the queue until none of the jobs is in it."""
    absent, running = collections.Counter(), set()
    while self.waiting:
      inside = self._look()
      for job in list(self.waiting.values()):
        task, state = self.ids[job.name], self._state(job, inside)
        absent[task] = absent[task] + 1 if state == NEVER else 0
        if state_of(job, self.root) == 'done':
          self._finished(job)
          after()
        elif any(need.name in self.failed for need in job.needs):
          self._lose(job)
        elif not self._goes_on(job, state, absent[task]):
          self._fail(job, *self._cause(job, state))
        elif state == 'RUNNING' and task not in running:
          running.add(task)
          self.report(f'  {job.shown}: running (job {task})', passing=True)
      time.sleep(self.poll if self.waiting else 0)
    waits = {name for name, why in self.failed.items() if not why}
    self._cancel(waits, self._look() if waits else {})

  def _goes_on(self, job, state, absent):
    """Whether a job that is not done may still come to that."""
    said = beats.read(self.root, job.name)
    if said.get('state') == 'failed' or absent >= PATIENCE:
      return False
    if state != 'RUNNING':
      self.pulse.forget(job.name)
      return True
    return not self.pulse.is_lost(job.name, said, time.monotonic())

  def _cause(self, job, state):
    """(kind of the failure, its line), from what the process said last."""
    said, task = beats.read(self.root, job.name), self.ids[job.name]
    if said.get('state') == 'failed':
      return said['kind'], said['why']
    if state == 'RUNNING':
      with contextlib.suppress(RuntimeError):  # it has just gone
        call('scancel', task)
      return retries.HEARTBEAT, retries.HELPED[retries.HEARTBEAT]
    kind = retries.kind_of_state(left_in(task))
    return kind, retries.HELPED[kind]

  def _look(self):
    """The queue; SLURM may be silent for a while."""
    for _ in range(SILENCE):
      try:
        return queue()
      except RuntimeError as error:
        self.report(f'  {error}')
        time.sleep(self.poll)
    self.kinds.clear()  # nothing is tried again
    raise RuntimeError(
      f'squeue failed {SILENCE} times: {len(self.waiting)} jobs go on in '
      'SLURM, and the same command watches them again'
    )

  def _finished(self, job):
    del self.waiting[job.name]
    spent = single.spent(self.root / job.name) or {}
    seconds = self.seconds[job.name] = spent.get('seconds', 0.0)
    rows = spent.get('programs', [])
    self.ledger += [row | {'worker': job.name} for row in rows]
    self.report(self.clock.line(job, seconds))

  def _lose(self, job):
    """Takes a job off the list that needs one that failed."""
    del self.waiting[job.name]
    self.failed[job.name] = ''

  def _fail(self, job, kind, why):
    """Takes a job off the list that failed, and says so.

    One that stopped at a number that is not finite is said and counts as none:
    the study goes on without it.
    """
    self._lose(job)
    if is_lost(job, self.root):
      if has_stopped(job, self.root):
        self.report(f'  stopped: {why_stopped(job, self.root)}')
      return
    self.kinds[job.name] = kind
    self.no_memory[job.name] += kind == retries.MEMORY
    task, log = self.ids[job.name], beats.log_of(self.root, job.name)
    self.gone.add(task)
    if not log.exists():  # nothing of ours has run
      log = self.root / FOLDER / f'{task}_0_log.err'
    self.failed[job.name] = f'{job.shown}: {why} (job {task}, see {log})'
    self.report(f'  failed: {self.failed[job.name]}')

  def programs(self):
    """Compile ledger of the jobs that ended while they were watched."""
    return self.ledger

  def close(self):
    """Holds nothing: jobs are SLURM's."""
