"""A run is a directory: config, environment, metrics, checkpoints, done.

A run that was killed resumes bit for bit: the checkpoint holds the state and
the position in the data, randomness is a function of (seed, step), and metrics
past the checkpoint are cut off. Nothing that is not finite is saved: a run that
meets it stops and leaves failed.json, which goes when it is started again.
Times stand in speed.jsonl (`speed`); loggers of others are told besides
(`loggers`).

Several processes make the same calls: each writes its part of a checkpoint,
process 0 writes everything else (`hosts`). A stage without checkpoints, which
writes what it likes where it likes in its directory, runs `apart`: process 0
there, the others each in a copy that goes when they end.
"""

import contextlib
import json
import time
from pathlib import Path

from rlhf_jax import digests
from rlhf_jax.train import finite, hosts
from rlhf_jax.train.about import (
  About,
  RunError,
  StoppedError,
  computing,
  store,
  study_of,
)
from rlhf_jax.train.apart import apart as apart_from
from rlhf_jax.train.checkpoints import Checkpoints, load_params, save_params
from rlhf_jax.train.locks import take_lock
from rlhf_jax.train.loggers import Loggers
from rlhf_jax.train.metrics_file import MetricsFile, plain
from rlhf_jax.train.progress import Progress
from rlhf_jax.train.run_files import (
  commit,
  config_hash,
  environment,
  note_commit,
  read_json,
  require_folder,
  write_json,
)
from rlhf_jax.train.speed import Clock, Work

__all__ = [
  'Run',
  'RunError',
  'commit',
  'config_hash',
  'environment',
  'load_params',
  'read_json',
  'save_params',
  'write_json',
]

FAILED = 'failed.json'


