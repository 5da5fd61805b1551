r"""Benchmarks of several models, before and after training, item by item.

    python -m experiments.compare_evals --data=DIR --workdir=runs/evals/smollm2

Each of `--models`, NAME=MODEL, is measured as `experiments.evaluate` measures
it, into WORKDIR/NAME, and held against the first one on the same questions:
zero-shot cloze on all of `--tasks`, letters on `--letters`, five examples on
`--few_shot`. MODEL is what `experiments.generate` opens, and with +hhh behind
it the same with the HHH prompt. A model that is not there yet is left out, with
the command that makes it; the same command takes it in when it is there, and
measures nothing twice.

Written: before_after.csv, a row a pair of models, task and metric, with n,
template, difference, its standard error, and `precise`, which says whether that
is .02 or less; results.csv, the values; before_after.svg and .png. With
`--capability`, a table of that name that a study of the theme `skills` has
written, also world_tax.csv and its figure: what RL costs by size.
"""

import os
from pathlib import Path

import jax
import pandas as pd
from absl import flags

from experiments.harness import before_after, plan, reading, session
from experiments.shared import command, imported, score_files
from experiments.shared.files import write_csv
from experiments.shared.models import open_writer
from rlhf_jax.analysis import figures, tax_by_size
from rlhf_jax.analysis.drawings import evals as drawings

TRAIN = 'python -m experiments.train'
# Behind the config of PPO: preference models of helpfulness, heads on features
# (docs/real-pairs.md), one a half.
HELPFUL = (
  '--config.data.path=DATA --config.train_pm_dir=runs/helpful-a '
  "--config.test_pm_dir=runs/helpful-b --config.value_pm_dir=''"
)
# name: (model, the command that makes it)
MODELS = {
  'plain': ('smollm2', 'make smollm2'),
  'prompted': ('smollm2+hhh', 'make smollm2'),
  'distilled': (
    'runs/distilled',
    'no stage distils SmolLM2 on real texts yet; give a model of your own',
  ),
  'sft': ('runs/sft', f'{TRAIN}_lm --config=configs/lm.py:sft'),
  'ppo_helpful': (
    'runs/ppo-helpful',
    f'{TRAIN}_ppo --config=configs/ppo.py:smollm2 {HELPFUL}',
  ),
  'ppo_ptx': (
    'runs/ppo-ptx',
    f'{TRAIN}_ppo --config=configs/ppo.py:instructgpt.smollm2 {HELPFUL} '
    '--config.ptx_text=DATA/text_gutenberg,DATA/text_misc/c4_demo.jsonl.gz '
    '--config.ptx_coef=1.0 --config.ptx_per_episode=1 --config.iterations=10 '
    '--config.batch_size=64',
  ),
}
FEW = 5
LETTERS = ['mmlu', 'arc_easy', 'openbookqa']
FEW_SHOT = ['piqa', 'arc_easy', 'triviaqa']


def models_of(words):
  """({name: model}, sentences that say which are left out).

  Args:
    words: of `--models`; []: those of MODELS.

  Raises:
    ValueError: if a word is no NAME=MODEL, or fewer than two are there.
  """
  asked = {name: model for name, (model, _) in MODELS.items()}
  asked = score_files.named(words, 'models') if words else asked
  found, left_out = {}, []
  for name, model in asked.items():
    if imported.is_there(model):
      found[name] = model
      continue
    made = MODELS.get(name, ('', ''))[1]
    if made.startswith('python'):
      made += f' --workdir={model}'
    how = f': {made}' if made else ': train it, or leave it out of --models'
    left_out.append(f'{name} left out, {model} is not there{how}')
  if len(found) < 2:
    raise ValueError(
      f'wanted two models or more that are there, got {len(found)}: '
      + '; '.join(left_out)
    )
  return found, left_out


def units_of(options):
  """(units in their order, sentences that say which are left out)."""
  units, left_out = {}, []
  for tasks, form, shots in (
    (options['tasks'] or plan.all_tasks(), 'cloze', 0),
    (options['letters'], 'letters', 0),
    (options['few_shot'], 'cloze', FEW),
  ):
    own = plan.units_of(tasks, [form], [shots], options['template'])
    units |= dict.fromkeys(own[0])
    left_out += own[1]
  if not units:
    raise ValueError('no task is left to measure: see --tasks')
  return list(units), left_out


