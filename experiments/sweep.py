r"""A sweep: one stage at every point of a space of settings.

    python -m experiments.sweep --stage=pm --config=configs/pm.py:smoke \
        --grid seed=0,1,2 --grid lr_multiple=0.1,0.3 --workdir=DIR --workers=2
    python -m experiments.sweep --config=configs/sweeps/paper.py:lambda_kl \
        --workdir=DIR

--grid are multiplied. --space='KIND KEY=VALUE,...' is any other space: grid,
zip, random, list of a file, products of them (x); several are a chain
(experiments/studies/spaces.py). A sweep's config has its own stage and space.

A run has a directory named by a hash of its settings. What is done is skipped,
what was interrupted resumes, and a table of all runs ends the sweep, also in
DIR/sweep.csv, where the column `run` names the directory. A run whose process
was ended from outside is tried again, --retries times. One that fails stops no
other: a line says why and where its log is, and the exit code is 1.
--config.KEY sets a key for every run (--config.run.KEY in a sweep's config);
--dry_run only tells the table. --group=always runs those that share a program
as members of one, each in its own directory (auto: on GPUs and TPUs).
--on=slurm sends the runs to a cluster, --on=list prints the command of each.
"""

import copy
import difflib
import sys
from pathlib import Path

import pandas as pd
from absl import app, flags
from ml_collections import config_flags

from experiments.shared import command, knobs
from experiments.studies import addresses, group, launch, spaces, stages
from experiments.studies.job import (
  Job,
  has_stopped,
  is_done,
  mark,
  why_stopped,
)
from rlhf_jax import digests
from rlhf_jax.train.locks import take_lock

# Of a sweep's config, beside what runs it: `run` is the config of its stage.
OWN = ('stage', 'space', 'run', 'preset')


def points_of(texts, grids, known):
  """The points of --space and --grid, each setting held against the config.

  Args:
    texts: as of `spaces.read`.
    grids: ['KEY=VALUE,VALUE'].
    known: names of all settings.

  Raises:
    ValueError: in one line, for a text or a setting that is wrong.
  """
  axes = spaces.axes_of(grids, '--grid') if grids else {}
  points = spaces.product(spaces.read(texts), spaces.grid(axes))
  for key in dict.fromkeys(key for point in points for key in point):
    if key not in known:
      close = difflib.get_close_matches(key, known)
      hint = f'did you mean {close[0]}?' if close else 'see the config'
      raise ValueError(f'the config has no key {key!r}, {hint}')
  return points


def asked(config, stage='', texts=(), grids=()):
  """(the stage's script, the points), by flags and what a sweep's config says.

  Raises:
    ValueError: in one line, for what is missing or wrong.
  """
  own = config if is_sweep(config) else {'stage': '', 'space': ()}
  name = stage or own['stage']
  if not name:
    raise ValueError('--stage is required, or the config of a sweep')
  script = stages.stage_of(name)
  return script, points_of(texts or own['space'], grids, known_in(config))


def is_sweep(config):
  """Whether a config is one of a sweep, which has its own space."""
  return {'stage', 'space', 'run'} <= set(config)


def known_in(config):
  """Names of the settings that a point may have, of a stage or of a sweep."""
  plain = config.to_dict()
  if not is_sweep(config):
    return list(knobs.leaves(plain))
  outer = {key: x for key, x in plain.items() if key not in OWN}
  return [*knobs.leaves(plain['run']), *knobs.leaves(outer)]


def config_at(config, point):
  """The stage's settings at a point, plain; paths follow what they name.

  Raises:
    ValueError: if a value has another type than the config's.
  """
  changed = copy.deepcopy(config)
  inner = knobs.leaves(config.run.to_dict()) if is_sweep(config) else ()
  for key, value in point.items():
    place = changed.run if key in inner else changed
    try:
      place.update_from_flattened_dict({key: value})
    except (TypeError, ValueError) as error:
      raise ValueError(f'{key}={value!r}: {error}') from None
  return (changed.run if is_sweep(config) else changed).to_dict()


def jobs_of(stage, config, points, root):
  """({name: Job}, {name: point}): points that give the same run are one.

  Args:
    stage: name of the script.
    config: ConfigDict of the stage, or of a sweep.
    points: [{setting: value}].
    root: of the sweep; absolute.
  """
  jobs, settings = {}, {}
  for point in points:
    plain = config_at(config, point)
    name = addresses.address(stage, plain, root)
    if name in jobs:
      continue
    settings[name] = point
    jobs[name] = Job(
      name=name,
      module=stages.module_of(stage),
      config=plain,
      program=addresses.program(stage, plain, stages.TRACED),
      label=', '.join(f'{key}={value}' for key, value in point.items()),
    )
  return jobs, settings


def frame_of(jobs, settings, root, failed=None):
  """A row a run: its directory, settings, state, and its summary or cause."""
  rows, failed = [], failed or {}
  for name in jobs:
    done = digests.read_done(root / name)
    done.pop('digests', None)
    state = 'done' if done else 'failed' if name in failed else 'to do'
    why = {'why': failed[name]} if state == 'failed' else {}
    rows.append({'run': name} | settings[name] | {'state': state} | done | why)
  return pd.DataFrame(rows)


