"""Finetuning on demonstrations: what is measured of a model after each epoch.

The loss is on replies alone. Of every epoch the held-out loss and, where there
is a preference model, its mean score of the model's own replies are written
down, and the model is kept; which of them the run ends with is `choose_by`.
"""

import math
from typing import NamedTuple

import numpy as np

from experiments.shared.devices import restored, spread
from experiments.shared.files import read_arrays, read_json, write_csv
from rlhf_jax.evals.language import nats_per_token
from rlhf_jax.train.about import About
from rlhf_jax.train.run import Run

# Column that a rule goes by, and the sign of what is better.
RULES = {
  'validation_loss': ('validation_nats', -1),
  'rm_score': ('rm_score', 1),
  'last': ('epoch', 1),
}


class Held(NamedTuple):
  """Held-out demonstrations.

  Attributes:
    tokens_NT: int32.
    length_N: int32.
    start_N: int32, where each reply starts.
    prompts: [(text, kind)] that models answer.
  """

  tokens_NT: np.ndarray
  length_N: np.ndarray
  start_N: np.ndarray
  prompts: list


def require_rule(config):
  """Raises ValueError if the choice wants a preference model there is not."""
  if config['choose_by'] == 'rm_score' and not config['rm_dir']:
    raise ValueError(
      'choose_by=rm_score wants rm_dir, the run of train_pm whose score '
      'decides: name one, or choose by validation_loss'
    )


def held_out(config) -> Held:
  """Held-out demonstrations of `text_dir`, prompts in an order of their own."""
  folder = config['text_dir']
  names = 'tokens_NT', 'length_N', 'loss_start_N'
  data = read_arrays(f'{folder}/heldout.npz', *names)
  found = read_json(f'{folder}/prompts.json')['test']
  order = np.random.default_rng(0).permutation(len(found))
  asked = [found[i] for i in order[: config['samples']]]
  arrays = (data[name].astype(np.int32) for name in names)
  return Held(*arrays, asked)


def chosen(rows, rule):
  """The row of the epoch that a rule chooses; of equals the first."""
  column, sign = RULES[rule]
  return max(rows, key=lambda row: (sign * row[column], -row['epoch']))


def marked(rows, rule):
  """Rows of sft.csv: which epoch each rule names, and which is kept.

  Args:
    rows: of the epochs.
    rule: by which one is kept.
  """
  named = {'least_loss': chosen(rows, 'validation_loss')}
  scored = all(math.isfinite(row['rm_score']) for row in rows)
  named['best_score'] = chosen(rows, 'rm_score') if scored else None
  kept = chosen(rows, rule)
  return [
    row
    | {name: int(row is best) for name, best in named.items()}
    | {'choose_by': rule, 'chosen': int(row is kept)}
    for row in rows
  ]


def steps_of(config, rows):
  """Updates done at the end of each epoch.

  Args:
    config: epochs, batch_size.
    rows: training demonstrations.

  Raises:
    ValueError: if they do not fill a batch.
  """
  each = rows // config['batch_size']
  if not each:
    raise ValueError(
      f'{rows} demonstrations do not fill a batch of {config["batch_size"]}: '
      'lower batch_size or take more'
    )
  return [each * (e + 1) for e in range(config['epochs'])]


class Epochs:
  """Measures a model after each epoch, and keeps it.

  Attributes:
    steps: updates done at the end of each epoch.
  """

  def __init__(self, config, run, base, way, mesh, rows, measures):
    """Keeps what is asked.

    Args:
      config: of train_lm.
      run: Run, whose folder keeps the models.
      base: Base that is trained from.
      way: Way.
      mesh: of `devices.mesh_from`.
      rows: training demonstrations.
      measures: (loss of held-out texts, jitted; params -> row of what a model
        answers to held-out prompts).
    """
    self.steps = steps_of(config, rows)
    self._config, self._run, self._base, self._way = config, run, base, way
    self._mesh, (self._loss, self._answers) = mesh, measures
    self._held = held_out(config)

  def note(self, trained, step, train_nats):
    """Logs the row of an epoch, and keeps the model as snapshots/EPOCH.

    Args:
      trained: what is trained, as it is now.
      step: updates done.
      train_nats: loss of the last batch.
    """
    epoch = self.steps.index(step) + 1
    params = self._way.merge(self._base.params, trained)
    row = {'epoch': epoch, 'steps': step, 'train_nats': float(train_nats)}
    row['validation_nats'] = nats_per_token(
      self._loss,
      params,
      *self._held[:2],
      self._config['batch_size'],
      self._held.start_N,
    )
    self._run.log(step, row | self._answers(params), kind='epoch')
    self._keep(trained, epoch)

  def _keep(self, trained, epoch):
    """Keeps a model as a run of its own, which whatever opens models opens."""
    config, base = self._config, self._base
    row = {k: config[k] for k in ('role', 'seed')}
    row |= {'size': base.size, 'n_params': base.n_params, 'half': 'all'}
    about = About(
      'train_lm', 'language model', config['trained'], config['base']
    )
    folder = self._run.path / 'snapshots' / str(epoch)
    with Run(folder, config | {'epochs': epoch}, row, about=about) as own:
      if not own.done:
        own.save_params(spread(trained, None), self.steps[epoch - 1])
        own.finish(epoch=epoch)

  def finish(self, trained):
    """Writes sft.csv; (what the chosen epoch had trained, its row)."""
    rule = self._config['choose_by']
    rows = [
      {k: row[k] for k in row if k != 'step'} for row in self._run.rows('epoch')
    ]
    best = chosen(rows, rule)
    write_csv(self._run.path / 'sft.csv', marked(rows, rule))
    folder = self._run.path / 'snapshots' / str(best['epoch'])
    return restored(folder, lambda _: trained, self._mesh), best
