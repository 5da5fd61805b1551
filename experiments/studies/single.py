"""One job of a study in this process: what a person, a pool or SLURM starts."""

import contextlib
import difflib
import functools
import importlib
import sys
import time
from pathlib import Path

from experiments.shared import knobs
from experiments.studies import beats, retries, several
from experiments.studies.job import cache_of, is_done, read_list, write_json
from rlhf_jax import digests
from rlhf_jax.train import hosts
from rlhf_jax.train.progress import line, listen

SPENT = 'spent.json'


def find(root, index=None, name=None):
  """(the Job of a number or a name, {name: number} of all).

  Raises:
    ValueError: if there is no such job, or not one of the two is given.
    RunError: if the study has no list of jobs.
  """
  if (index is None) == (not name):
    raise ValueError('one of --index and --name is required: see --help')
  jobs = read_list(root)
  numbers = {job.name: number for number, job in enumerate(jobs)}
  if index is not None and not 0 <= index < len(jobs):
    raise ValueError(f'--index={index}: wanted 0 to {len(jobs) - 1}')
  if index is None and name not in numbers:
    close = difflib.get_close_matches(name, numbers, cutoff=0)
    raise ValueError(f'no job is called {name!r}: did you mean {close[0]}?')
  return jobs[numbers[name] if index is None else index], numbers


def run(root, index=None, name=None, log=''):
  """Runs one job of a study, if what it needs is done.

  A finished job does nothing, an interrupted one goes on. Seconds and compiled
  programs are added to ROOT/NAME/spent.json.

  Args:
    root: of the study; absolute.
    index: number of the job, or
    name: its name.
    log: where its output goes, as others are told; '' to the terminal.

  Raises:
    ValueError: if there is no such job, or what it needs is not done.
  """
  job, numbers = find(root, index, name)
  if hosts.count() > 1 and not several.can_share(job.module):
    raise ValueError(
      f'{job.name} is of a stage that runs as one process: leave --distributed '
      'out'
    )
  first = hosts.index() == 0
  beat = beats.Beat(root, job.name, log, kind_of=said_of)
  with beat if first else contextlib.nullcontext():
    for need in job.needs:
      if not is_done(need, root):
        raise ValueError(
          f'{job.name} needs {need.name}, which is not done: run '
          f'--index={numbers[need.name]} first'
        )
    started, again = time.time(), is_done(job, root)
    stage, workdir = importlib.import_module(job.module), Path(root) / job.name
    knobs.check_job(job)
    programs = _compiled(root)
    heard = listen(functools.partial(_tell, beat)) if log and first else None
    try:
      with heard or contextlib.nullcontext():
        stage.run(job.config, workdir)
    finally:
      if workdir.is_dir() and not again and first:
        _add(workdir, time.time() - started, programs())
  return job


def _tell(beat, *told):
  """Progress goes to the log, and to whoever looks at the beats."""
  beat.progress(*told)
  print(line(*told), file=sys.stderr, flush=True)


def file_for(root, name, folder='jobs'):
  """Writes the JSON file that names a job, for `run_file`; its path."""
  file = Path(root) / folder / f'{name}.json'
  file.parent.mkdir(parents=True, exist_ok=True)
  write_json(file, {'study': str(root), 'job': name})
  return file


def log_here(root, name):
  """The log of this process: of process 0 the job's, NAME.1.log and so on."""
  index = several.index()
  return beats.log_of(root, f'{name}.{index}' if index else name)


def run_file(path):
  """Runs the job that a JSON file names, {'study', 'job'}: what SLURM starts.

  What it prints goes to the job's log, how it ended to its own files. Nothing
  is returned, and no exception leaves it. Of a job of several processes each
  calls it.

  Raises:
    SystemExit: with code 2, if it has failed.
  """
  asked = digests.read_json(path, dict)
  root, name = Path(asked['study']), asked['job']
  log = log_here(root, name)
  try:
    with beats.output_to(log):
      job, _ = find(root, name=name)
      with several.joined(job.resources):
        run(root, name=name, log=log)
  except Exception:  # noqa: BLE001 (whatever it is, its log and beat say it)
    raise SystemExit(hosts.ended(2)) from None


def said_of(error):
  """{'kind', 'why'}: what is said of the exception that a job ended with."""
  if isinstance(error, several.LostError):
    return error.said
  from experiments.shared import errors

  kind = retries.kind_of_error(error)
  return {'kind': kind, 'why': errors.said_of(error)}


def _compiled(root):
  """Gives JAX its cache, if the stage has imported it; a ledger."""
  if 'jax' not in sys.modules:
    return list
  import jax

  from rlhf_jax.train import ledger

  jax.config.update('jax_compilation_cache_dir', cache_of(root))
  jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.5)
  ledger.start()
  return ledger.rows


def _add(workdir, seconds, programs):
  before = spent(workdir) or {'seconds': 0.0, 'programs': []}
  programs = [*before['programs'], *programs]
  seconds = round(before['seconds'] + seconds, 3)
  write_json(workdir / SPENT, {'seconds': seconds, 'programs': programs})


def spent(workdir):
  """{'seconds', 'programs'} of a job that ran by itself, else None.

  Sums over its sessions, without those that were killed.
  """
  file = Path(workdir) / SPENT
  if not file.exists():
    return None
  return {'seconds': 0.0, 'programs': []} | digests.read_json(file, dict)


def child(path):
  """`run_file` in a process of `children.run`, which ends with it."""
  beats.die_with_parent()
  run_file(path)
