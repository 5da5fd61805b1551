"""The sbatch commands of a list of jobs: arrays, what each waits for and asks.

A job is named by the study's folder and its number, never by flags, so no value
of a config passes through a shell.
"""

import math
import re
import shlex
import sys
from pathlib import Path

from experiments.studies.job import spans

REPOSITORY = Path(__file__).resolve().parents[2]
SCRIPT = 'scripts/slurm/job.sbatch'


def arrays_of(jobs):
  """[[Job]]: those of one array share their needs, program and resources.

  So all of an array wait for the same jobs and can start at the same time. If
  `jobs` stand after what they need, so do the arrays.
  """
  arrays = {}
  for job in jobs:
    needs = tuple(need.name for need in job.needs)
    arrays.setdefault((needs, job.program, job.resources), []).append(job)
  return list(arrays.values())


def minutes(hours, limits):
  """Time limit of a job: a multiple of its estimate, within bounds.

  Args:
    hours: the estimate.
    limits: (the multiple, least hours, most hours).
  """
  times, least, most = limits
  return math.ceil(60 * min(max(times * hours, least), most))


def words_of(array, numbers, after, root, limits):
  """Arguments of sbatch for an array.

  Args:
    array: [Job].
    numbers: {name: number} of the study.
    after: SLURM's ids of the jobs to wait for.
    root: of the study; absolute.
    limits: as for `minutes`; only jobs with an estimate have a limit.
  """
  asked, logs = array[0].resources, f'{root}/logs'.replace('%', '%%')
  words = ['--parsable', '--kill-on-invalid-dep=yes', '--open-mode=append']
  words.append(f'--array={spans(numbers[job.name] for job in array)}')
  words.append(f'--job-name={array[0].program or array[0].name}')
  words.append(f'--output={logs}/%A_%a.log')
  if after:
    words.append(f'--dependency=afterok:{":".join(after)}')
  if asked.gpus:
    words.append(f'--gpus-per-node={asked.gpus}')
  if asked.cpus:
    words.append(f'--cpus-per-task={asked.cpus}')
  if asked.host_bytes:
    words.append(f'--mem={math.ceil(asked.host_bytes / 2**20)}M')
  if asked.hours:
    words.append(f'--time={minutes(asked.hours, limits)}')
  return [*words, SCRIPT, str(root), sys.executable]


def script_lines(jobs, numbers, root, limits):
  """A shell script that submits jobs; to be run in the repository.

  Args:
    jobs: [Job], each after what it needs; those that are not among them count
      as done.
    numbers: {name: number} of the study.
    root: of the study; absolute.
    limits: as for `minutes`.
  """
  yield 'set -e'
  yield f'mkdir -p {shlex.quote(f"{root}/logs")}'
  ids = {}
  for array in arrays_of(jobs):
    needs = [need.name for need in array[0].needs if need.name in ids]
    words = words_of(array, numbers, [], root, limits)
    quoted = ' '.join(map(shlex.quote, words))
    if needs:
      after = ':'.join(ids[name] for name in needs)
      quoted = f'"--dependency=afterok:{after}" {quoted}'
    variable = 'job_' + re.sub(r'\W', '_', array[0].name)
    yield f'{variable}=$(sbatch {quoted})'
    for job in array:
      ids[job.name] = f'${{{variable}%%;*}}_{numbers[job.name]}'