def tools():
  """The Tools of a session; needs the harness."""
  from experiments.harness import adapter, measure

  return session.Tools(open_writer, adapter.HarnessLM, reading, measure)


def measured(models, units, options):
  """Rows of results of every model; each has its folder in the workdir."""
  rows = []
  for name, model in models.items():
    own = {key: options[key] for key in ('data', 'limit')}
    own |= {'model': model, 'tokenizer': '', 'pad_token': None}
    own |= {'workdir': str(Path(options['workdir']) / name)}

    def shown(found, name=name):
      first = found[0]
      line = '{name:<36} {metric} {value:.4f} +- {stderr:.4f}, n {n}'
      print(f'{name:>12} {line.format(**first)}', flush=True)

    found = session.rows_of(units, own, tools(), shown)
    rows += [{'model_name': name} | row for row in found]
  return rows


def compared(names, units, workdir):
  """Rows of before_after.csv: every model against the first."""
  before, *others = names
  rows = []
  for after in others:
    for unit in units:
      folders = (Path(workdir) / name for name in (before, after))
      sides = session.sides_of(*folders, unit)
      rows += before_after.unit_rows(before, after, unit, sides)
  return rows + before_after.mean_rows(rows)


def write_world(options):
  """world_tax.csv of a study's capability.csv, and its figure."""
  workdir, path = Path(options['workdir']), Path(options['capability'])
  if not path.is_file():
    raise FileNotFoundError(
      f'{path} is missing: wanted capability.csv of a study, which python -m '
      'experiments.reproduce --config=configs/reproduce.py:full '
      '--config.themes=skills writes into its tables/'
    )
  rows = tax_by_size.rows_of({'capability': pd.read_csv(path)})
  write_csv(workdir / 'world_tax.csv', rows)
  figures.save(drawings.world_tax, {'world_tax': pd.DataFrame(rows)}, workdir)
  line = '{size:>6} {policy:>6} {task:>12} {tax:+.4f} [{low:+.4f}, {high:+.4f}]'
  for row in rows:
    print(line.format(**row))


def run(options):
  """Measures, compares and writes; `options` has the flags' names."""
  if options['limit'] is not None and options['limit'] < 1:
    raise ValueError(f'wanted --limit of 1 or more, got {options["limit"]}')
  models, left_out = models_of(options['models'])
  units, more = units_of(options)
  print(*left_out, *more, sep='\n', flush=True)
  session.require(units, options['data'])
  workdir = Path(options['workdir'])
  rows = measured(models, units, options)
  write_csv(workdir / 'results.csv', rows)
  pairs = compared(models, units, workdir)
  write_csv(workdir / 'before_after.csv', pairs)
  # No row is of a size of the ladder, by which figures choose colours.
  table = pd.DataFrame(pairs).assign(size='', n_params=0)
  figures.save(drawings.before_after, {'before_after': table}, workdir)
  for row in pairs:
    if row['headline']:
      print(line_of(row))
  if options['capability']:
    write_world(options)


def line_of(row):
  """One printed line of a row of before_after.csv."""
  line = (
    '{after_model:>12} {name:<36} {before:.3f} -> {after:.3f}, '
    '{difference:+.4f} +- {stderr:.4f}, n {n}'
  ).format(**row)
  return line + ('' if row['precise'] else ' (error above .02)')


def main():
  """Parses flags; a known error ends in one line and exit code 2."""
  values = [
    flags.DEFINE_list('models', [], 'NAME=MODEL, the first one is before.'),
    flags.DEFINE_list('tasks', [], 'Zero-shot, cloze; all if left out.'),
    flags.DEFINE_list('letters', ['mmlu', 'arc_easy', 'openbookqa'], '.'),
    flags.DEFINE_list('few_shot', ['piqa', 'arc_easy', 'triviaqa'], '5 shots.'),
    flags.DEFINE_string('template', 'plain', 'plain, or chat.'),
    flags.DEFINE_integer('limit', 600, 'The first so many questions of each.'),
    flags.DEFINE_string('data', None, 'Folder of the evaluation sets.'),
    flags.DEFINE_string('capability', '', 'capability.csv of a study.'),
    flags.DEFINE_string('workdir', None, 'Where results go, and go on.'),
  ]
  cache = os.environ.get('RLHF_JAX_CACHE')
  if cache:
    jax.config.update('jax_compilation_cache_dir', cache)
  command.main_of_flags(run, values, ('data', 'workdir'))


if __name__ == '__main__':
  main()
