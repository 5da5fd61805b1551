r"""HumanEval: which share of Python functions a model writes rightly.

    python -m experiments.humaneval --model=smollm2 --preset=tiny \
        --tasks=FOLDER --workdir=DIR

`--model` is whatever `experiments.generate` opens, or `canonical`, the task's
own solutions, of which all have to pass. `--tasks` is HumanEval.jsonl.gz or
its folder. Programs run in the sandbox of rlhf_jax/sandbox; on a machine that
has none, nothing is sampled. A killed run goes on in its --workdir.

Presets: `greedy` (one sample at temperature 0), `paper` (the grid of Bai et al.
2022, section 5.3: temperatures 0, .4, .6, .8, 1, top-p .95 and 1, k up to 100
of 100 samples), `tiny` (8 tasks, for a model of 135M parameters on a CPU). A
flag that is given wins over the preset.

Written are humaneval.csv and .json, a row a setting and k; tasks.csv, a row a
setting and task; completions.jsonl and verdicts.jsonl, a row a sample.
"""

import collections
import os

import jax
from absl import flags

from experiments.shared import code_samples, command
from experiments.shared.code_samples import Setting
from experiments.shared.files import write_csv
from experiments.shared.kept import Journal
from experiments.shared.models import open_writer
from rlhf_jax.analysis.pass_at_k import estimate
from rlhf_jax.data.code_tasks import read_tasks
from rlhf_jax.sandbox.box import refusal
from rlhf_jax.sandbox.judge import OUTCOMES, PASSED
from rlhf_jax.sandbox.limits import BoxLimits, SandboxError
from rlhf_jax.text import programs
from rlhf_jax.train.about import About
from rlhf_jax.train.run import Run, write_json

CANONICAL = 'canonical'
ALL = 0  # tasks
PRESETS = {
  'greedy': {
    'temperatures': (0.0,),
    'top_ps': (1.0,),
    'ks': (1,),
    'samples': 1,
    'first': ALL,
    'max_reply': 512,
  },
  'paper': {
    'temperatures': (0.0, 0.4, 0.6, 0.8, 1.0),
    'top_ps': (0.95, 1.0),
    'ks': (1, 5, 10, 25, 50, 75, 100),
    'samples': 100,
    'first': ALL,
    'max_reply': 512,
  },
  'tiny': {
    'temperatures': (0.0, 0.8),
    'top_ps': (0.95,),
    'ks': (1, 2),
    'samples': 2,
    'first': 8,
    'max_reply': 96,
  },
}


def settings_of(temperatures, top_ps):
  """Every Setting of a grid; temperature 0, which reads no top-p, once."""
  found = [
    Setting(t, p if t else 1.0) for t in temperatures for p in sorted(top_ps)
  ]
  return list(dict.fromkeys(found))


def checked(config):
  """The config, if its numbers make sense.

  Raises:
    ValueError: saying which does not.
  """
  n, most = config['samples'], code_samples.MOST_SAMPLES
  rules = (
    ('temperatures', all(t >= 0 for t in config['temperatures']), '0 or more'),
    ('top_ps', all(0 < p <= 1 for p in config['top_ps']), 'above 0, up to 1'),
    ('samples', 1 <= n <= most, f'1 to {most}'),
    ('ks', all(1 <= k <= n for k in config['ks']), f'1 to {n}, the samples'),
    ('max_reply', config['max_reply'] >= 1, '1 or more'),
    ('batch', config['batch'] >= 1, '1 or more'),
    ('first', config['first'] >= 0, '0 (all) or more'),
    ('form', config['form'] in programs.FORMS, ' or '.join(programs.FORMS)),
  )
  for name, right, wanted in rules:
    if not right or config[name] in ((), []):
      raise ValueError(f'--{name}: wanted {wanted}, got {config[name]}')
  return config


def task_rows(verdicts, tasks, settings, labels):
  """Rows of tasks.csv: samples, how many pass, and how many fail in which way.

  Args:
    verdicts: rows of `judge_all`.
    tasks: CodeTasks.
    settings: Settings.
    labels: columns that stand before.
  """
  counts = collections.defaultdict(collections.Counter)
  for row in verdicts:
    counts[row['setting'], row['task']][row['outcome']] += 1
  rows = []
  for setting in settings:
    for task in tasks:
      own = counts[setting.name, task.name]
      row = labels | setting._asdict() | {'task': task.name}
      row |= {'samples': own.total()}
      rows.append(row | {outcome: own[outcome] for outcome in OUTCOMES})
  return rows


def table_rows(rows, settings, ks, samples, labels):
  """Rows of humaneval.csv: pass@k over the tasks, a row a setting and k.

  Samples at temperature 0 are all alike, so one stands for as many as k asks.
  `best` marks the largest of each k, as the paper reports it: chosen by the
  same samples, so it is too high by what choosing gains.
  """
  found = []
  for setting in settings:
    own = [row for row in rows if Setting(*_named(row)) == setting]
    times = samples if setting.greedy else 1
    correct = [row[PASSED] * times for row in own]
    for k in ks:
      interval = estimate(samples, correct, k)
      row = labels | setting._asdict() | {'k': k, 'tasks': interval.n}
      row |= {'samples': 1 if setting.greedy else samples}
      row |= {'pass_at_k': interval.mean}
      found.append(row | {'low': interval.low, 'high': interval.high})
  most = {k: max(r['pass_at_k'] for r in found if r['k'] == k) for k in ks}
  return [
    row | {'best': bool(row['pass_at_k'] == most[row['k']])} for row in found
  ]


def _named(row):
  return (row[name] for name in Setting._fields)


