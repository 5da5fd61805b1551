"""Prints what a preset of the study should take, by kind of job.

python -m scripts.estimate_study PRESET [KEY=VALUE]...

KEY=VALUE changes a setting of a section, e.g. rl.eval_prompts=512. Rates are
those of two quiet CPU cores (`experiments/studies/cost.py`).
"""

import ast
import importlib.util
import json
import pathlib
import sys

from experiments.studies import cost, registry, rungs

ROOT = pathlib.Path(__file__).resolve().parents[1]


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


def main(arguments=None):
  """Prints the estimate of a preset."""
  arguments = sys.argv[1:] if arguments is None else arguments
  if not arguments:
    print('wanted a preset: see the top of this file', file=sys.stderr)
    return 2
  try:
    config = config_of(arguments[0], arguments[1:])
    lines = list(lines_of(registry.all_jobs(config, '/study')))
  except (KeyError, ValueError, SyntaxError) as error:
    print(f'error: {error}', file=sys.stderr)
    return 2
  print('\n'.join(lines))
  return 0


if __name__ == '__main__':
  sys.exit(main())
