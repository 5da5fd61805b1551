"""Runs a list of jobs on what --on names; a launcher is a module of its own.

A launcher's module has `launcher(root, options, report)`, an object with

    run(jobs, after)   runs them, calling `after` whenever one is done
    seconds            {name: seconds} of the jobs that are done
    failed             {name: cause} of those that failed, if it runs any
    programs()         compile ledger: rows for programs.csv
    close()            lets go of what it holds

All of them leave the same files, so a study that ran half on one goes on on
another.
"""

import importlib
import sys
from pathlib import Path
from typing import NamedTuple

from absl import flags

from experiments.shared import knobs
from experiments.studies.job import is_done, is_lost, with_needs, write_list
from rlhf_jax.train.about import RunError

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
  """

  on: str = 'pool'
  workers: int = 1
  poll: float = 30.0
  limits: tuple[float, float, float] = (2.0, 1.0, 24.0)


def define_flags(on):
  """Defines --on, with its default, and --poll; a callable that reads them.

  Returns:
    `options(**changes)`, the Options after the flags are parsed.
  """
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
      Options().poll,
      "Seconds between two looks at SLURM's queue.",
      lower_bound=0.01,
    ),
  )
  return lambda **changes: Options(
    **{v.name: v.value for v in values}, **changes
  )


def report(text):
  """Prints one line of progress, at once."""
  print(text, file=sys.stderr, flush=True)


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
      done.
  """
  root, jobs = Path(root), with_needs(jobs)
  for job in jobs:
    knobs.check_job(job)
  root.mkdir(parents=True, exist_ok=True)
  write_list(root, jobs)
  module = importlib.import_module(f'experiments.studies.{ON[options.on]}')
  launcher = module.launcher(root, options, report)
  try:
    launcher.run(jobs, lambda: after(launcher.seconds, launcher.programs()))
  except RuntimeError as error:
    failed = getattr(launcher, 'failed', {})
    raise FailedError(str(error), failed) from None
  finally:
    launcher.close()
  return all(is_done(job, root) or is_lost(job, root) for job in jobs)
