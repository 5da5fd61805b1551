r"""Language models before and after RL, on the same questions and texts.

    python -m experiments.evals --config=configs/evals.py \
        --config.data.path=DATA --workdir=DIR

Each of `models`, NAME=MODEL, is measured by itself, one after the other, and
held against the first one: zero-shot cloze on all `tasks`, letters on some of
them, five examples before the questions of some, the HHH comparisons, and the
loss on held-out text. MODEL is a run, a folder, a file or smollm2, adapters and
all; +hhh behind it puts the HHH prompt before what it reads; `study:PATH` lies
in the folder `study`. All are opened in one way, so that nothing but their
weights and their prompt differs. A model that is not there is left out, with
the command that makes it.

What there is to read is counted first, with each model's own tokenizer: more
than `minutes` at `rate` tokens a second are refused.

Each model has three folders, DIR/NAME/{tasks,hhh,loss}, runs of their own: a
killed study goes on with the task that it was at, and a model that comes later
is all that is measured then. DIR/tables and DIR/figures are made of them anew
every time; `experiments.publish` copies both.
"""

import time
from pathlib import Path

import jax
import pandas as pd

from experiments.harness import (
  asked,
  before_after,
  counting,
  hhh,
  listed,
  losses,
  reading,
  session,
)
from experiments.shared import command
from experiments.shared.files import write_csv
from experiments.shared.models import open_base
from experiments.studies.job import cache_of, mark
from rlhf_jax.analysis import figures, runs, tax_by_size
from rlhf_jax.data.hhh import read_hhh
from rlhf_jax.train.about import About
from rlhf_jax.train.progress import time_text
from rlhf_jax.train.run import Run

ROW = {'seed': None, 'role': 'evaluated', 'size': '', 'n_params': None}
ROW |= {'half': 'all'}
# Settings that may differ in a study that goes on: what is measured, and on
# what, is in the config of each run.
FREE = {'models', 'study', 'capability', 'rate', 'minutes', 'data'}
NAMED = ('after_model', 'after', 'model')  # columns with a model's name


def asked_of(config):
  """(Asked, sentences that say what is left out).

  Raises:
    ValueError, OSError: if a file or the harness is missing.
  """
  folder = config['data']['path']
  units, left_out = asked.units_of(config)
  session.require(units, folder)
  names = [str(Path(folder) / name) for name in config['texts']]
  held, _ = losses.held_out(names, config['documents'])
  return asked.Asked(units, read_hhh(folder), held), left_out


def tools_of(model):
  """The Tools of a session on an open model; needs the harness."""
  from experiments.harness import adapter, measure

  opened = lambda path, **_: model.opened
  return session.Tools(opened, adapter.HarnessLM, reading, measure)


def tasks_block(model, before, wanted, config, folder):
  """{table: rows} of the harness's units."""
  own = {'model': model.path, 'workdir': str(folder), 'tokenizer': ''}
  own |= {'data': config['data']['path'], 'limit': config['items']}
  own |= {'pad_token': config['pad_token'] or None}
  show = lambda rows: print(shown(model, rows[0]), flush=True)
  rows = session.rows_of(wanted.units, own, tools_of(model), show)
  pairs = [
    row
    for unit in (wanted.units if before else ())
    for row in compared(model, before, unit, folder)
  ]
  pairs += before_after.mean_rows(pairs)
  return {
    'evaluations': [row | {'model': model.name} for row in rows],
    'before_after': pairs,
  }


def hhh_requests(model, wanted, config):
  """Requests of the HHH comparisons; [] where the prompt cannot be given."""
  reader = hhh.reader_of(model.opened.tokenizer, model.system, config)
  if reader is None:
    return []
  return hhh.requests_of(*reader, wanted.choices, config['max_answer'])


def hhh_block(model, before, wanted, config, folder):
  """{table: rows} of the HHH comparisons."""
  requests = hhh_requests(model, wanted, config)
  if not requests:
    print(f'{model.name}: no chat template for the HHH prompt, so no HHH')
    return {}
  began = time.perf_counter()
  scores = reading.make_score(model.opened)(requests, f'{model.name} HHH')
  seconds = round(time.perf_counter() - began, 1)
  items = hhh.items_of(wanted.choices, requests, scores)
  about = {'data': wanted.hhh_data, 'revision': model.revision}
  rows = hhh.rows_of(items, about | {'seconds': seconds})
  session.write_unit(folder, hhh.UNIT, rows, items)
  print(shown(model, rows[-1]), flush=True)
  pairs = compared(model, before, hhh.UNIT, folder) if before else []
  return {
    'evaluations': [row | {'model': model.name} for row in rows],
    'before_after': pairs,
  }


def loss_requests(model, wanted):
  """Requests of the held-out documents."""
  words, longest = model.opened.tokenizer, reading.longest_of(model.opened)
  return [
    request
    for item in wanted.held
    for request in losses.requests_of(words, item, longest)[0]
  ]


def loss_block(model, before, wanted, config, folder):
  """{table: rows} of the loss on held-out text."""
  del config

  def make():
    opened = model.opened
    longest, score = reading.longest_of(opened), reading.make_score(opened)
    return losses.make_nats(opened.tokenizer, longest, score)

  read = losses.measured(model.name, model.path, wanted.held, folder, make)
  write_csv(folder / 'documents.csv', read)
  rows = losses.losses_of(model.name, model.path, read)
  print(losses.line_of(model.name, rows[0]), flush=True)
  found = {
    'text_losses': [{k: row[k] for k in row if k != 'path'} for row in rows]
  }
  if before:
    old = pd.read_csv(before / 'documents.csv').to_dict('records')
    found['text_loss_differences'] = losses.paired_of(old, read)
  return found


