"""Runs a list of jobs on what --on names; a launcher is a module of its own.

A launcher's module has `launcher(root, options, report)`, an object with

    run(jobs, after)   runs them, calling `after` whenever one is done
    seconds            {name: seconds} of the jobs that are done
    failed             {name: cause} of those that failed, if it runs any
    kinds              {name: kind} of these failures, as of `retries`
    programs()         compile ledger: rows for programs.csv
    close()            lets go of what it holds

All of them leave the same files, so a study that ran half on one goes on on
another. What failed for a reason that may pass is run again, in rounds: a round
runs all that can run, the next one what failed.
"""

import collections
import functools
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from absl import flags

from experiments.shared import knobs
from experiments.studies import beats, board, clock, retries, several
from experiments.studies.board import report
from experiments.studies.job import (
  Job,
  Resources,
  is_done,
  is_lost,
  state_of,
  with_needs,
  with_resources,
  write_list,
)
from rlhf_jax.train.about import RunError
from rlhf_jax.train.progress import time_text

__all__ = ['FailedError', 'Options', 'define_flags', 'report', 'run', 'submit']

ON = {'pool': 'pool', 'list': 'listing', 'slurm': 'slurm'}


class FailedError(RunError):
  """Jobs failed; those that need none of them are done.

  Attributes:
    failed: {name: cause}, '' of a job that needs one that failed.
  """

  def __init__(self, message, failed):
    super().__init__(message)
    self.failed = failed


class Options(NamedTuple):
  """How jobs are run.

  Attributes:
    on: a key of ON.
    workers: processes of the pool.
    poll: seconds between two looks at SLURM's queue.
    limits: time limit of a job over its estimated hours; least and most hours.
    retries: times that a job is run again that was ended from outside.
    resources: asked of SLURM for jobs that ask for none.
    reckoned: job -> seconds that it should take.
  """

  on: str = 'pool'
  workers: int = 1
  poll: float = 30.0
  limits: tuple[float, float, float] = (2.0, 1.0, 24.0)
  retries: int = 2
  resources: Resources = Resources()
  reckoned: Callable[[Job], float] = clock.by_weight


def define_flags(on):
  """Defines the flags of launchers; a callable that reads them.

  Args:
    on: default of --on.

  Returns:
    `options(**changes)`, the Options after the flags are parsed.
  """
  plain, number = (
    Options(),
    functools.partial(flags.DEFINE_integer, lower_bound=0),
  )
  values = (
    flags.DEFINE_enum(
      'on',
      on,
      sorted(ON),
      'What runs the jobs: worker processes here, a list for you to run one by '
      'one, or SLURM.',
    ),
    flags.DEFINE_float(
      'poll',
      plain.poll,
      "Seconds between two looks at SLURM's queue.",
      lower_bound=0.01,
    ),
    number(
      'retries',
      plain.retries,
      'Times that a job is run again whose process was ended from outside, by '
      'a signal, its time limit, want of memory, or silence.',
    ),
  )
  asked = _asking_flags(number)

  def options(**changes):
    own = {name: flag.value for name, flag in asked.items()}
    own['host_bytes'] *= 1e9
    read = {v.name: v.value for v in values} | {'resources': Resources(**own)}
    return Options(**read | changes)

  return options


def _asking_flags(number):
  """Defines the flags of what jobs ask for; {field of Resources: flag}."""
  return {
    'gpus': number('gpus', 0, 'GPUs of a SLURM job that asks for none.'),
    'cpus': number('cpus', 0, 'Cores of a SLURM job that asks for none.'),
    'nodes': number(
      'nodes',
      0,
      'Nodes of a job whose stage runs on several hosts (docs/hosts.md).',
    ),
    'processes': number(
      'processes',
      0,
      'Processes of such a job on each node: with GPUs, one a GPU.',
    ),
    'host_bytes': flags.DEFINE_float(
      'memory', 0.0, 'GB of a SLURM job that asks for none.', lower_bound=0.0
    ),
    'hours': flags.DEFINE_float(
      'hours',
      0.0,
      'Hours that a SLURM job should take that has no estimate; its limit is '
      'twice as much, and 24 where nothing is said.',
      lower_bound=0.0,
    ),
  }


def _planned(jobs, root, options):
  """All jobs, checked, with what they ask for; listed in ROOT/jobs.json."""
  jobs = several.only_where_shared(
    with_resources(with_needs(jobs), options.resources)
  )
  for job in jobs:
    knobs.check_job(job)
    several.require_fitting(job, here=options.on == 'pool')
  root.mkdir(parents=True, exist_ok=True)
  write_list(root, jobs)
  return jobs


def _launcher(root, options, say):
  module = importlib.import_module(f'experiments.studies.{ON[options.on]}')
  return module.launcher(root, options, say)


def submit(jobs, root, options) -> None:
  """Hands the jobs that are not done to SLURM, and leaves them to it.

  Raises:
    ValueError, RunError: as `run`.
  """
  root = Path(root)
  jobs = _planned(jobs, root, options)
  try:
    _launcher(root, options._replace(on='slurm'), report).submit(jobs)
  except RuntimeError as error:
    raise RunError(str(error)) from None


def run(jobs, root, options, after=lambda seconds, programs: None) -> bool:
  """Lists the jobs in ROOT/jobs.json and runs them, and what they need.

  Args:
    jobs: [Job].
    root: of the study; absolute.
    options: Options.
    after: called with the launcher's `seconds` and `programs()` whenever a job
      is done.

  Returns:
    Whether all of them are done, but for those that stopped at a number that
    is not finite and those that need them.

  Raises:
    ValueError: before anything runs, naming a job and a setting that is wrong.
    FailedError: naming the jobs that failed otherwise, after all others are
      done and none of them can be tried again.
  """
  root = Path(root)
  jobs = _planned(jobs, root, options)
  look = board.Looker(
    jobs,
    lambda job: state_of(job, root),
    lambda job: beats.read(root, job.name),
    options.reckoned,
    clock.remaining,
    time_text,
  )
  with board.shown(look, time_text, options.on != 'list') as say:
    launcher = _launcher(root, options, say)
    try:
      _rounds(launcher, jobs, after, options.retries, say)
    finally:
      launcher.close()
  return all(is_done(job, root) or is_lost(job, root) for job in jobs)


def _rounds(launcher, jobs, after, most, say):
  """Runs the jobs, and those again that may do better, `most` times each.

  Raises:
    FailedError: when none is left to try again.
  """
  tried, named = collections.Counter(), {job.name: job for job in jobs}
  while True:
    try:
      launcher.run(jobs, lambda: after(launcher.seconds, launcher.programs()))
      return
    except RuntimeError as error:
      failed = getattr(launcher, 'failed', {})
      again = retries.again(getattr(launcher, 'kinds', {}), tried, most)
      if not again:
        raise FailedError(str(error), failed) from None
    tried.update(again)
    for name in again:
      say(f'  again ({tried[name]} of {most}): {named[name].shown}')
