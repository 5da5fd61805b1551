"""Small files of a run: tidy CSV tables, JSON."""

import csv
import zipfile
import zlib
from pathlib import Path

import numpy as np

from rlhf_jax import digests
from rlhf_jax.train import hosts


@hosts.by_one
def write_csv(path, rows):
  """Writes a list of dicts with equal keys; atomically.

  Raises:
    ValueError: if there is no row, or one has other keys.
  """
  path = Path(path)
  if not rows:
    raise ValueError(
      f'{path}: wanted a row or more, got none: look at what was to be measured'
    )
  part = path.with_name(path.name + '.part')
  with part.open('w', newline='') as file:
    writer = csv.DictWriter(file, fieldnames=list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
  part.replace(path)


def read_json(path):
  """Reads JSON, or says which stage has to run first.

  Raises:
    FileNotFoundError: with the path.
  """
  path = Path(path)
  if not path.exists():
    raise FileNotFoundError(f'{path} is missing: run the stage that writes it')
  digests.check(path.parent, path.name)
  return digests.read_json(path)


def read_arrays(path, *names):
  """{name: array} of an .npz file, checked against its run's digests.

  Args:
    path: of the file.
    *names: of arrays that have to be there.

  Raises:
    FileNotFoundError: if it is missing.
    DamagedError: if it is not what was written, or no such file at all.
  """
  path = Path(path)
  if not path.exists():
    raise FileNotFoundError(f'{path} is missing: run the stage that writes it')
  digests.check(path.parent, path.name)
  try:
    with np.load(path) as data:
      found = dict(data)
  except (
    OSError,
    ValueError,
    EOFError,
    KeyError,
    AttributeError,
    TypeError,
    NotImplementedError,
    RuntimeError,
    MemoryError,
    SyntaxError,
    zipfile.BadZipFile,
    zlib.error,
  ) as error:
    why = digests.reason(error)
  else:
    lacking = [name for name in names if name not in found]
    if not lacking:
      return found
    why = f'it lacks {", ".join(lacking)}'
  raise digests.DamagedError(
    f'{path} is damaged ({why}): {digests.remedy_of(path.parent)}'
  )