class Run:
  """One run directory, used as a context manager.

  Args:
    workdir: the directory; made if absent.
    config: plain dict of everything the run depends on. Paths inside the study
      that the run belongs to are kept relative to it.
    row: dict of run columns for the tidy tables (seed, role, size, ...).
    about: `about.About`, by which others know what to make of the run.
    keep: how many checkpoints to keep.
    loggers: names of `loggers.LOGGERS` that are told what is logged.
    apart: whether processes besides the first have a directory of their own.

  Raises:
    RunError: if the config has a number that is not finite, the directory
      belongs to another config or is damaged, or another live process is using
      it.
  """

  def __init__(
    self,
    workdir,
    config,
    row=None,
    *,
    about=None,
    keep=1,
    loggers=(),
    apart=False,
  ):
    finite.require_numbers(config)
    self.path = Path(workdir)
    hosts.once(lambda: require_folder(self.path))
    self._writes, self._lock_file = hosts.index() == 0, None
    hosts.once(self._lock)
    root = study_of(self.path)
    stored = store(config, root)
    self.config = json.loads(json.dumps(stored, default=str))
    self._about = store((about or About('', ''))._asdict(), root)
    try:
      self._loggers = Loggers(
        self.path, loggers if self._writes else (), self.config
      )
      self._require_one_config()
      hosts.once(lambda: self._claim(row or {}))
    except RunError:
      self._unlock()  # a caller that tries again is not locked out
      raise
    self._apart = contextlib.ExitStack()
    if apart:
      self.path = self._apart.enter_context(apart_from(self.path))
    self._checkpoints = Checkpoints(self.path, keep)
    self._metrics = MetricsFile(self.path)
    self._watch = finite.Watch(
      self.path, config.get('on_nonfinite', finite.STOP)
    )
    self._started = time.time()
    self.clock = Clock(self.path, self._writes, self._watch.wait)

  def _lock(self):
    """Takes the lock, which process 0 holds for all of them."""
    self._lock_file = take_lock(self.path, True)

  def _unlock(self):
    if self._lock_file:
      self._lock_file.close()

  def _require_one_config(self):
    """Refuses a process that was asked for something else than the first."""
    own = config_hash(self.config)
    if hosts.once(lambda: own) != own:
      raise RunError(
        f'process {hosts.index()} was given another config than process 0 for '
        f'{self.path}: give all of them the same command'
      )

  def _claim(self, row):
    """Begins a run, or finds its own again."""
    path = self.path / 'config.json'
    digest = config_hash(computing(self.config))
    row = json.loads(json.dumps(row | {'config_hash': digest}, default=str))
    if path.exists():
      self._require_same(read_json(path), row)
      if not self.done:
        note_commit(self.path / 'env.json')
        (self.path / FAILED).unlink(missing_ok=True)
      return
    write_json(self.path / 'env.json', environment())
    write_json(path, self._about | {'config': self.config, 'row': row})

  def _require_same(self, content, row):
    """Refuses a config.json of another run, or one that was changed."""
    old = content.get('config')
    if not isinstance(old, dict):
      raise RunError(
        f'{self.path}/config.json has no config: {digests.remedy_of(self.path)}'
      )
    if computing(old) != computing(self.config):
      both = sorted(computing(old) | computing(self.config))
      keys = [k for k in both if old.get(k) != self.config.get(k)]
      raise RunError(
        f'{self.path} holds a run with another config (differs in '
        f'{", ".join(keys)}): choose another --workdir or delete it'
      )
    own = self._about | {'row': row}
    unknown = sorted(content.keys() - own.keys() - {'config'})
    if unknown:  # one that lacks some is of before
      raise RunError(
        f'{self.path}/config.json is damaged (it has {", ".join(unknown)}): '
        f'{digests.remedy_of(self.path)}'
      )
    for key in own.keys() & content.keys():
      if content[key] != own[key]:
        raise RunError(
          f'{self.path}/config.json says another {key} than this run '
          f'({content[key]!r}, not {own[key]!r}): choose another --workdir or '
          'delete it'
        )

  def __enter__(self):
    return self

  def __exit__(self, kind=None, error=None, trace=None):
    try:
      if isinstance(error, StoppedError) and self._writes:
        write_json(self.path / FAILED, error.record)
      self._loggers.close()
      if kind is None or hosts.count() == 1:  # else it may wait for others
        self._checkpoints.close()
      self._metrics.close(after_error=kind is not None)
    finally:
      self._unlock()
      self._apart.close()

  @property
  def done(self):
    """Whether the run has finished."""
    return hosts.once((self.path / digests.DONE).exists)

  def watch(self, step, metrics, rows=None):
    """Remembers an update, to be judged where metrics are read; its metrics.

    Args:
      step: updates done with it.
      metrics: of a step, which `finite.with_guard` may have flagged.
      rows: numbers of the rows of its batch, for the message.
    """
    return self._watch.note(step, metrics, rows)

  def save(self, state, batches=None):
    """Writes the state and the position in the data, at state.step.

    Raises:
      NonFiniteError: if the state, or an update before it, is not finite.
      RunError: if it cannot be written.
    """
    self._watch.require(state, state.step)
    position = {
      'data': batches.get_state() if batches is not None else None,
      'metrics': self._metrics.mark(),
      'skipped': self._watch.skipped,
    }
    with self.clock.phase('save'):
      self._checkpoints.save(int(state.step), state, position)
    self._loggers.flush()

  def restore(self, state, batches=None):
    """The newest checkpoint, or what was given; moves `batches` to its place.

    Raises:
      RunError: if the checkpoint has other shapes than `state`, or it or the
        metrics up to it are not what was written.
    """
    step = hosts.once(self._checkpoints.newest)
    if step is None:
      self._resume_metrics(0, None)
      return state
    state, position = self._checkpoints.restore(step, state)
    self._resume_metrics(step, position.get('metrics'))
    self._watch.skipped = position.get('skipped', 0)
    if batches is not None:
      batches.set_state(position['data'])
    return state

  def _resume_metrics(self, step, mark):
    if self._writes:
      self._metrics.resume(step, mark)
    self._loggers.resume(step)
    self.clock.start(step)

  def works(self, tokens=None, flops=None):
    """Says what an update works, for speed.jsonl; see `speed.Work`."""
    self.clock.says(Work(tokens, flops))

  def log(self, step, metrics, kind='train'):
    """Appends one row of metrics, at `step` updates done, to metrics.jsonl.

    Returns:
      The row as it was written, of plain values.

    Raises:
      NonFiniteError: if an update that was watched is not finite.
    """
    self._watch.read()
    if self._watch.on_nonfinite == finite.SKIP and kind == 'train':
      metrics = {**metrics, 'skipped': self._watch.skipped}
    with self.clock.phase('log'):
      row = plain(metrics)
      if self._writes:
        self._metrics.add(kind, step, row)
        self._loggers.add(kind, step, row)
    if kind == 'train':
      self.clock.write(step, row)
    return row

  def rows(self, kind):
    """All logged rows of one kind, in order."""
    return self._metrics.rows(kind, hosts.once(self._metrics.mark))

  def progress(self, start, total):
    """Iterates over range(start, total), showing how far it is."""
    return Progress(start, total, label=self.path.name)

  def save_params(self, params, step=0):
    """Writes the final parameters.

    Raises:
      NonFiniteError: if they, or an update before, are not finite.
    """
    self._watch.require(params, step)
    save_params(self.path, params)

  def finish(self, **summary):
    """Marks the run as done; checkpoints stay for whoever reads them.

    Raises:
      NonFiniteError: if an update that was watched is not finite.
    """
    self._watch.read()
    hosts.once(lambda: self._finish(summary))

  def _finish(self, summary):
    self._metrics.mark()
    seconds = round(time.time() - self._started, 3)
    if self._watch.on_nonfinite == finite.SKIP:
      summary = {'skipped': self._watch.skipped, **summary}
    done = {'seconds': seconds, **summary}
    if self._about['holds'] != 'study':  # whose files go on changing
      done['digests'] = digests.of_folder(self.path)
    done = json.loads(json.dumps(done))
    write_json(self.path / digests.DONE, digests.sealed(done))
