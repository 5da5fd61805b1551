"""A run is a directory: config, environment, metrics, checkpoints, done.

The only module that imports orbax. A run that was killed resumes bit for bit:
the checkpoint holds the state and the position in the data, randomness is a
function of (seed, step), and metrics past the checkpoint are cut off.

Several processes make the same calls: each writes its part of a checkpoint,
process 0 writes everything else.
"""

import fcntl
import hashlib
import json
import os
import platform
import subprocess
import time
from pathlib import Path

import jax
import numpy as np
import orbax.checkpoint as ocp

from rlhf_jax.train.about import About, RunError, store, study_of
from rlhf_jax.train.progress import Progress


def config_hash(config):
  """Twelve hex digits that change when any value of the config does."""
  text = json.dumps(config, sort_keys=True, default=str)
  return hashlib.sha256(text.encode()).hexdigest()[:12]


def commit():
  """The repository's commit, '+' appended when the tree is dirty; or ''."""
  root = Path(__file__).resolve().parents[2]
  call = lambda *args: subprocess.run(
    ['git', '-C', str(root), *args], capture_output=True, text=True, check=False
  ).stdout.strip()
  head = call('rev-parse', '--short=12', 'HEAD')
  dirty = call('status', '--porcelain', '--untracked-files=no')
  return head + ('+' if head and dirty else '')


def environment():
  """Versions, device and commit, for `env.json`."""
  device = jax.devices()[0]
  return {
    'commit': os.environ.get('RLHF_JAX_COMMIT') or commit(),
    'device': f'{jax.device_count()}x {device.device_kind}',
    'cores': len(os.sched_getaffinity(0)),
    'python': platform.python_version(),
    'jax': jax.__version__,
    'numpy': np.__version__,
  }


def write_json(path, value):
  """Writes atomically: the file is whole or absent."""
  path = Path(path)
  temporary = path.with_name(path.name + '.part')
  temporary.write_text(json.dumps(value, indent=1, sort_keys=True) + '\n')
  os.replace(temporary, path)


def read_json(path):
  """Reads JSON; RunError names the file when it is broken."""
  try:
    return json.loads(Path(path).read_text())
  except (OSError, ValueError) as error:
    raise RunError(f'cannot read {path}: {error}') from None


def _plain(value):
  if hasattr(value, 'item') and np.ndim(value) == 0:
    return np.asarray(value).item()
  return value


def _require_fit(saved, wanted, where):
  """Raises RunError when two trees differ in an array's name or shape."""
  name = lambda path: jax.tree_util.keystr(path, simple=True, separator='/')
  leaves = jax.tree_util.tree_leaves_with_path
  wanted = {name(path): tuple(x.shape) for path, x in leaves(wanted)}
  saved = {name(path): tuple(x.shape) for path, x in leaves(saved)}
  for key in wanted | saved:
    if wanted.get(key) != saved.get(key):
      raise RunError(
        f'{where} does not fit this model (wanted shape {wanted.get(key)} of '
        f'{key}, got {saved.get(key)}): use the config it was written with'
      )