def written_rows(config, tasks, settings, folder):
  """Rows of completions.jsonl: what the model wrote, or the solutions."""
  journal = Journal(folder / 'completions.jsonl')
  if config['model'] != CANONICAL:
    opened = open_writer(
      config['model'],
      tokenizer=config['tokenizer'],
      pad_token=config['pad_token'],
    )
    for setting in settings:
      code_samples.write(opened, tasks, setting, config, journal)
  elif not journal.rows:
    named = {'setting': settings[0].name, 'sample': 0, 'ended': True}
    rows = [{'task': x.name, 'text': x.solution} for x in tasks]
    journal.add([named | row for row in rows])
  return journal.rows


def run(config, workdir, workers=2):
  """Samples, judges, and writes the tables.

  Args:
    config: model, tokenizer, pad_token, tasks, form, temperatures, top_ps, ks,
      samples, first, max_reply, batch, cpu_seconds, seed.
    workdir: of the result.
    workers: programs that are judged at once.

  Raises:
    ValueError, OSError, RunError: saying what is missing or wrong.
  """
  config = checked(config)
  if config['model'] == CANONICAL:
    once = {'temperatures': (0.0,), 'ks': (1,), 'samples': 1}
    config = config | once | {'form': programs.RAW}
  tasks = read_tasks(config['tasks'], config['first'] or None)
  settings = settings_of(config['temperatures'], config['top_ps'])
  if why := refusal():
    raise SandboxError(why)
  row = {'role': 'humaneval', 'seed': config['seed'], 'half': 'all'}
  kind = About('humaneval', 'table', base=config['model'])
  with Run(workdir, config, row, about=kind) as run_:
    if run_.done:
      return
    written = written_rows(config, tasks, settings, run_.path)
    verdicts = Journal(run_.path / 'verdicts.jsonl')
    limits = BoxLimits(cpu_seconds=config['cpu_seconds'])
    code_samples.judge_all(
      tasks, written, config['form'], limits, workers, verdicts
    )
    labels = {'model': config['model'], 'form': config['form']}
    rows = task_rows(verdicts.rows, tasks, settings, labels)
    table = table_rows(rows, settings, config['ks'], config['samples'], labels)
    write_csv(run_.path / 'tasks.csv', rows)
    write_csv(run_.path / 'humaneval.csv', table)
    about = {'protocol': programs.PROTOCOL[config['form']]}
    about |= {'interval': '95 %, over tasks', 'limits': limits._asdict()}
    write_json(run_.path / 'humaneval.json', about | {'rows': table})
    for line in lines_of(table):
      print(line)
    run_.finish(tasks=len(tasks), programs=len(verdicts.rows))


def lines_of(table):
  """Yields what is printed: pass@k of each setting, the best marked."""
  for row in table:
    yield (
      'temperature {temperature:g}, top-p {top_p:g}: pass@{k} {pass_at_k:.3f} '
      '[{low:.3f}, {high:.3f}], {tasks} tasks, {samples} samples each'
    ).format(**row) + ' *' * row['best']


def config_of(options):
  """The config of flags: the preset's values, where a flag is not given."""
  preset = PRESETS[options['preset']]
  config = {key: options[key] for key in options if key not in NOT_IN_CONFIG}
  for key, value in preset.items():
    given = options[key]
    config[key] = value if given in (None, []) else given
  numbers = {'temperatures': float, 'top_ps': float, 'ks': int}
  for key, kind in numbers.items():
    try:
      config[key] = tuple(kind(value) for value in config[key])
    except ValueError:
      raise ValueError(
        f'--{key}: wanted numbers, commas between, got {config[key]}'
      ) from None
  return config


NOT_IN_CONFIG = ('preset', 'workdir', 'workers')


def main():
  """Parses flags; a known error ends in one line and exit code 2."""
  values = [
    flags.DEFINE_string('model', None, 'Model or run; or canonical.'),
    flags.DEFINE_string('tasks', None, 'HumanEval.jsonl.gz or its folder.'),
    flags.DEFINE_string('workdir', None, 'Directory of the result.'),
    flags.DEFINE_enum('preset', 'greedy', list(PRESETS), 'See above.'),
    flags.DEFINE_enum('form', programs.RAW, programs.FORMS, 'Of the prompt.'),
    flags.DEFINE_string('tokenizer', '', 'tok512.bin, of a llama2.c model.'),
    flags.DEFINE_string('pad_token', None, 'For tokenizers that name none.'),
    flags.DEFINE_list('temperatures', [], 'Of the grid; 0: greedy.'),
    flags.DEFINE_list('top_ps', [], 'Of the grid.'),
    flags.DEFINE_list('ks', [], 'Of pass@k.'),
    flags.DEFINE_integer('samples', None, 'Of each task and setting.'),
    flags.DEFINE_integer('first', None, 'Tasks from the beginning; 0: all.'),
    flags.DEFINE_integer('max_reply', None, 'Most tokens of a completion.'),
    flags.DEFINE_integer('batch', 8, 'Completions that are sampled at once.'),
    flags.DEFINE_integer('cpu_seconds', 5, 'Of a program in the sandbox.'),
    flags.DEFINE_integer('seed', 0, 'Of the sampling.'),
    flags.DEFINE_integer('workers', 2, 'Programs that are judged at once.'),
  ]
  cache = os.environ.get('RLHF_JAX_CACHE')
  if cache:
    jax.config.update('jax_compilation_cache_dir', cache)

  def started(options):
    run(config_of(options), options['workdir'], options['workers'])

  command.main_of_flags(started, values, ('model', 'tasks', 'workdir'))


if __name__ == '__main__':
  main()
