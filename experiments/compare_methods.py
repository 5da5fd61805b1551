"""Imitation, binary discrimination and ranking on the same pairs.

    python -m experiments.compare_methods --config=configs/methods.py \
        --workdir=DIR

With `tuned_dir`, a run of this stage for the same size: every method learns
every task at the rate that was chosen there, and is tested on pairs that were
held out (methods.csv). Without: every method tries every rate of the grid on
development seeds, and that of the best mean accuracy on the validation pairs is
chosen (method_rates.csv). Losses and scores: experiments/shared/methods.py. A
model that was tested is not trained again by a run that goes on.
"""

import numpy as np
import pandas as pd

from experiments.shared import command, comparisons, methods
from experiments.shared.files import read_json, write_csv
from experiments.shared.models import open_base
from rlhf_jax import digests
from rlhf_jax.crowd.exact import TASKS
from rlhf_jax.train.about import About, RunError
from rlhf_jax.train.run import Run, write_json


def pairs_of(config, side):
  """{task: PairArrays} of a side: 'train', 'valid' or 'test'."""
  return {
    task: comparisons.load_pairs(config['tasks_dir'], f'{task}_{side}')
    for task in config['tasks']
  }


def drawn(config, found, task, seed):
  """The training pairs of a task and a seed, PairArrays.

  Raises:
    ValueError: if there are too few.
  """
  there, wanted = len(found[task].kind_N), config['pairs']
  if there < wanted:
    raise ValueError(
      f'{wanted} pairs of the task {task} wanted, {there} there: lower '
      'methods.pairs or raise tasks.pairs'
    )
  rng = np.random.default_rng([seed, 4])
  return found[task].take(rng.permutation(there)[:wanted])


def cells(config):
  """[(task, method)], in order.

  A task has no head of the other kind, unless it is asked for: `crossed`.
  """
  tasks, own = config['tasks'], lambda task: (TASKS[task].kind, 'imitation')
  return [
    (task, method)
    for task in tasks
    for method in config['methods']
    if config['crossed'] or method in own(task)
  ]


class Bench:
  """Trains and tests single models.

  Args:
    config: of the stage.
    base: Base.
    side: that is tested on, 'valid' or 'test'.
    folder: where the result of each model is kept.
  """

  def __init__(self, config, base, side, folder):
    self.config, self.base, self.folder = config, base, folder
    self.train = pairs_of(config, 'train')
    first = slice(None, config['eval_pairs'])
    held = pairs_of(config, side)
    self.held = {task: pairs.take(first) for task, pairs in held.items()}
    both = (*self.train.values(), *self.held.values())
    self.columns = max(map(methods.columns_of, both))

  def result(self, number, task, method, rate, seed):
    """{'accuracy', 'whole', 'n_eval'} of one model.

    Args:
      number: of its file.
      task: name of a task.
      method: of `methods.METHODS`.
      rate: multiple of the learning rate of the base.
      seed: draws pairs, head and order.
    """
    file = self.folder / f'{number:03d}.json'
    if not file.exists():
      how = self.config, self.base, method
      pairs = drawn(self.config, self.train, task, seed)
      params = methods.fit(*how, pairs, self.columns, rate, seed)
      held = self.held[task]
      found = methods.accuracy_on(*how, params, held, self.columns)
      self.folder.mkdir(exist_ok=True)
      write_json(file, found._asdict() | {'n_eval': len(held.kind_N)})
    return read_json(file)


def tune(config, bench, progress):
  """Rows of method_rates: the grid, what each rate gives, and the choice."""
  rates, seeds = list(config['rates']), list(config['tuning_seeds'])
  grid = [(rate, seed) for rate in rates for seed in seeds]
  places = [(*cell, *x) for cell in cells(config) for x in grid]
  found = [
    bench.result(i, *places[i])['accuracy'] for i in progress(0, len(places))
  ]
  found_CRS = np.reshape(found, (-1, len(rates), len(seeds)))
  rows = []
  for (task, method), mean_R in zip(
    cells(config), found_CRS.mean(2), strict=True
  ):
    rows.append(
      {
        'task': task,
        'method': method,
        'grid': _listed(rates),
        'accuracies': ' '.join(f'{x:.4f}' for x in mean_R),
        'chosen': methods.best(rates, mean_R),
      }
    )
  return rows


def _listed(rates):
  return ' '.join(f'{rate:g}' for rate in rates)


def chosen_rates(config):
  """{(task, method): rate} of the run that tuned.

  Raises:
    RunError: if it tried another grid, or lacks a task or method.
  """
  folder = config['tuned_dir']
  digests.check(folder, 'method_rates.csv')
  table = pd.read_csv(f'{folder}/method_rates.csv', dtype={'grid': str})
  rows = table.to_dict('records')
  found = {(row['task'], row['method']): row['chosen'] for row in rows}
  grid = _listed(config['rates'])
  others = {row['grid'] for row in rows} - {grid}
  missing = [cell for cell in cells(config) if cell not in found]
  if others or missing:
    raise RunError(
      f'{folder} tried the rates {", ".join(others) or grid}, and not '
      f'{missing or "this grid"}: wanted {grid} for all tasks and methods'
    )
  return found


def measure(config, bench, progress):
  """Rows of methods: the test accuracy of each task and method."""
  rates, rows, todo = chosen_rates(config), [], cells(config)
  for i in progress(0, len(todo)):
    (task, method), rate = todo[i], rates[todo[i]]
    result = bench.result(i, task, method, rate, config['seed'])
    rows.append(
      {
        'task': task,
        'kind': TASKS[task].kind,
        'method': method,
        'pairs': config['pairs'],
        'rate': rate,
        'accuracy': result['accuracy'],
        'accuracy_whole': result['whole'],
        'n_eval': result['n_eval'],
      }
    )
  return rows


def run(config, workdir):
  """Writes methods.csv, or without `tuned_dir` method_rates.csv."""
  base = open_base(config, weights=False)
  row = {k: config[k] for k in ('role', 'seed', 'half')}
  row |= {'size': base.size, 'n_params': base.n_params}
  about = About('compare_methods', 'table', base=config['base'])
  with Run(workdir, config, row, about=about) as run_:
    if run_.done:
      return
    base = open_base(config)
    side = 'test' if config['tuned_dir'] else 'valid'
    bench = Bench(config, base, side, run_.path / 'parts')
    name, make = 'method_rates', tune
    if config['tuned_dir']:
      name, make = 'methods', measure
    rows = make(config, bench, run_.progress)
    write_csv(run_.path / f'{name}.csv', rows)
    run_.finish(rows=len(rows))


if __name__ == '__main__':
  command.main(run, 'configs/methods.py', report=True)
