r"""A sweep on a cluster: its jobs, what they need, and one of them by number.

    python -m experiments.cluster --config=configs/sweeps/hh_pythia.py \
        --config.models=FOLDER --config.data.path=FOLDER --workdir=DIR --list
    ... --index=$SLURM_ARRAY_TASK_ID
    ... --submit | bash
    python -m experiments.cluster --table

--list prints a line a job: number, state, GPUs, estimated bytes of each and
hours, command. --index runs one; what is done is skipped, what was interrupted
resumes from its checkpoint. --submit prints the sbatch commands of
scripts/slurm/hh_pythia.sbatch, an array a stage and size, each after what it
needs. --table writes the table of docs/clusters.md. docs/clusters.md has more.
"""

import importlib
import math
import os
import re
import shlex
import sys
from pathlib import Path

import jax
from absl import app, flags, logging
from ml_collections import config_flags

from experiments.capacity import gpu_estimates as estimates
from experiments.capacity import gpu_table
from experiments.shared import command
from experiments.studies.hh_pythia import all_jobs, gpus_of

SCRIPT = 'scripts/slurm/hh_pythia.sbatch'
# What a command line says beyond the variables of that script.
SETTINGS = re.compile(r'--config\.(?!models=|data\.path=)').match
DATA_HOURS = 0.5  # of the data job: reading and tokenising, no GPU


def state_of(job, root):
  """'done', 'begun' or 'to do'."""
  path = Path(root) / job.name
  if (path / 'done.json').exists():
    return 'done'
  return 'begun' if (path / 'config.json').exists() else 'to do'


def need_of(job, config):
  """(GPUs, bytes of each, hours) of a job; the data job has a GPU unused."""
  if 'size' not in job.config:
    return 1, 0, DATA_HOURS
  size, kind = job.config['size'], job.name.split('/')[0]
  gpus = gpus_of(config, size)
  need = estimates.gpu_bytes(config, size, gpus)[kind]
  return gpus, need, estimates.hours(config, size, gpus)[kind]


def lines_of(jobs, config, root, command):
  """What --list prints."""
  for index, job in enumerate(jobs):
    gpus, need, hours = need_of(job, config)
    memory = f'{need / 1e9:5.1f} GB' if need else '       -'
    yield (
      f'{index:3d}  {state_of(job, root):5}  {job.name:24}  {gpus} GPU'
      f'{"s" if gpus > 1 else " "}  {memory} each  {hours:5.2f} h  '
      f'{command} --index={index}'
    )


def groups_of(jobs):
  """{stage and size: [index]}, in order."""
  groups = {}
  for index, job in enumerate(jobs):
    groups.setdefault(job.program or job.name, []).append(index)
  return groups


def submit_lines(jobs, config, root, argv):
  """A shell script: an array of jobs for each stage and size.

  Raises:
    ValueError: if the folders are not set.
  """
  require_folders(config)
  given = {
    'MODELS': Path(config['models']).resolve(),
    'DATA': Path(config['data']['path']).resolve(),
    'RUNS': Path(root).resolve(),
    'PRESET': config['preset'],
    'FLAGS': ' '.join(x for x in argv if SETTINGS(x)),
  }
  yield 'set -e'
  for key, value in given.items():
    yield f'export RLHF_JAX_{key}={shlex.quote(str(value))}'
  groups, ids = groups_of(jobs), {}
  for name, indices in groups.items():
    job = jobs[indices[0]]
    gpus, _, hours = need_of(job, config)
    after = [
      f'${variable}'
      for other, variable in ids.items()
      if {jobs[i].name for i in groups[other]} & set(job.needs)
    ]
    words = [
      f'--array={indices[0]}-{indices[-1]}',
      f'--gpus-per-node={gpus}',
      f'--time={minutes(config, hours)}',
      f'--job-name={name}',
      *([f'--dependency=afterok:{":".join(after)}'] if after else []),
    ]
    ids[name] = 'job_' + re.sub(r'\W', '_', name)
    yield f'{ids[name]}=$(sbatch --parsable {" ".join(words)} {SCRIPT})'


