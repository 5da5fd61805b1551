"""A stage that runs several runs of another as members of one program.

Runs whose programs are the same (they differ in seeds, rates, coefficients)
take each step together (`rlhf_jax/train/together.py`). Each keeps its own
directory, beside those of the study, and is what it would be alone up to
rounding: it may go on by itself, or in another group.
"""

import functools
import glob
import importlib
from pathlib import Path

from experiments.studies import addresses, retries
from experiments.studies.job import Job, is_done, is_lost, write_json
from rlhf_jax.train.about import RunError

WHEN = ('auto', 'never', 'always')
DEVICES = ('/dev/nvidia[0-9]*', '/dev/accel*')  # GPUs, TPUs


def run(config, workdir):
  """Runs the members; done when none is left but those that have stopped.

  Args:
    config: {'module': of the stage, 'members': {name: its config}}.
    workdir: ROOT/groups/NAME; member x runs in ROOT/x.

  Raises:
    RunError, MemoryError: naming the first that failed, when all have ended.
  """
  from experiments.shared import errors
  from rlhf_jax.train import together

  workdir = Path(workdir)
  root, stage = workdir.parents[1], importlib.import_module(config['module'])
  found = together.run(
    [
      functools.partial(stage.run, own, root / name)
      for name, own in config['members'].items()
    ]
  )
  failed = {
    name: error
    for name, error in zip(config['members'], found, strict=True)
    if error and retries.kind_of_error(error) != retries.STOPPED
  }
  if failed:
    name, error = next(iter(failed.items()))
    words = f'{name}: {errors.said_of(error)}'
    if len(failed) > 1:
      words += f'; {len(failed)} of {len(found)} members failed'
    memory = retries.kind_of_error(error) == retries.MEMORY
    raise (MemoryError if memory else RunError)(words)
  workdir.mkdir(parents=True, exist_ok=True)
  write_json(workdir / 'done.json', {'members': len(found)})


def wanted(when, gpus=0, devices=DEVICES):
  """Whether runs are to be grouped: auto where an accelerator is.

  Two cores are full with one run, and gain nothing.

  Args:
    when: one of WHEN.
    gpus: that jobs ask for, elsewhere.
    devices: patterns of the files of accelerators here.
  """
  there = gpus > 0 or any(map(glob.glob, devices))
  return when == 'always' or (when == 'auto' and there)


def grouped(jobs, root, most):
  """(jobs to launch, {name of a group: names of its members}).

  Those that are done or stopped, and those whose program no other has, stay as
  they are.

  Args:
    jobs: [Job] without needs.
    root: of the study; absolute.
    most: members of a group.
  """
  alike, plain = {}, []
  for job in jobs:
    if is_done(job, root) or is_lost(job, root):
      plain.append(job)
    else:
      alike.setdefault((job.module, job.program), []).append(job)
  groups, names = [], {}
  for own in alike.values():
    for i in range(0, len(own), most):
      part = own[i : i + most]
      if len(part) == 1:
        plain += part
      else:
        groups.append(_group(part))
        names[groups[-1].name] = [job.name for job in part]
  return plain + groups, names


def of_members(failed, groups, root):
  """{name: why} of the runs that failed, where groups of them are named.

  Args:
    failed: {name of a job or a group: why}.
    groups: of `grouped`.
    root: of the study.
  """
  found = {}
  for name, why in failed.items():
    for own in groups.get(name, [name]):
      if not (Path(root) / own / 'done.json').exists():
        found[own] = why
  return found


def _group(jobs):
  """The Job of a group."""
  first, names = jobs[0], [job.name for job in jobs]
  config = {
    'module': first.module,
    'members': {job.name: job.config for job in jobs},
  }
  labels = '; '.join(job.label for job in jobs)
  return Job(
    name=f'groups/{addresses.digest(names)}',
    module='experiments.studies.group',
    config=config,
    program=first.program,
    weight=sum(job.weight for job in jobs),
    label=f'{len(jobs)} runs: {labels}'[:80],
  )
