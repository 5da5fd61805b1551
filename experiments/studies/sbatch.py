"""What a list of jobs asks of SLURM: arrays, what each waits for, and limits.

A job is named by a JSON file with the study's folder and its name, so no value
of a config passes through a shell.
"""

import math
import re

from experiments.studies import several

# SLURM reads % in the name of a log as a pattern, and quotes as ends of it.
UNFIT = '%\'"\\\n'


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
    hours: the estimate; 0, for which there is none: the most.
    limits: (the multiple, least hours, most hours).
  """
  times, least, most = limits
  return math.ceil(
    60 * (min(max(times * hours, least), most) if hours else most)
  )


def parameters_of(array, after, limits):
  """{name: value} of submitit's SlurmExecutor for an array.

  Args:
    array: [Job].
    after: SLURM's ids of the jobs to wait for.
    limits: as for `minutes`.
  """
  asked = array[0].resources
  title = re.sub(r'[^\w.-]', '-', array[0].program or array[0].name)
  found = {'job_name': title, 'time': minutes(asked.hours, limits)}
  more = {'requeue': True}
  if after:
    more |= {'dependency': f'afterok:{":".join(after)}'}
    more |= {'kill-on-invalid-dep': 'yes'}
  if several.count(asked) > 1:
    found['nodes'] = max(asked.nodes, 1)
    found['ntasks_per_node'] = max(asked.processes, 1)
    found['srun_args'] = ['--kill-on-bad-exit=1']
  if asked.gpus:
    found['gpus_per_node'] = asked.gpus
  if asked.cpus:
    found['cpus_per_task'] = asked.cpus
  if asked.host_bytes:
    found['mem'] = f'{math.ceil(asked.host_bytes / 2**20)}M'
  return found | {'additional_parameters': more}


def require_plain(root):
  """Refuses the folder of a study that SLURM cannot write logs into.

  Raises:
    ValueError: naming the character.
  """
  bad = [mark for mark in str(root) if mark in UNFIT]
  if bad:
    raise ValueError(
      f'{root} has {bad[0]!r} in it, which SLURM cannot have in the name of a '
      'log: choose another --workdir'
    )
