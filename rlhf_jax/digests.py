"""Digests of files: whether what is read is what was written.

    done.json   {..., 'digests': {file: sha256}, 'digest': its own}

A run that finishes leaves them for all of its artefacts. Whoever reads one
checks it first: a gigabyte a second. Runs of before had none, and are read as
they are. Standard library alone, so that analyses without JAX check as well.
"""

import hashlib
import json
import os
from pathlib import Path

DONE = 'done.json'
# What a finished run may still write, or whose digests stand elsewhere.
UNLISTED = {
  DONE,
  '.lock',
  'failed.json',
  'spent.json',
  'speed.jsonl',
  'tensorboard',
  'wandb',
  'wandb.json',
  'mlflow',
  'mlflow.db',
  'mlflow.json',
  'checkpoints.json',
  'checkpoints',
  'figures',
  'report',
}


class DamagedError(ValueError):
  """A file that is not what was written; names it and what to do."""


def of_bytes(data) -> str:
  """SHA-256 of bytes, 64 hex digits."""
  return hashlib.sha256(data).hexdigest()


def of_file(path) -> str:
  """SHA-256 of a file's content."""
  with Path(path).open('rb') as file:
    return hashlib.file_digest(file, 'sha256').hexdigest()


def of_folder(folder, unlisted=UNLISTED) -> dict[str, str]:
  """{path below the folder: digest} of its files.

  Left out are half-written files, folders that are runs of their own, and at
  the top what is unlisted.
  """
  folder, found = Path(folder), {}
  for place, folders, files in os.walk(folder):
    top = Path(place) == folder
    kept = lambda name, top=top: not (top and name in unlisted)
    inside = lambda name, at=Path(place): (at / name / 'config.json').is_file()
    folders[:] = [x for x in sorted(folders) if kept(x) and not inside(x)]
    for name in sorted(files):
      if kept(name) and not name.endswith('.part'):
        file = Path(place) / name
        found[file.relative_to(folder).as_posix()] = of_file(file)
  return found


def check_files(folder, digests, remedy) -> None:
  """Compares files with their digests.

  Args:
    folder: which the names are relative to.
    digests: {name: digest}.
    remedy: what to do, as the end of the sentence.

  Raises:
    DamagedError: naming the first that is missing or has changed.
  """
  for name, digest in digests.items():
    path = Path(folder) / name
    if not path.is_file():
      raise DamagedError(f'{path} is missing: {remedy}')
    if of_file(path) != digest:
      raise DamagedError(
        f'{path} is damaged (it has not the digest it was written with): '
        f'{remedy}'
      )


def sealed(summary) -> dict:
  """The content of a done.json with a digest of its own."""
  return {**summary, 'digest': _own(summary)}


def _own(content):
  return of_bytes(json.dumps(content, sort_keys=True).encode())


def read_json(path, kind=object):
  """The value of a JSON file.

  Args:
    path: of the file.
    kind: dict or list, if it has to be one.

  Raises:
    DamagedError: if it is no text, no JSON or of another kind.
    OSError: if it cannot be read.
  """
  try:
    content = json.loads(Path(path).read_text(encoding='utf-8'))
  except json.JSONDecodeError as error:
    where = f'{path}:{error.lineno}'
    raise DamagedError(f'{where}: not JSON ({error.msg})') from None
  except (ValueError, RecursionError) as error:
    raise DamagedError(f'{path} is damaged ({reason(error)})') from None
  if not isinstance(content, kind):
    wanted = {dict: 'an object', list: 'a list'}[kind]
    got = type(content).__name__
    raise DamagedError(f'{path} is damaged (wanted {wanted}, got {got})')
  return content


def write_json(path, value):
  """Writes a JSON file that is whole or absent."""
  path = Path(path)
  part = path.with_name(path.name + '.part')
  part.write_text(json.dumps(value, indent=1) + '\n', encoding='utf-8')
  os.replace(part, path)


def reason(error) -> str:
  """A few words on an error of reading."""
  if isinstance(error, UnicodeDecodeError):
    return 'it is not UTF-8 text'
  said = str(error).strip().splitlines()
  return said[0] if said else type(error).__name__


def remedy_of(folder) -> str:
  """The end of a sentence about a damaged artefact of a run."""
  return f'delete {folder} and run its stage again'


def read_done(folder) -> dict:
  """The done.json of a finished run; {} if there is none.

  Raises:
    DamagedError: if it is not what was written.
  """
  path = Path(folder) / DONE
  if not path.is_file():
    return {}
  try:
    content = read_json(path, dict)
  except DamagedError as error:
    raise DamagedError(f'{error}: {remedy_of(folder)}') from None
  own = content.pop('digest', None)
  listed = content.get('digests', {})
  if (own is None and listed) or own not in (None, _own(content)):
    raise DamagedError(
      f'{path} is damaged (it has not the digest it was written with): '
      f'{remedy_of(folder)}'
    )
  return content


def check(folder, *names) -> None:
  """Compares artefacts of a finished run with what its done.json says.

  Args:
    folder: run directory; one without done.json or digests passes.
    *names: of files, or of folders with all that is in them.

  Raises:
    DamagedError: naming what is missing or has changed.
  """
  listed = read_done(folder).get('digests', {})
  wanted = {
    file: digest
    for file, digest in listed.items()
    if any(file == name or file.startswith(f'{name}/') for name in names)
  }
  check_files(folder, wanted, remedy_of(folder))
