"""Prints the jobs of a study, for whoever runs them one by one."""

import shlex

from experiments.studies import several
from experiments.studies.job import (
  Resources,
  is_done,
  read_list,
  spans,
  state_of,
)


def launcher(root, options, report):
  """The Listing of a study."""
  del options, report
  return Listing(root)


class Listing:
  """Runs nothing: prints a line a job."""

  def __init__(self, root):
    self.root, self.seconds = root, {}

  def run(self, jobs, after):
    """Prints number, state, what a job asks for and needs, and its command."""
    del after
    print('\n'.join(lines_of(jobs, self.root)))

  def programs(self):
    """Nothing was compiled."""
    return []

  def close(self):
    """Holds nothing."""


def lines_of(jobs, root):
  """The lines of a list, in the order of the numbers, and a count."""
  listed = read_list(root)
  numbers = {job.name: number for number, job in enumerate(listed)}
  width = max(len(job.name) for job in jobs)
  asks = any(any(job.resources) for job in jobs)
  for job in sorted(jobs, key=lambda job: numbers[job.name]):
    number = numbers[job.name]
    words = [f'{number:3d}', f'{state_of(job, root):5}', f'{job.name:{width}}']
    if asks:
      words.append(resources_text(job.resources))
    needs = spans(numbers[need.name] for need in job.needs)
    command = command_of(root, number, job.resources)
    yield '  '.join([*words, f'needs {needs or "-":8}', command])
  done = sum(is_done(job, root) for job in jobs)
  yield f'{done} of {len(jobs)} jobs are done'


def resources_text(asked):
  """'2 GPUs   13.3 GB each   0.14 h', in columns."""
  gpus = f'{asked.gpus} GPU' + ('s' if asked.gpus > 1 else ' ')
  memory = f'{asked.gpu_bytes / 1e9:5.1f} GB' if asked.gpu_bytes else '       -'
  return f'{gpus}  {memory} each  {asked.hours:5.2f} h'


def command_of(root, number, asked=Resources()):  # noqa: B008 (a constant)
  """The command that runs a job, by `srun` if it has several processes."""
  words = ['python', '-m', 'experiments.job', f'--study={root}']
  words += [f'--index={number}']
  if several.count(asked) > 1:
    nodes, each = max(asked.nodes, 1), max(asked.processes, 1)
    step = ['srun', f'--nodes={nodes}', f'--ntasks-per-node={each}']
    words = [*step, *words, '--distributed=auto']
  return shlex.join(words)
