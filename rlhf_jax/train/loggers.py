"""Loggers of others beside metrics.jsonl: TensorBoard, W&B, MLflow.

Each is an opener, (folder, config, step) -> Logger, and a Logger is three
functions. metrics.jsonl stays the record: a logger that breaks is let go with
a line, and the run goes on. A run that resumes goes on in its logger's run:
what was logged past the checkpoint is the same to the bit, and stands there
once.
"""

import importlib.util
import json
import math
import os
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from rlhf_jax.train.about import RunError
from rlhf_jax.train.run_files import write_json

# Texts of a row that tell rows of one step apart.
LABELS = ('subset', 'eval_subset', 'name')
PROJECT = 'rlhf_jax'


class Logger(NamedTuple):
  """Three functions of an open logger.

  Attributes:
    add: (step, {name: number}), at so many updates done.
    flush: () -> None, where a checkpoint is written.
    close: () -> None, however the run ends.
  """

  add: Callable
  flush: Callable
  close: Callable


def numbers_of(kind, row):
  """{'kind/name': number} of a row of metrics.jsonl; texts are left out.

  Rows of several kinds of prompts or pairs have the kind in the name:
  'subset/helpful/kl'.
  """
  labels = [row[key] for key in LABELS if isinstance(row.get(key), str)]
  head = '/'.join([kind, *labels])
  return {
    f'{head}/{name}': float(x)
    for name, x in row.items()
    if isinstance(x, int | float) and not isinstance(x, bool)
  }


def _tensorboard(folder, config, step) -> Logger:
  """Events in folder/tensorboard; later ones than `step` are taken back."""
  import tensorboardX

  place = folder / 'tensorboard'
  before = len(list(place.iterdir())) if place.is_dir() else 0
  writer = tensorboardX.SummaryWriter(
    str(place),
    purge_step=step + 1 if step else 0,
    # Files are named by the second: two sessions may share one.
    filename_suffix=f'.{before:04d}',
  )
  writer.add_text('config', f'```\n{json.dumps(config, indent=1)}\n```', step)

  def add(step, numbers):
    for name, x in numbers.items():
      writer.add_scalar(name, x, step)

  return Logger(add, writer.flush, writer.close)


def _wandb(folder, config, step) -> Logger:
  """A run of Weights & Biases; its id and last step stand in wandb.json.

  WANDB_MODE, WANDB_PROJECT and the others of its variables hold. A step that it
  has is not sent again.
  """
  import wandb

  del step  # what it has decides
  file = folder / 'wandb.json'
  known = json.loads(file.read_text()) if file.exists() else {}
  own = {'id': known.get('id') or uuid.uuid4().hex[:12]}
  last = known.get('step', -1)
  run = wandb.init(
    project=None if 'WANDB_PROJECT' in os.environ else PROJECT,
    name=folder.name,
    id=own['id'],
    resume='allow',
    dir=str(folder),
    config=config,
    settings=wandb.Settings(console='off', silent=True),
  )
  write_json(file, {'step': last} | own)

  def add(step, numbers):
    if step <= last:
      return
    finite = {name: x for name, x in numbers.items() if math.isfinite(x)}
    run.log(finite, step=step)
    if step != own.get('step'):
      own['step'] = step
      write_json(file, own)

  def close():
    run.finish()

  return Logger(add, lambda: None, close)


# What MLflow takes at once, and of one value.
MOST_METRICS, MOST_PARAMS, LONGEST_PARAM = 1000, 100, 6000


