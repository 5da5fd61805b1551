"""A job as several processes: which stages can, how many, and which this is.

The stage is the same in each of them (docs/hosts.md). Process 0 is the one that
is heard of: its beat, its log, its seconds.
"""

import contextlib
import dataclasses
import os

# Stages that several processes can run as one.
SEVERAL = frozenset(
  {
    *('distil', 'frontier', 'train_dpo'),
    *('train_lm', 'train_pm', 'train_ppo'),
    *('compare_policies', 'evaluate_hhh', 'evaluate_prompted'),
    *('evaluate_skills', 'make_comparisons', 'make_rankings'),
    *('make_targets', 'make_tranche', 'measure_tax', 'play_games'),
    *('samples', 'score_replies'),
    *('attack_policies', 'evaluate', 'judge', 'measure_bias'),
  }
)
PLACE = 'RLHF_JAX_PLACE'  # HOST:PORT COUNT INDEX, of a process on this machine


class LostError(RuntimeError):
  """Processes that have failed.

  Attributes:
    said: {'kind', 'why'}, from the one that was heard of.
  """

  def __init__(self, said):
    super().__init__(said['why'])
    self.said = said


def can_share(module) -> bool:
  """Whether the stage of a module runs as several processes."""
  return module.rpartition('.')[2] in SEVERAL


def count(resources) -> int:
  """How many processes a job has in all."""
  return max(resources.nodes, 1) * max(resources.processes, 1)


def only_where_shared(jobs):
  """The jobs; those whose stage is one process ask for one."""
  made = {}
  for job in jobs:
    needs = tuple(made[need.name] for need in job.needs)
    asked = job.resources
    if not can_share(job.module):
      asked = asked._replace(nodes=0, processes=0)
    made[job.name] = dataclasses.replace(job, needs=needs, resources=asked)
  return list(made.values())


def require_fitting(job, here=False):
  """Refuses GPUs that no process would use, and nodes where there is one.

  Args:
    job: Job.
    here: whether it is to run on this machine.

  Raises:
    ValueError: naming the job: of several processes each takes one GPU.
  """
  asked = job.resources
  if here and asked.nodes > 1:
    raise ValueError(
      f'{job.name} asks for {asked.nodes} nodes, and the pool is one machine: '
      '--on=slurm, or --processes alone'
    )
  if count(asked) > 1 and asked.gpus not in (0, max(asked.processes, 1)):
    raise ValueError(
      f'{job.name} asks for {asked.gpus} GPUs and {max(asked.processes, 1)} '
      'processes of a node, of which each drives one GPU: give '
      f'--processes={asked.gpus}'
    )


def index() -> int:
  """Number of this process, before JAX is told."""
  if PLACE in os.environ:
    return int(os.environ[PLACE].split()[2])
  return int(os.environ.get('SLURM_PROCID', 0))


@contextlib.contextmanager
def joined(resources):
  """Makes the processes of a job one; a plain job does nothing."""
  if count(resources) == 1:
    yield
    return
  from rlhf_jax.train import distributed

  if PLACE in os.environ:
    address, number, own = os.environ[PLACE].split()
    distributed.start(address, int(number), int(own))
  else:
    distributed.start(distributed.AUTO)
  with distributed.together():
    yield
