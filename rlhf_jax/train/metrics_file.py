"""metrics.jsonl of a run: a line a row, and what a checkpoint knows of it.

A checkpoint keeps length and digest of the file as it was. A run that resumes
cuts what was logged later, and finds every earlier row there once.
"""

import hashlib
import json
import os
from pathlib import Path

import numpy as np

from rlhf_jax.digests import reason
from rlhf_jax.train.about import RunError

NAME = 'metrics.jsonl'


class MetricsFile:
  """The file of one run; nothing is opened before it is needed.

  Args:
    folder: run directory.
  """

  def __init__(self, folder):
    self._path = Path(folder) / NAME
    self._file, self._digest, self._bytes = None, hashlib.sha256(), 0

  def resume(self, step, mark):
    """Cuts the file to what it was at a checkpoint.

    Args:
      step: of the checkpoint; 0: the run starts anew, with no rows.
      mark: of `mark`; None in checkpoints of before, whose rows up to `step`
        are kept.

    Raises:
      RunError: if the rows up to the checkpoint are not there as written.
    """
    data = self._path.read_bytes() if self._path.exists() else b''
    if step == 0:
      data = b''
    elif mark is None:
      data = self._rows_until(data, step)
    else:
      data = data[: mark['bytes']]
      if hashlib.sha256(data).hexdigest() != mark['sha256']:
        self._refuse(f'it is not what it was at checkpoint {step}')
    part = self._path.with_name(NAME + '.part')
    part.write_bytes(data)
    os.replace(part, self._path)
    self._digest, self._bytes = hashlib.sha256(data), len(data)
    self._file = self._path.open('ab')

  def _rows_until(self, data, step):
    """The lines that are rows of no later step; the last may be half one."""
    kept, (whole, end, _) = [], data.rpartition(b'\n')
    lines = whole.split(b'\n') if end else []
    for number, line in enumerate(lines, start=1):
      try:
        row = json.loads(line)
        later = row['step'] > step
      except (ValueError, KeyError, TypeError) as error:
        self._refuse(f'line {number} is no row ({reason(error)})')
      if not later:
        kept.append(line + b'\n')
    if len(set(kept)) < len(kept):
      self._refuse('a line stands there twice')
    return b''.join(kept)

  def _refuse(self, why):
    raise RunError(
      f'{self._path} is damaged ({why}): delete {self._path.parent} and run '
      'its stage again'
    )

  def add(self, kind, step, metrics):
    """Appends one row, of plain values."""
    if self._file is None:
      self._file = self._path.open('ab')
      self._bytes = self._file.tell()
      self._digest = hashlib.sha256(self._path.read_bytes())
    line = json.dumps({'kind': kind, 'step': int(step), **metrics}) + '\n'
    self._file.write(line.encode())
    self._digest.update(line.encode())
    self._bytes += len(line.encode())

  def mark(self):
    """{'bytes', 'sha256'} of all rows so far, written out; None of no rows."""
    if self._file is None:
      return None
    self._file.flush()
    return {'bytes': self._bytes, 'sha256': self._digest.hexdigest()}

  def rows(self, kind, mark=None):
    """All rows of one kind, in order.

    Args:
      kind: of `add`.
      mark: of `mark`, where another process writes the file.

    Raises:
      RunError: if they are not those that this run has logged.
    """
    mark, data = mark or self.mark(), self._path.read_bytes()
    if mark and self._file is None:  # the writer may have gone on
      data = data[: mark['bytes']]
    if mark and hashlib.sha256(data).hexdigest() != mark['sha256']:
      self._refuse('another process has changed it')
    rows = [json.loads(line) for line in data.splitlines()]
    return [
      {k: v for k, v in row.items() if k != 'kind'}
      for row in rows
      if row['kind'] == kind
    ]

  def close(self, after_error=False):
    """Lets go of the file; after an error rows that find no room are lost."""
    if self._file is None:
      return
    try:
      self._file.close()
    except OSError:
      if not after_error:
        raise


def plain(metrics):
  """The metrics of a step as numbers of Python."""
  return {name: _plain(value) for name, value in metrics.items()}


def _plain(value):
  if hasattr(value, 'item') and np.ndim(value) == 0:
    return np.asarray(value).item()
  return value
