"""Several processes as one program: start-up by flags or by the launcher.

JAX is imported where several are asked for: scripts that do without it have the
flags too.
"""

import contextlib
import os
import re

from absl import flags

from rlhf_jax.digests import reason
from rlhf_jax.train import hosts, progress
from rlhf_jax.train.about import RunError

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
AUTO = 'auto'
FLAGS = {
  'distributed': 'Several processes as one: auto (SLURM or a TPU pod says who '
  'they are), or HOST:PORT of process 0.',
  'num_processes': 'How many processes, with HOST:PORT.',
  'process_id': 'Which of them this is, from 0, with HOST:PORT.',
}


def define_flags():
  """Defines --distributed, --num_processes and --process_id.

  Returns:
    A function without arguments that calls `start` with their values, for
    after the command line is read.
  """
  define = (flags.DEFINE_string, flags.DEFINE_integer, flags.DEFINE_integer)
  values = [
    make(name, None, means)
    for make, (name, means) in zip(define, FLAGS.items(), strict=True)
  ]
  return lambda: start(*(value.value for value in values))


def require_flags(address=None, num_processes=None, process_id=None):
  """Refuses flags that do not go together, in one line.

  Args:
    address: --distributed: None, 'auto' or 'HOST:PORT'.
    num_processes: or None.
    process_id: or None.

  Raises:
    ValueError: saying what was wanted.
  """
  counted = num_processes is not None or process_id is not None
  if not address or address == AUTO:
    if counted:
      raise ValueError(
        f'--num_processes={num_processes} and --process_id={process_id} go '
        f'with --distributed=HOST:PORT, got {address!r}: leave them out, or '
        'name the address of process 0'
      )
    return
  if not re.fullmatch(r'.+:\d+', address):
    raise ValueError(
      f'--distributed={address}: wanted auto, or HOST:PORT of process 0'
    )
  if num_processes is None or process_id is None:
    raise ValueError(
      f'--distributed={address} wants --num_processes and --process_id, got '
      f'{num_processes} and {process_id}: give both, or --distributed=auto '
      'where SLURM or a TPU pod knows them'
    )
  if num_processes < 1:
    raise ValueError(f'--num_processes={num_processes}: wanted 1 or more')
  if not 0 <= process_id < num_processes:
    raise ValueError(
      f'--process_id={process_id}: wanted 0 to {num_processes - 1}, of '
      f'--num_processes={num_processes}'
    )


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
    named = environ.get('TPU_PROCESS_ADDRESSES') or environ.get(
      'TPU_WORKER_HOSTNAMES', ''
    )
    if ',' in named or not (named or 'TPU_SKIP_MDS_QUERY' in environ):
      return 'tpu'
  return None


def start(address=None, num_processes=None, process_id=None):
  """Joins the processes of one job; must come before any device is touched.

  Without an address nothing happens. With 'auto' SLURM (`srun`) or a TPU pod
  says who they are; a step of one task, or one TPU host, goes on by itself. CPU
  processes talk through gloo.

  Args:
    address: 'auto', or 'HOST:PORT' of process 0, which the others must reach.
    num_processes: how many, with HOST:PORT.
    process_id: which one this is, from 0, likewise.

  Raises:
    ValueError: if they do not go together, or there is no such launcher.
    RunError: if a device has been touched already, or the others do not come.
  """
  require_flags(address, num_processes, process_id)
  if not address:
    return
  import jax

  found = {'cluster_detection_method': 'deactivate'}
  if address == AUTO:
    kind = launcher(os.environ)
    if not kind and not {'SLURM_STEP_NUM_TASKS', 'TPU_ML_PLATFORM'} & {
      *os.environ
    }:
      raise ValueError(
        '--distributed=auto found no SLURM step and no TPU: start it with '
        'srun or on a TPU, or give HOST:PORT, --num_processes and --process_id'
      )
    if not kind:
      return
    found = {'cluster_detection_method': 'slurm'} if kind == 'slurm' else {}
    asked = ()
  else:
    asked = address, num_processes, process_id
  jax.config.update('jax_cpu_collectives_implementation', 'gloo')
  try:
    jax.distributed.initialize(
      *asked,
      **found,
      heartbeat_timeout_seconds=HEARTBEAT,
      shutdown_timeout_seconds=SHUTDOWN,
    )
  except RuntimeError as error:
    raise RunError(
      f'the processes of --distributed={address} did not come together '
      f'({reason(error)[:200]}): start all of them, and touch no device before'
    ) from None
  jax.devices()  # where all meet: what is done `once` must not wait for it


def is_loss(error):
  """Whether an error, or one behind it, says that another process has died.

  So say collectives, in words of their own (SIGNS), wherever they were called
  from: a library may have put an error of its own over theirs.
  """
  if hosts.count() == 1:
    return False
  import jax

  while error is not None:
    known = isinstance(error, jax.errors.JaxRuntimeError | ValueError)
    if known and any(sign in str(error) for sign in SIGNS):
      return True
    error = error.__cause__ or error.__context__
  return False


@contextlib.contextmanager
def together():
  """Runs a job's program: process 0 speaks, and none outlives another.

  What the others print is left out. When a process dies the others end with one
  sentence, at once: a connection to it breaks (`partners`), or the runtime says
  so in the words of its collectives (SIGNS). The exit code is LOST; the orderly
  end would wait for the one that is gone. Other errors go on as they are. All
  processes of a job enter and leave it.
  """
  if hosts.count() == 1:
    yield
    return
  from rlhf_jax.train import partners

  connections = partners.connect()
  try:
    with silent() if hosts.index() else contextlib.nullcontext():
      yield
  except BaseException as error:
    if is_loss(error):
      partners.lose(reason(error))
    partners.leave(connections)
    raise
  partners.part(connections)


@contextlib.contextmanager
def silent():
  """Leaves out what is printed, and progress; errors are said after it."""
  with (
    open(os.devnull, 'w') as nowhere,
    contextlib.redirect_stdout(nowhere),
    contextlib.redirect_stderr(nowhere),
    progress.listen(lambda *_: None),
  ):
    yield
