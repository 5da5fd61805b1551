"""Prints what a preset of the study should take, by kind of job.

python -m scripts.estimate_study PRESET [KEY=VALUE]... [--after=PRESET]
python -m scripts.estimate_study full --chapters

KEY=VALUE changes a setting of a section, e.g. rl.eval_prompts=512. --after
leaves out what a finished study of another preset has made, in whose folder
this one goes on. --chapters prints a line a chapter of configs/chapters, each
by itself after headline, and how much of it is RL. Rates are those of two quiet
CPU cores (`experiments/studies/cost.py`).
"""

import argparse
import ast
import importlib.util
import json
import pathlib
import sys

from experiments.studies import cost, registry, rungs

ROOT = pathlib.Path(__file__).resolve().parents[1]
BEFORE = 'headline'  # that chapters go on from
STUDY = '/study'


def config_of(preset, changes=()):
  """The config of a preset, a plain dict, with changes."""
  spec = importlib.util.spec_from_file_location(
    'configs_reproduce', ROOT / 'configs' / 'reproduce.py'
  )
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  config = module.get_config(preset)
  pairs = [change.partition('=') for change in changes]
  config.update_from_flattened_dict(
    {key: ast.literal_eval(value) for key, _, value in pairs}
  )
  return json.loads(json.dumps(config.to_dict()))


def left_of(jobs, preset):
  """The jobs that a finished study of a preset has not made."""
  made = {job.name: job for job in registry.all_jobs(config_of(preset), STUDY)}
  same = lambda job: job.name in made and made[job.name].config == job.config
  return [job for job in jobs if not same(job)]


def lines_of(jobs):
  """Yields a line a kind of job, and the sum.

  Raises:
    ValueError: if there is no rate of a size, as of any imported model.
  """
  unknown = cost.unknown_sizes(jobs)
  if unknown:
    raise ValueError(
      f'nothing is reckoned of the sizes {unknown}: rates are known of '
      f"{', '.join(rungs.COST)} (an imported model is the size '')"
    )
  rows = cost.table(jobs)
  for kind, count, seconds in rows:
    yield f'{kind:20} {count:4d} jobs  {seconds / 60:6.1f} min'
  total = sum(seconds for _, _, seconds in rows)
  yield f'{"all":20} {len(jobs):4d} jobs  {total / 60:6.1f} min on two cores'


def by_chapter(config):
  """{chapter: (jobs, minutes, minutes without RL)}, after headline.

  Without RL: without policies, and without what reads one.
  """
  found = {}
  for name in registry.names_of(config['themes']):
    if name in config_of(BEFORE)['themes'] and name != 'tension':
      continue
    jobs = registry.all_jobs(config | {'themes': [name]}, STUDY)
    jobs = left_of(jobs, BEFORE)
    plain = [job for job in jobs if not cost.has_policy(job)]
    minutes = [sum(row[2] for row in cost.table(x)) / 60 for x in (jobs, plain)]
    found[name] = len(jobs), *minutes
  return found


def chapter_lines(config):
  """Yields a line a chapter."""
  for name, (count, whole, plain) in by_chapter(config).items():
    head = f'{name:16} {count:4d} jobs'
    yield f'{head}  {whole:6.1f} min, without RL {plain:5.1f}'


def main(arguments=None):
  """Prints the estimate of a preset."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('preset')
  parser.add_argument('changes', nargs='*', metavar='KEY=VALUE')
  parser.add_argument('--after', metavar='PRESET')
  parser.add_argument('--chapters', action='store_true')
  args = parser.parse_intermixed_args(arguments)
  try:
    config = config_of(args.preset, args.changes)
    if args.chapters:
      lines = list(chapter_lines(config))
    else:
      jobs = registry.all_jobs(config, STUDY)
      lines = list(lines_of(left_of(jobs, args.after) if args.after else jobs))
  except (KeyError, ValueError, SyntaxError) as error:
    print(f'error: {error}', file=sys.stderr)
    return 2
  print('\n'.join(lines))
  return 0


if __name__ == '__main__':
  sys.exit(main())