class Run:
  """One run directory, used as a context manager.

  Args:
    workdir: the directory; made if absent.
    config: plain dict of everything the run depends on. Paths inside the study
      that the run belongs to are kept relative to it.
    row: dict of run columns for the tidy tables (seed, role, size, ...).
    about: `about.About`, by which others know what to make of the run.
    keep: how many checkpoints to keep.

  Raises:
    RunError: if the directory belongs to another config, or another live
      process is using it.
  """

  def __init__(self, workdir, config, row=None, *, about=None, keep=1):
    self.path = Path(workdir)
    self.path.mkdir(parents=True, exist_ok=True)
    self._writes = jax.process_index() == 0
    self._lock()
    root = study_of(self.path)
    stored = store(config, root)
    self.config = json.loads(json.dumps(stored, default=str))
    self._about = store((about or About('', ''))._asdict(), root)
    try:
      self._claim(row or {})
    except RunError:
      self._lock_file.close()  # a caller that tries again is not locked out
      raise
    self._keep = keep
    self._manager = None
    self._metrics = None
    self._started = time.time()

  def _lock(self):
    self._lock_file = open(self.path / '.lock', 'w')  # noqa: SIM115
    if not self._writes:
      return  # process 0 holds the lock for all of them
    try:
      fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
      raise RunError(
        f'{self.path} is in use by another process: wait for it, or choose '
        'another --workdir'
      ) from None

  def _claim(self, row):
    path, digest = self.path / 'config.json', config_hash(self.config)
    if path.exists():
      old = read_json(path).get('config', {})
      if old != self.config:
        both = sorted(old | self.config)
        keys = [k for k in both if old.get(k) != self.config.get(k)]
        raise RunError(
          f'{self.path} holds a run with another config (differs in '
          f'{", ".join(keys)}): choose another --workdir or delete it'
        )
      if self._writes and not self.done:
        self._note_commit()
      return
    if not self._writes:
      return
    write_json(self.path / 'env.json', environment())
    row = row | {'config_hash': digest}
    write_json(path, self._about | {'config': self.config, 'row': row})

  def _note_commit(self):
    """A run that goes on under other code names both commits."""
    env, now = read_json(self.path / 'env.json'), environment()['commit']
    if now not in env['commit'].split(', '):
      write_json(
        self.path / 'env.json', env | {'commit': f'{env["commit"]}, {now}'}
      )

  def __enter__(self):
    return self

  def __exit__(self, *_):
    if self._manager is not None:
      self._manager.close()
    if self._metrics is not None:
      self._metrics.close()
    self._lock_file.close()

  @property
  def done(self):
    """Whether the run has finished."""
    return (self.path / 'done.json').exists()

  def _checkpoints(self):
    if self._manager is None:
      self._manager = ocp.CheckpointManager(
        (self.path / 'checkpoints').absolute(),
        item_handlers={
          'state': ocp.StandardCheckpointHandler(),
          'position': ocp.JsonCheckpointHandler(),
        },
        options=ocp.CheckpointManagerOptions(
          max_to_keep=self._keep, enable_async_checkpointing=False, create=True
        ),
      )
    return self._manager

  def save(self, state, batches=None):
    """Writes the state and the position in the data, at state.step."""
    position = batches.get_state() if batches is not None else None
    if self._metrics is not None:
      self._metrics.flush()
    self._checkpoints().save(
      int(state.step),
      args=ocp.args.Composite(
        state=ocp.args.StandardSave(state),
        position=ocp.args.JsonSave({'data': position}),
      ),
    )

  def restore(self, state, batches=None):
    """The newest checkpoint, or what was given; moves `batches` to its place.

    Raises:
      RunError: if the checkpoint has other shapes than `state`.
    """
    manager = self._checkpoints()
    step = manager.latest_step()
    self._cut_metrics(0 if step is None else step)
    if step is None:
      return state
    saved = manager.item_metadata(step)['state'].tree
    _require_fit(saved, state, f'checkpoint {step} in {self.path}')
    restored = manager.restore(
      step,
      args=ocp.args.Composite(
        state=ocp.args.StandardRestore(state),
        position=ocp.args.JsonRestore(),
      ),
    )
    if batches is not None:
      batches.set_state(restored['position']['data'])
    return restored['state']

  def _cut_metrics(self, step):
    """Drops metrics logged after the checkpoint that training resumes from."""
    if not self._writes:
      return
    path = self.path / 'metrics.jsonl'
    kept = []
    if path.exists():
      for line in path.read_text().splitlines():
        try:
          row = json.loads(line)
        except ValueError:
          break  # the line that was being written when the run was killed
        if row['step'] <= step and step > 0:
          kept.append(line + '\n')
    part = path.with_name('metrics.jsonl.part')
    part.write_text(''.join(kept))
    os.replace(part, path)
    self._metrics = path.open('a')

  def log(self, step, metrics, kind='train'):
    """Appends one row of metrics, at `step` updates done, to metrics.jsonl."""
    if not self._writes:
      return
    if self._metrics is None:
      self._metrics = (self.path / 'metrics.jsonl').open('a')
    row = {k: _plain(v) for k, v in metrics.items()}
    self._metrics.write(json.dumps({'kind': kind, 'step': int(step), **row}))
    self._metrics.write('\n')

  def rows(self, kind):
    """All logged rows of one kind, in order."""
    if self._metrics is not None:
      self._metrics.flush()
    lines = (self.path / 'metrics.jsonl').read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    return [
      {k: v for k, v in row.items() if k != 'kind'}
      for row in rows
      if row['kind'] == kind
    ]

  def progress(self, start, total):
    """Iterates over range(start, total), showing how far it is."""
    return Progress(start, total, label=self.path.name)

  def finish(self, **summary):
    """Marks the run as done; checkpoints stay for whoever reads them."""
    if self._metrics is not None:
      self._metrics.flush()
    seconds = round(time.time() - self._started, 3)
    if self._writes:
      write_json(self.path / 'done.json', {'seconds': seconds, **summary})


def load_params(workdir, like):
  """Restores what `save_params` wrote at the end of a run.

  Args:
    workdir: a run directory.
    like: parameters (or abstract ones) of the same structure.

  Raises:
    RunError: if the run has not finished, or they have other shapes.
  """
  path = Path(workdir) / 'params'
  if not path.exists():
    raise RunError(
      f'{workdir} holds no finished parameters: run its stage first'
    )
  with ocp.StandardCheckpointer() as checkpointer:
    saved = checkpointer.metadata(path.absolute()).item_metadata.tree
    _require_fit(saved, like, path)
    return checkpointer.restore(path.absolute(), like)


def save_params(workdir, params):
  """Writes a run's final parameters for the stages after it."""
  path = (Path(workdir) / 'params').absolute()
  with ocp.StandardCheckpointer() as checkpointer:
    checkpointer.save(path, params, force=True)
