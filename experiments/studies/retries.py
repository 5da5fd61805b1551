"""Which failed runs are tried again.

A process that could say why it failed is taken at its word: an error of the
config, or numbers that are not finite, would come again. One that was ended
from outside (a signal, a time limit, memory, silence) may do better, and goes
on from its last checkpoint.
"""

from rlhf_jax.train import about

ERROR, STOPPED = 'error', 'stopped'
SIGNAL, TIME, MEMORY, HEARTBEAT = 'signal', 'time', 'memory', 'heartbeat'
HELPED = {
  SIGNAL: 'its process was killed',
  TIME: 'it reached its time limit',
  MEMORY: 'it ran out of memory',
  HEARTBEAT: 'its process was not heard of any more',
}
# States in which SLURM leaves a job that has failed (man squeue); others say no
# more than that it has ended.
OF_STATE = {
  'TIMEOUT': TIME,
  'DEADLINE': TIME,
  'OUT_OF_MEMORY': MEMORY,
}
NO_MEMORY = ('RESOURCE_EXHAUSTED', 'out of memory', 'Out of memory')


def kind_of_error(error) -> str:
  """The kind of a failure by the exception that a run ended with."""
  memory = any(word in str(error) for word in NO_MEMORY)
  if memory or isinstance(error, MemoryError):
    return MEMORY
  return STOPPED if isinstance(error, about.StoppedError) else ERROR


def kind_of_state(state='') -> str:
  """The kind of a failure of a process that has said nothing.

  Args:
    state: in which SLURM left it, '' where that is not known.
  """
  return OF_STATE.get(state, SIGNAL)


def again(kinds, tried, most) -> list[str]:
  """Names of the runs to try once more.

  Args:
    kinds: {name: kind} of the runs that failed.
    tried: {name: how often it was tried again}.
    most: times that a run may be tried again.
  """
  return [
    name
    for name, kind in kinds.items()
    if kind in HELPED and tried.get(name, 0) < most
  ]