def table(frame):
  """The frame as it is printed; nothing where a run has no such number."""
  is_part = lambda x: isinstance(x, float) and not x.is_integer()
  show = lambda x: f'{x:.4g}' if is_part(x) else str(x).removesuffix('.0')
  shown = frame.astype(object).where(frame.notna(), '')
  lines = shown.map(show).to_string(index=False).splitlines()
  return '\n'.join(text.rstrip() for text in lines)


def run_all(jobs, root, options, preset='', members=0):
  """Runs what can run; {name: why} of the runs that failed.

  Args:
    jobs: {name: Job}.
    root: of the sweep; absolute.
    options: launch.Options.
    preset: of the config, for commands that make what is missing.
    members: most runs of one program; 0: no groups.
  """
  failed = {}
  for job in jobs.values():
    try:
      knobs.check_job(job)
      if not is_done(job, root):
        knobs.require_inputs(job.config, preset)
    except ValueError as error:
      failed[job.name] = str(error)
      launch.report(f'  failed: {job.shown}: {error}')
  good = [job for job in jobs.values() if job.name not in failed]
  asked, groups = group.grouped(good, root, members) if members else (good, {})
  try:
    if asked:
      launch.run(asked, root, options)
  except launch.FailedError as error:
    if not error.failed:
      raise
    failed |= group.of_members(error.failed, groups, root)
  stopped = [job for job in good if has_stopped(job, root)]
  failed |= {job.name: why_stopped(job, root) for job in stopped}
  start = lambda name: (f'{jobs[name].shown}: ', f'{name}: ')
  for name, why in failed.items():
    for words in start(name):
      why = why.removeprefix(words)
    failed[name] = why
  return failed


def run(stage, config, points, root, options, preset='', members=0):
  """Runs the points, prints their table, keeps it; how many failed.

  Raises:
    RunError: if another process is at work in `root`, or it holds other runs.
  """
  root.mkdir(parents=True, exist_ok=True)
  with take_lock(root, True):
    mark(root, 'sweep', {'stage': stage})
    jobs, settings = jobs_of(stage, config, points, root)
    options = options._replace(workers=min(options.workers, len(jobs)))
    failed = run_all(jobs, root, options, preset, members)
    frame = frame_of(jobs, settings, root, failed)
    frame.to_csv(root / 'sweep.csv', index=False)
  if options.on != 'list':
    print(table(frame))
  if failed:
    print(
      f'{len(failed)} of {len(jobs)} runs failed: the same command tries them '
      'again',
      file=sys.stderr,
    )
  return len(failed)


def main():
  """Reads the flags, runs, and prints the table."""
  file, preset = command.asked_config(sys.argv, '')
  command.stand_where(file)
  config = config_flags.DEFINE_config_file(
    'config',
    None,
    'Path of the config of a stage or a sweep, :PRESET appended.',
  )
  names = ', '.join([*stages.SHORT, *stages.STAGES])
  stage = flags.DEFINE_string('stage', '', f'Which stage: {names}.')
  grid = flags.DEFINE_multi_string(
    'grid', [], 'KEY=VALUE,VALUE,...; several grids are multiplied.'
  )
  space = flags.DEFINE_multi_string(
    'space', [], "'KIND KEY=VALUE,... [x KIND ...]'; several are a chain."
  )
  workdir = flags.DEFINE_string('workdir', None, 'Directory of the sweep.')
  workers = flags.DEFINE_integer('workers', 2, 'Processes.', lower_bound=1)
  when = flags.DEFINE_enum(
    'group',
    'auto',
    group.WHEN,
    'Whether runs that share a program take their steps in one; auto: where a '
    'GPU or a TPU is.',
  )
  members = flags.DEFINE_integer(
    'members', 8, 'Most runs of such a group.', lower_bound=2
  )
  dry_run = flags.DEFINE_bool('dry_run', False, 'Only tell the table.')
  options = launch.define_flags('pool')
  flags.mark_flags_as_required(['config', 'workdir'])

  def guarded(argv):
    try:
      if len(argv) > 1:
        raise ValueError(f'unknown argument {argv[1]!r}: see --help')
      found, root = config.value, Path(workdir.value).resolve()
      name, points = asked(found, stage.value, space.value, grid.value)
      if dry_run.value:
        print(table(frame_of(*jobs_of(name, found, points, root), root)))
        return 0
      study = found.preset if is_sweep(found) else preset
      how = options(workers=workers.value)
      together = group.wanted(when.value, how.resources.gpus)
      most = members.value * together
      return int(run(name, found, points, root, how, study, most) > 0)
    except KeyboardInterrupt:
      print('interrupted: the same command goes on', file=sys.stderr)
      return 130
    except command.EXPECTED as error:
      print(f'error: {command.one_line(error)}', file=sys.stderr)
      return 2

  app.run(guarded, flags_parser=command.parse_flags)


if __name__ == '__main__':
  main()