BLOCKS = {'tasks': tasks_block, 'hhh': hhh_block, 'loss': loss_block}


def blocks_of(model):
  """Names of the blocks of a model: no prompt stands before plain text."""
  return [name for name in BLOCKS if name != 'loss' or model.system is None]


def compared(model, before, unit, folder):
  """Rows of before_after.csv of a unit that both folders may have."""
  if session.rows_of_unit(before, unit) is None:
    return []
  sides = session.sides_of(before, folder, unit)
  names = before.parent.name, model.name
  return before_after.unit_rows(*names, unit, sides)


def shown(model, row):
  """One line for the terminal."""
  line = '{name:<36} {metric} {value:.4f} +- {stderr:.4f}, n {n}'
  return f'{model.name:>12} {line.format(**row)}'


def measure(block, model, first, wanted, config, workdir):
  """Measures a block of a model into its own folder, unless it is there."""
  folder = workdir / model.name / block
  before = workdir / first.name / block if model is not first else None
  own = asked.config_of(block, model, first, wanted, config)
  with Run(folder, own, ROW, about=About('evals', 'table')) as run_:
    if run_.done:
      print(f'{model.name} {block}: done before', flush=True)
      return
    found = BLOCKS[block](model, before, wanted, config, run_.path)
    for name, rows in found.items():
      if rows:
        write_csv(run_.path / f'{name}.csv', rows)
    run_.finish()


def parts_left(model, wanted, workdir):
  """Names of the parts of a model that are not measured yet."""
  own = workdir / model.name
  left = [x for x in blocks_of(model) if not (own / x / 'done.json').exists()]
  units = wanted.units if 'tasks' in left else ()
  kept = lambda unit: session.rows_of_unit(own / 'tasks', unit) is not None
  return [unit.name for unit in units if not kept(unit)] + [
    name for name in left if name != 'tasks'
  ]


def reckon(models, wanted, config, workdir):
  """Says what there is to read, and how long it takes.

  Raises:
    ValueError: if a model would take longer than is allowed.
  """
  counts = counting.Reckoner(
    wanted.units,
    {'data': config['data']['path'], 'limit': config['items']},
    tools_of,
    {
      'hhh': lambda m: (hhh_requests(m, wanted, config), len(wanted.choices)),
      'loss': lambda m: (loss_requests(m, wanted), len(wanted.held)),
    },
  ).counts_of
  told = False
  for model in models:
    left = parts_left(model, wanted, workdir)
    found = counts(model) if left else {}
    if found and not told:
      lines = (before_after.part_line(x, *found[x]) for x in found)
      print(*lines, sep='\n')
      told = True
    model.close()
    tokens = sum(found[name][0] for name in left)
    seconds = tokens / config['rate']
    print(
      f'{model.name}: about {tokens:,.0f} tokens to read, '
      f'{time_text(seconds)} at {config["rate"]:g} a second',
      flush=True,
    )
    if seconds > 60 * config['minutes']:
      raise ValueError(
        f'{model.name} would take {time_text(seconds)}, wanted at most '
        f'{config["minutes"]:g} min: lower config.items or config.documents, '
        'or raise config.minutes'
      )


def write_tables(models, config, workdir):
  """DIR/tables and DIR/figures, of all runs of these models."""
  names = [model.name for model in models]
  tables = {}
  for name, frame in runs.collect(workdir).items():
    column = next(x for x in NAMED if x in frame)
    frame = frame[frame[column].isin(names)]
    place = 2 * frame[column].map(names.index)
    if 'task' in frame:
      place += frame['task'] == hhh.UNIT.task  # after all others
    tables[name] = frame.iloc[place.argsort(kind='stable')]
  path = config['capability']
  if path:
    if not Path(path).is_file():
      raise FileNotFoundError(
        f'{path} is missing: wanted capability.csv of a study, which python -m '
        'experiments.reproduce --config=configs/reproduce.py:full '
        '--config.themes=skills writes into its tables/'
      )
    rows = tax_by_size.rows_of({'capability': pd.read_csv(path)})
    tables['world_tax'] = pd.DataFrame(rows)
  runs.write_tables(tables, workdir / 'tables')
  tables = runs.read_tables(workdir / 'tables')
  for draw in figures.draw_all(tables, workdir / 'figures').values():
    if draw:
      print(f'figure: {draw}')
  return tables


def run(config, workdir):
  """Measures, compares, writes tables and draws."""
  models, left_out = listed.models_of(config, open_base)
  wanted, more = asked_of(config)
  print(*left_out, *more, sep='\n', end='\n' * bool(left_out or more))
  workdir = Path(workdir).resolve()
  settings = {k: v for k, v in config.items() if k not in FREE}
  mark(workdir, 'evals', settings)
  jax.config.update('jax_compilation_cache_dir', cache_of(workdir))
  reckon(models, wanted, config, workdir)
  for model in models:
    for block in blocks_of(model):
      measure(block, model, models[0], wanted, config, workdir)
    model.close()
  tables = write_tables(models, config, workdir)
  rows = tables['before_after'].to_dict('records')
  print(
    *(before_after.line_of(row) for row in rows if row['headline']), sep='\n'
  )


if __name__ == '__main__':
  command.main(run, 'configs/evals.py')
