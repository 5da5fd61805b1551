r"""A sweep: one stage under every combination of some settings.

    python -m experiments.sweep --stage=pm --config=configs/pm.py:smoke \
        --grid seed=0,1,2 --grid lr_multiple=0.1,0.3 --workdir=DIR --workers=2

Each run has a directory named by its settings. What is done is skipped, what
was interrupted resumes, and a table of all runs ends the sweep, also in
DIR/sweep.csv. A run that fails stops no other: the table says why, and the exit
code is 1. --config.KEY sets a key for every run; --dry_run only tells the
table. --on=slurm sends the runs to a cluster, --on=list prints the command of
each.
"""

import ast
import copy
import difflib
import itertools
import sys
from pathlib import Path

import pandas as pd
from absl import app, flags
from ml_collections import config_flags

from experiments.shared import command, knobs
from experiments.studies import launch
from experiments.studies.job import (
  Job,
  has_stopped,
  is_done,
  mark,
  why_stopped,
)
from rlhf_jax import digests

STAGES = {
  'lm': 'experiments.train_lm',
  'pm': 'experiments.train_pm',
  'ppo': 'experiments.train_ppo',
  'dpo': 'experiments.train_dpo',
}


def parse_grid(text, known):
  """('lr_multiple', [0.1, 0.3]) from 'lr_multiple=0.1,0.3'.

  Raises:
    ValueError: if it is no KEY=VALUE,VALUE or the key is not in `known`.
  """
  key, _, values = text.partition('=')
  if not all(values.split(',')):
    raise ValueError(f'--grid {text!r}: wanted KEY=VALUE,VALUE,...')
  if key not in known:
    close = difflib.get_close_matches(key, known)
    hint = f'did you mean {close[0]}?' if close else 'see the config'
    raise ValueError(f'--grid {text!r}: the config has no key {key!r}, {hint}')
  return key, [parse_value(value) for value in values.split(',')]


def parse_value(text):
  """A number or a boolean where the text is one, else the text."""
  try:
    return ast.literal_eval(text)
  except (ValueError, SyntaxError):
    return text


def flat_keys(config, prefix=''):
  """Dotted names of all leaves of a nested dict."""
  keys = []
  for key, value in config.items():
    nested = isinstance(value, dict)
    keys += flat_keys(value, f'{prefix}{key}.') if nested else [prefix + key]
  return keys


def combinations(grids):
  """[{key: value}] of the cartesian product, the last key fastest.

  Raises:
    ValueError: if a key stands in two grids.
  """
  keys = [key for key, _ in grids]
  twice = {key for key in keys if keys.count(key) > 1}
  if twice:
    raise ValueError(f'--grid {min(twice)!r} is given twice')
  return [
    dict(zip(keys, values, strict=True))
    for values in itertools.product(*(values for _, values in grids))
  ]


def make_job(name, config, settings):
  """The Job of one combination; dependent paths follow its settings.

  Raises:
    ValueError: if a value has another type than the config's.
  """
  label = ','.join(f'{key}={value}' for key, value in settings.items())
  changed = copy.deepcopy(config)
  for key, value in settings.items():
    try:
      changed.update_from_flattened_dict({key: value})
    except TypeError as error:
      raise ValueError(f'--grid {key}={value}: {error}') from None
  plain = changed.to_dict()
  return Job(
    name=(label or 'base').replace('/', '_'),
    module=STAGES[name],
    config=plain,
    program=f'{name}-{plain["size"]}',
  )


def frame_of(jobs, combos, root, failed=None):
  """A frame of settings, state, and its summary if done or why it failed."""
  rows, failed = [], failed or {}
  for job, settings in zip(jobs, combos, strict=True):
    done = digests.read_done(root / job.name)
    done.pop('digests', None)
    state = 'done' if done else 'failed' if job.name in failed else 'to do'
    why = {'why': failed[job.name]} if state == 'failed' else {}
    rows.append(settings | {'state': state} | done | why)
  return pd.DataFrame(rows)


def table(jobs, combos, root, failed=None):
  """The frame as it is printed; nothing where a run has no such number."""
  frame = frame_of(jobs, combos, root, failed)
  is_part = lambda x: isinstance(x, float) and not x.is_integer()
  show = lambda x: f'{x:.4g}' if is_part(x) else str(x).removesuffix('.0')
  shown = frame.astype(object).where(frame.notna(), '')
  lines = shown.map(show).to_string(index=False).splitlines()
  return '\n'.join(text.rstrip() for text in lines)


def run_all(jobs, root, options, preset=''):
  """Runs what can run; {name: why} of the runs that failed."""
  failed = {}
  for job in jobs:
    try:
      knobs.check_job(job)
      if not is_done(job, root):
        knobs.require_inputs(job.config, preset)
    except ValueError as error:
      failed[job.name] = str(error)
      launch.report(f'  failed: {error}')
  good = [job for job in jobs if job.name not in failed]
  try:
    if good:
      launch.run(good, root, options)
  except launch.FailedError as error:
    if not error.failed:
      raise
    failed |= error.failed
  stopped = [job for job in good if has_stopped(job, root)]
  failed |= {job.name: why_stopped(job, root) for job in stopped}
  return {n: why.removeprefix(f'{n}: ') for n, why in failed.items()}


def main():
  """Reads the flags, runs, and prints the table."""
  file, preset = command.asked_config(sys.argv, '')
  command.stand_where(file)
  config = config_flags.DEFINE_config_file(
    'config', None, 'Path of the config file of the stage, :PRESET appended.'
  )
  stage_name = flags.DEFINE_enum('stage', None, sorted(STAGES), 'Which stage.')
  grid = flags.DEFINE_multi_string(
    'grid', [], 'KEY=VALUE,VALUE,...; several grids are multiplied.'
  )
  workdir = flags.DEFINE_string('workdir', None, 'Directory of the sweep.')
  workers = flags.DEFINE_integer('workers', 2, 'Processes.', lower_bound=1)
  dry_run = flags.DEFINE_bool('dry_run', False, 'Only tell the table.')
  options = launch.define_flags('pool')
  flags.mark_flags_as_required(['stage', 'config', 'workdir'])

  def guarded(argv):
    failed = {}
    try:
      if len(argv) > 1:
        raise ValueError(f'unknown argument {argv[1]!r}: see --help')
      known = flat_keys(config.value.to_dict())
      combos = combinations([parse_grid(text, known) for text in grid.value])
      jobs = [make_job(stage_name.value, config.value, c) for c in combos]
      root = Path(workdir.value).resolve()
      asked = options(workers=min(workers.value, len(jobs)))
      if not dry_run.value:
        mark(root, 'sweep', {'stage': stage_name.value})
        failed = run_all(jobs, root, asked, preset)
      known = jobs, combos, root, failed
      if dry_run.value or asked.on != 'list':
        print(table(*known))
      if not dry_run.value:
        frame_of(*known).to_csv(root / 'sweep.csv', index=False)
      if failed:
        print(
          f'{len(failed)} of {len(jobs)} runs failed: the same command tries '
          'them again',
          file=sys.stderr,
        )
        return 1
    except command.EXPECTED as error:
      print(f'error: {str(error).splitlines()[0]}', file=sys.stderr)
      return 2
    return 0

  app.run(guarded, flags_parser=command.parse_flags)


if __name__ == '__main__':
  main()