def minutes(config, hours):
  """Time limit of a job: its estimate and some slack, within bounds."""
  machine = config['machine']
  limit = max(machine['slack'] * hours, machine['min_hours'])
  return math.ceil(60 * min(limit, machine['max_hours']))


def run_index(jobs, index, config, root):
  """Runs one job.

  Raises:
    ValueError: if there is no such job, what it needs is not done, or the
      weights are not there.
  """
  if not 0 <= index < len(jobs):
    raise ValueError(
      f'--index={index}: wanted 0 to {len(jobs) - 1}; see --list'
    )
  require_folders(config)
  job, numbers = jobs[index], {job.name: i for i, job in enumerate(jobs)}
  for name in job.needs:
    if state_of(jobs[numbers[name]], root) != 'done':
      raise ValueError(
        f'{job.name} needs {name}, which is not done: run '
        f'--index={numbers[name]} first'
      )
  folder = job.config.get('base') or job.config['tokenizer_dir']
  if not (Path(folder) / 'config.json').exists():
    raise ValueError(
      f'{folder} is no Hugging Face folder (no config.json): put the model '
      'there, or set --config.models to the folder that holds it'
    )
  importlib.import_module(job.module).run(job.config, Path(root) / job.name)
  print(f'{job.name} is done')


def require_folders(config):
  """Raises ValueError if a folder of the config is not set."""
  for key, value in (
    ('models', config['models']),
    ('data.path', config['data']['path']),
  ):
    if not value:
      raise ValueError(f'--config.{key} is required: a folder; see --help')


def command_of(argv):
  """The command line without what it asks for."""
  asks = ('--list', '--index', '--submit')
  kept = [x for x in argv if not x.startswith(asks)]
  return shlex.join(['python', '-m', 'experiments.cluster', *kept])


def run(config, workdir, asked, argv):
  """Does what the flags ask for.

  Args:
    config: of the sweep, a plain dict.
    workdir: directory of the sweep, or None.
    asked: {'list', 'index', 'submit', 'table'}.
    argv: this command line, to be said again.
  """
  if asked['table']:
    gpu_table.write(config)
    return
  if not workdir:
    raise ValueError('--workdir is required: see --help')
  jobs = all_jobs(config, workdir)
  if asked['index'] is not None:
    run_index(jobs, asked['index'], config, workdir)
  elif asked['submit']:
    print('\n'.join(submit_lines(jobs, config, workdir, argv)))
  else:
    print('\n'.join(lines_of(jobs, config, workdir, command_of(argv))))


def main():
  """Parses flags; a known error ends in one line and exit code 2."""
  config = config_flags.DEFINE_config_file(
    'config',
    'configs/sweeps/hh_pythia.py',
    'Path of a sweep, :PRESET appended.',
  )
  workdir = flags.DEFINE_string('workdir', None, 'Directory of the sweep.')
  asked = {
    'list': flags.DEFINE_bool('list', False, 'Print the jobs (the default).'),
    'index': flags.DEFINE_integer('index', None, 'Run the job of this number.'),
    'submit': flags.DEFINE_bool('submit', False, 'Print sbatch commands.'),
    'table': flags.DEFINE_bool('table', False, 'Write docs/clusters.md.'),
  }

  def guarded(argv):
    logging.set_verbosity(logging.WARNING)
    cache = os.environ.get('RLHF_JAX_CACHE')
    if cache:
      jax.config.update('jax_compilation_cache_dir', cache)
      jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.5)
    try:
      if len(argv) > 1:
        raise ValueError(f'unknown argument {argv[1]!r}: see --help')
      wanted = {name: flag.value for name, flag in asked.items()}
      plain = config.value.to_dict()
      run(plain, workdir.value, wanted, sys.argv[1:])
    except command.EXPECTED as error:
      print(f'error: {command.one_line(error)}', file=sys.stderr)
      return 2
    return 0

  app.run(guarded, flags_parser=command.parse_flags)


if __name__ == '__main__':
  main()
