"""Checkpoints of a run and its final parameters: the one user of orbax.

    checkpoints/STEP/   state, position: {'data', 'metrics', 'skipped'}
    checkpoints.json    {STEP: {file: sha256}}, checked before one is read

A checkpoint appears whole or not at all; its digests follow it, so one that was
saved as the run was killed may have none, and is read as it is.

Several processes make the same calls. Each writes its pieces of a checkpoint,
and any number of them reads it; final parameters are process 0's, in one piece.
"""

import errno
import logging
import os
from pathlib import Path

import jax
import orbax.checkpoint as ocp

from rlhf_jax import digests
from rlhf_jax.train import distributed, hosts
from rlhf_jax.train.about import RunError
from rlhf_jax.train.run_files import read_json, write_json
from rlhf_jax.train.sharding import whole

DIGESTS = 'checkpoints.json'


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


class _Quiet:
  """Turns what orbax and its threads say of an error into one line.

  That another process has died is no fault of the disk, and goes on as it is.

  Args:
    what: was done: 'read', 'write'.
    path: the folder.
    remedy: what to do, unless the disk is full.
  """

  def __init__(self, what, path, remedy):
    self.what, self.path, self.remedy = what, path, remedy

  def __enter__(self):
    self._disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)

  def __exit__(self, kind, error, trace):
    logging.disable(self._disabled)
    if kind is None or not issubclass(kind, Exception):
      return
    if issubclass(kind, RunError) or distributed.is_loss(error):
      return
    if _disk_is_full(error):
      raise RunError(
        f'no space is left for {self.path}: free some and give the same '
        'command again, the run goes on from its last checkpoint'
      ) from None
    raise RunError(
      f'cannot {self.what} {self.path} ({digests.reason(error)[:200]}): '
      f'{self.remedy}'
    ) from None


def _disk_is_full(error):
  while error is not None:
    full = getattr(error, 'errno', None) in (errno.ENOSPC, errno.EDQUOT)
    if full or os.strerror(errno.ENOSPC) in str(error):
      return True
    error = error.__cause__ or error.__context__
  return False


class Checkpoints:
  """The checkpoints of one run directory.

  Args:
    folder: run directory.
    keep: how many are kept.
  """

  def __init__(self, folder, keep):
    self.path, self._folder = Path(folder) / 'checkpoints', Path(folder)
    self._keep, self._manager = keep, None

  def _open(self):
    if self._manager is None:
      self._manager = ocp.CheckpointManager(
        self.path.absolute(),
        item_handlers={
          'state': ocp.StandardCheckpointHandler(),
          'position': ocp.JsonCheckpointHandler(),
        },
        options=ocp.CheckpointManagerOptions(
          max_to_keep=self._keep, enable_async_checkpointing=False, create=True
        ),
      )
    return self._manager

  def close(self):
    """Lets go of orbax's manager."""
    if self._manager is not None:
      self._manager.close()

  def newest(self):
    """Step of the newest checkpoint, or None.

    Raises:
      RunError: if a folder that is named like one holds none.
    """
    names = os.listdir(self.path) if self.path.is_dir() else []
    steps = [int(name) for name in names if name.isdigit()]
    for step in steps:
      parts = ('state', 'position')
      if not all((self.path / str(step) / part).is_dir() for part in parts):
        raise RunError(
          f'{self.path / str(step)} holds no checkpoint: delete it, and the '
          'run goes on from the one before or from its start'
        )
    return max(steps, default=None)

  def save(self, step, state, position):
    """Writes a checkpoint, then its digests.

    Raises:
      RunError: in one line, if it cannot be written.
    """
    remedy = 'see to the disk and give the same command again'
    with _Quiet('write', self.path / str(step), remedy):
      saved = self._open().save(
        step,
        args=ocp.args.Composite(
          state=ocp.args.StandardSave(state),
          position=ocp.args.JsonSave(position),
        ),
      )
      if not saved:
        raise RunError(
          f'checkpoint {step} was not written, {self.path} holds later ones: '
          'delete those of another run'
        )
      hosts.once(self._note_digests)

  def _digests(self):
    file = self._folder / DIGESTS
    return read_json(file) if file.exists() else {}

  def _note_digests(self):
    """Digests of the checkpoints that are there, known ones as they were."""
    known, names = self._digests(), os.listdir(self.path)
    found = {
      name: known.get(name) or digests.of_folder(self.path / name, ())
      for name in names
      if name.isdigit()
    }
    write_json(self._folder / DIGESTS, found)

  def _check(self, folder, remedy):
    """Compares the files of a checkpoint with their digests."""
    listed = self._digests().get(folder.name, {})
    try:
      digests.check_files(folder, listed, remedy)
    except digests.DamagedError as error:
      raise RunError(str(error)) from None

  def restore(self, step, state):
    """(state, position) of a checkpoint.

    Raises:
      RunError: if it is damaged, or has other shapes than `state`.
    """
    folder = self.path / str(step)
    remedy = (
      f'delete {folder}, and the run goes on from the one before or from its '
      'start'
    )
    hosts.once(lambda: self._check(folder, remedy))
    with _Quiet('read', folder, remedy):
      saved = self._open().item_metadata(step)['state'].tree
      _require_fit(saved, state, f'checkpoint {step} in {self._folder}')
      found = self._open().restore(
        step,
        args=ocp.args.Composite(
          state=ocp.args.StandardRestore(state),
          position=ocp.args.JsonRestore(),
        ),
      )
      position = found['position']
      if not isinstance(position, dict) or 'data' not in position:
        raise RunError(f'{folder} is damaged (no position): {remedy}')
    return found['state'], position


def load_params(workdir, like):
  """Restores what `save_params` wrote at the end of a run.

  Args:
    workdir: a run directory.
    like: parameters (or abstract ones) of the same structure.

  Raises:
    RunError: if the run has not finished, they are damaged or of other shapes.
  """
  path = Path(workdir) / 'params'
  if not path.exists():
    raise RunError(
      f'{workdir} holds no finished parameters: run its stage first'
    )
  try:
    hosts.once(lambda: digests.check(workdir, 'params'))
  except digests.DamagedError as error:
    raise RunError(str(error)) from None
  like = _own_places(like)
  with _Quiet('read', path, digests.remedy_of(workdir)):
    with ocp.StandardCheckpointer() as checkpointer:
      saved = checkpointer.metadata(path.absolute()).item_metadata.tree
      _require_fit(saved, like, path)
      return checkpointer.restore(path.absolute(), like)


def _own_places(like):
  """Shapes to be read: those without a place on a device of this process.

  The place that was saved may be another process's.
  """
  if hosts.count() == 1:
    return like
  here = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
  return jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(
      x.shape, x.dtype, sharding=getattr(x, 'sharding', None) or here
    ),
    like,
  )


def save_params(workdir, params):
  """Writes a run's final parameters for the stages after it.

  Of several processes the first writes them: in one piece, so that any number
  can read them.

  Raises:
    RunError: in one line, if they cannot be written.
  """
  path = (Path(workdir) / 'params').absolute()
  if hosts.count() > 1:
    params = jax.tree.map(whole, params)
  remedy = 'see to the disk and give the same command again'
  with _Quiet('write', path, remedy):
    with ocp.StandardCheckpointer() as checkpointer:
      checkpointer.save(path, params, force=True)
