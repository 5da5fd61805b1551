"""Several processes as one program: start-up by flags or by the launcher."""

import contextlib
import os

import jax
from absl import flags

from rlhf_jax.digests import reason
from rlhf_jax.train import partners

# Seconds after which a silent process counts as dead, and which the others wait
# for it at their end: JAX's own are 100 and 300.
HEARTBEAT, SHUTDOWN = 20, 20
SIGNS = (
  'Gloo',
  'NCCL',
  'Connection ',
  'Socket closed',
  'Broken pipe',
  'heartbeat',
  'oordination service',
)


def define_flags():
  """Defines --coordinator, --num_processes and --process_id.

  Returns:
    A function without arguments that calls `start` with their values, for
    after the command line is read.
  """
  coordinator = flags.DEFINE_string(
    'coordinator', None, 'HOST:PORT of process 0, when started by hand.'
  )
  num_processes = flags.DEFINE_integer(
    'num_processes', None, 'How many processes, when started by hand.'
  )
  process_id = flags.DEFINE_integer(
    'process_id', None, 'Which of them this is, from 0.'
  )
  return lambda: start(coordinator.value, num_processes.value, process_id.value)


def launcher(environ):
  """Launcher of several processes: 'slurm', 'tpu', or None for none.

  Args:
    environ: the environment variables, after JAX was imported. JAX sets
      TPU_ML_PLATFORM where it finds TPU chips, and TPU_SKIP_MDS_QUERY where
      there is no metadata server to ask about the other hosts.
  """
  if int(environ.get('SLURM_STEP_NUM_TASKS', 1)) > 1:
    return 'slurm'
  if 'TPU_ML_PLATFORM' in environ:
    hosts = environ.get('TPU_PROCESS_ADDRESSES') or environ.get(
      'TPU_WORKER_HOSTNAMES', ''
    )
    if ',' in hosts or not (hosts or 'TPU_SKIP_MDS_QUERY' in environ):
      return 'tpu'
  return None


def start(coordinator=None, num_processes=None, process_id=None):
  """Joins the processes of one job; must come before any device is touched.

  With all three arguments: those. With none: what SLURM (`srun` with more than
  one task) or a TPU pod says; where neither is there, one process goes on by
  itself. CPU processes talk through gloo.

  Args:
    coordinator: 'HOST:PORT' of process 0; the others must reach it.
    num_processes: how many.
    process_id: which one this is, from 0.

  Raises:
    ValueError: if some of the three are given and others are not.
    RuntimeError: if a device has been touched already, or the others do not
      come.
  """
  given = [x is not None for x in (coordinator, num_processes, process_id)]
  if any(given) and not all(given):
    raise ValueError(
      'a start by hand needs coordinator, num_processes and process_id, got '
      f'{coordinator!r}, {num_processes!r} and {process_id!r}: give all three, '
      'or none to ask the launcher'
    )
  jax.config.update('jax_cpu_collectives_implementation', 'gloo')
  limits = {
    'heartbeat_timeout_seconds': HEARTBEAT,
    'shutdown_timeout_seconds': SHUTDOWN,
  }
  if all(given):
    jax.distributed.initialize(
      coordinator,
      num_processes,
      process_id,
      cluster_detection_method='deactivate',
      **limits,
    )
  elif launcher(os.environ) == 'slurm':
    jax.distributed.initialize(cluster_detection_method='slurm', **limits)
  elif launcher(os.environ) == 'tpu':
    jax.distributed.initialize(**limits)


@contextlib.contextmanager
def together():
  """Ends this process with one sentence when another of its job has died.

  At once: a connection to it breaks (`partners`), or the runtime says so in the
  words of its collectives (SIGNS). The exit code is LOST; the orderly end would
  wait for the one that is gone. Other errors go on as they are. All processes
  of a job enter and leave it.
  """
  if jax.process_count() == 1:
    yield
    return
  connections = partners.connect()
  try:
    yield
  except (jax.errors.JaxRuntimeError, ValueError) as error:
    if any(sign in str(error) for sign in SIGNS):
      partners.lose(reason(error))
    raise
  partners.part(connections)