def _mlflow(folder, config, step) -> Logger:
  """A run of MLflow; its id and last step stand in mlflow.json.

  MLFLOW_TRACKING_URI and MLFLOW_EXPERIMENT_NAME hold; without the first a
  database in the folder. A step that it has is not sent again.
  """
  os.environ.setdefault('MLFLOW_DISABLE_TELEMETRY', 'true')
  from mlflow.entities import Metric, Param
  from mlflow.tracking import MlflowClient

  del step  # what it has decides
  file = folder / 'mlflow.json'
  own = json.loads(file.read_text()) if file.exists() else {'step': -1}
  client = MlflowClient(
    os.environ.get('MLFLOW_TRACKING_URI')
    or f'sqlite:///{folder.resolve()}/mlflow.db'
  )
  if 'id' not in own:
    name = os.environ.get('MLFLOW_EXPERIMENT_NAME', PROJECT)
    known = client.get_experiment_by_name(name)
    experiment = (
      known.experiment_id
      if known
      else client.create_experiment(
        name, artifact_location=str(folder.resolve() / 'mlflow')
      )
    )
    own['id'] = client.create_run(experiment, run_name=folder.name).info.run_id
    write_json(file, own)
    params = [Param(k, str(v)[:LONGEST_PARAM]) for k, v in _flat(config)]
    for i in range(0, len(params), MOST_PARAMS):
      client.log_batch(own['id'], params=params[i : i + MOST_PARAMS])
  else:
    client.update_run(own['id'], status='RUNNING')
  last, waiting = own['step'], []

  def add(step, numbers):
    if step <= last:
      return
    when = int(time.time() * 1000)
    finite = {name: x for name, x in numbers.items() if math.isfinite(x)}
    waiting.extend(Metric(name, x, when, step) for name, x in finite.items())

  def flush():
    while waiting:
      client.log_batch(own['id'], metrics=waiting[:MOST_METRICS])
      own['step'] = max(own['step'], waiting[:MOST_METRICS][-1].step)
      del waiting[:MOST_METRICS]
    write_json(file, own)

  def close():
    flush()
    client.set_terminated(own['id'])

  return Logger(add, flush, close)


def _flat(config, prefix=''):
  """(key, value) of a nested dict, keys joined by dots."""
  for key, value in config.items():
    if isinstance(value, dict) and value:
      yield from _flat(value, f'{prefix}{key}.')
    else:
      yield f'{prefix}{key}', value


class _Known(NamedTuple):
  """A logger's opener, its module and the extra that installs it."""

  open: Callable
  module: str
  extra: str


LOGGERS = {
  'tensorboard': _Known(_tensorboard, 'tensorboardX', 'tensorboard'),
  'wandb': _Known(_wandb, 'wandb', 'wandb'),
  'mlflow': _Known(_mlflow, 'mlflow', 'mlflow'),
}


def require(names):
  """Refuses loggers that are not known or not installed, in one line.

  Raises:
    RunError: naming the first of them and what installs it.
  """
  for name in names:
    if name not in LOGGERS:
      raise RunError(
        f'there is no logger {name!r}: wanted one of {", ".join(LOGGERS)}'
      )
    known = LOGGERS[name]
    if importlib.util.find_spec(known.module) is None:
      raise RunError(
        f'the logger {name} needs {known.module}: pip install -e '
        f"'.[{known.extra}]', or leave it out of --config.loggers"
      )


class Loggers:
  """The open loggers of a run; none is opened before `resume`.

  Args:
    folder: run directory.
    names: keys of LOGGERS.
    config: of the run.

  Raises:
    RunError: as `require`.
  """

  def __init__(self, folder, names, config):
    require(names)
    self._folder, self._names, self._config = Path(folder), names, config
    self._open = {}

  def resume(self, step):
    """Opens them, `step` updates being done."""
    for name in self._names:
      opener = LOGGERS[name].open
      found = self._tried(name, opener, self._folder, self._config, step)
      if found:
        self._open[name] = found

  def add(self, kind, step, row):
    """Tells all of them a row."""
    if self._open:
      self._each('add', int(step), numbers_of(kind, row))

  def flush(self):
    """Has all of them write what they were told."""
    self._each('flush')

  def close(self):
    """Ends all of them."""
    self._each('close')
    self._open = {}

  def _each(self, function, *args):
    for name, logger in list(self._open.items()):
      self._tried(name, getattr(logger, function), *args)

  def _tried(self, name, call, *args):
    """Result of a call; a logger that fails is let go."""
    try:
      return call(*args)
    except Exception as error:  # noqa: BLE001 (any error of another's code)
      self._open.pop(name, None)
      print(
        f'{self._folder}: the logger {name} is let go '
        f'({type(error).__name__}: {error}); metrics.jsonl goes on',
        file=sys.stderr,
      )
      return None
