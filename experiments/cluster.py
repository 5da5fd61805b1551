r"""A sweep on a cluster: its jobs, what they need, and what runs them.

    python -m experiments.cluster --config=configs/sweeps/hh_pythia.py \
        --config.models=FOLDER --config.data.path=FOLDER --workdir=DIR --list
    ... --on=slurm
    ... --submit
    ... --index=3
    python -m experiments.cluster --table

--list (which is --on=list, the default) prints a line a job: number, state,
GPUs, estimated bytes of each and hours, needs, command. --on=slurm submits what
is not done and watches it, --on=pool runs it here; --submit hands it to SLURM
and leaves it there. --index runs one. What is done is skipped, what was
interrupted resumes from its checkpoint. --table writes the table of
docs/clusters.md, which has more.
"""

import sys
from pathlib import Path

from absl import app, flags, logging
from ml_collections import config_flags

from experiments.capacity import gpu
from experiments.shared import command, knobs
from experiments.studies import hh_pythia, launch, single
from experiments.studies.job import mark, write_list
from rlhf_jax.train.locks import take_lock


def jobs_of(config, root):
  """Every job, with what it should need of each GPU, and hours."""

  def estimate(kind, size, gpus):
    need = gpu.gpu_bytes(config, size, gpus)[kind]
    return need, gpu.hours_of(config, size, gpus)[kind]

  return hh_pythia.all_jobs(config, root, estimate)


def options_of(config, options):
  """The Options that the flags ask for, with the config's limits of time."""
  machine = config['machine']
  bounds = machine['min_hours'], machine['max_hours']
  return options(limits=(machine['slack'], *bounds))


def require_folders(config, jobs):
  """Raises ValueError if a folder is not set, or holds no model."""
  for key, value in (
    ('models', config['models']),
    ('data.path', config['data']['path']),
  ):
    if not value:
      raise ValueError(f'--config.{key} is required: a folder; see --help')
  for job in jobs:
    folder = job.config.get('base') or job.config['tokenizer_dir']
    if not (Path(folder) / 'config.json').exists():
      raise ValueError(
        f'{folder} is no Hugging Face folder (no config.json): put the model '
        'there, or set --config.models to the folder that holds it'
      )


def run(config, workdir, asked, options):
  """Does what the flags ask for.

  Args:
    config: of the sweep, a plain dict.
    workdir: directory of the sweep, or None.
    asked: {'index': number or None, 'submit': bool, 'table': bool}.
    options: launch.Options.
  """
  if asked['table']:
    sizes = config['sizes']
    chosen = {size: hh_pythia.gpus_of(config, size) for size in sizes}
    gpu.write(config, chosen)
    return
  if not workdir:
    raise ValueError('--workdir is required: see --help')
  root = Path(workdir).resolve()
  jobs = jobs_of(config, root)
  for job in jobs:
    knobs.check_job(job)
  mark(root, 'cluster', {'preset': config['preset']})
  if asked['index'] is not None:
    write_list(root, jobs)
    job, _ = single.find(root, asked['index'])
    require_folders(config, [job])
    single.run(root, asked['index'])
    print(f'{job.name} is done')
    return
  if asked['submit'] or options.on != 'list':
    require_folders(config, jobs)
  if options.on == 'list' and not asked['submit']:
    launch.run(jobs, root, options)
    return
  with take_lock(root, True):
    start = launch.submit if asked['submit'] else launch.run
    start(jobs, root, options)


def main():
  """Parses flags; a known error ends in one line and exit code 2."""
  file = 'configs/sweeps/hh_pythia.py'
  command.stand_where(command.asked_config(sys.argv, file)[0])
  config = config_flags.DEFINE_config_file(
    'config', file, 'Path of a sweep, :PRESET appended.'
  )
  workdir = flags.DEFINE_string('workdir', None, 'Directory of the sweep.')
  options = launch.define_flags('list')
  lists = flags.DEFINE_bool('list', False, 'Print the jobs: --on=list.')
  asked = {
    'index': flags.DEFINE_integer('index', None, 'Run the job of this number.'),
    'submit': flags.DEFINE_bool('submit', False, 'Hand the jobs to SLURM.'),
    'table': flags.DEFINE_bool('table', False, 'Write docs/clusters.md.'),
  }

  def guarded(argv):
    logging.set_verbosity(logging.WARNING)
    try:
      if len(argv) > 1:
        raise ValueError(f'unknown argument {argv[1]!r}: see --help')
      plain = config.value.to_dict()
      chosen = options_of(plain, options)
      if lists.value:
        chosen = chosen._replace(on='list')
      wanted = {name: flag.value for name, flag in asked.items()}
      run(plain, workdir.value, wanted, chosen)
    except command.EXPECTED as error:
      print(f'error: {command.one_line(error)}', file=sys.stderr)
      return 2
    return 0

  settings = lambda: knobs.listing(config.value.to_dict())
  app.run(guarded, flags_parser=lambda x: command.parse_flags(x, settings))


if __name__ == '__main__':
  main()
