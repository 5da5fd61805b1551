"""Run directories in, tidy tables out.

A run is a directory with `config.json`, `env.json`, `metrics.jsonl`, its
result tables and, written last, `done.json`. A run without `done.json` is
unfinished and is never read into a table; where it holds digests, what is read
is compared with them. Which tables there are, the themes
say (`claims.registry`); docs/tables.md lists them.
"""

import gzip
import io
import json
import os
import pathlib
import zlib

import pandas as pd

from rlhf_jax import digests
from rlhf_jax.analysis.claims import spec
from rlhf_jax.analysis.claims.registry import Registry, load

RUN_COLUMNS = tuple(spec.RUN_COLUMNS)
COMPUTE = 'compute'  # a table of what done.json says of every run
# Names that look like numbers stay text: a commit 12e4567 is not infinity.
TEXT_COLUMNS = ('run_id', 'config_hash', 'commit', 'role', 'size', 'half')


def find_runs(workdir) -> list[pathlib.Path]:
  """The finished runs under `workdir`, itself included, sorted by path.

  Args:
    workdir: directory of a study.

  Returns:
    Directories that hold both `config.json` and `done.json`.

  Raises:
    FileNotFoundError: if `workdir` is not a directory.
  """
  workdir = pathlib.Path(workdir)
  if not workdir.is_dir():
    raise FileNotFoundError(
      f'no directory {workdir}: run a study first, or pass its --workdir'
    )
  found = []
  for folder, folders, files in os.walk(workdir):
    folders[:] = [name for name in folders if name != 'checkpoints']
    if 'config.json' in files and 'done.json' in files:
      found.append(pathlib.Path(folder))
  return sorted(found)


def _read_json(path: pathlib.Path) -> dict:
  try:
    return digests.read_json(path, dict)
  except digests.DamagedError as error:
    raise ValueError(f'{error}: {digests.remedy_of(path.parent)}') from None


def read_run(path) -> dict:
  """The three JSON files of a finished run.

  Args:
    path: run directory.

  Returns:
    {'config': dict, 'env': dict, 'done': dict}; `env` is empty if the run
    has no `env.json`.

  Raises:
    FileNotFoundError: if the run has no `config.json` or no `done.json`.
    ValueError: if a file is not a JSON object, or not what was written.
  """
  path = pathlib.Path(path)
  for name in ('config.json', 'done.json'):
    if not (path / name).is_file():
      raise FileNotFoundError(f'{path} has no {name}: not a finished run')
  done, env = digests.read_done(path), path / 'env.json'
  digests.check(path, 'config.json', 'env.json')
  return {
    'config': _read_json(path / 'config.json'),
    'env': _read_json(env) if env.is_file() else {},
    'done': done,
  }


def read_metrics(path) -> pd.DataFrame:
  """`metrics.jsonl` of a run, one row a line.

  A last line without its newline is still being written and is left out.

  Args:
    path: run directory, finished or not.

  Returns:
    A frame with one column for each key that any line has.

  Raises:
    FileNotFoundError: if the run has no `metrics.jsonl`.
    ValueError: if a whole line is not JSON; names file and line. If the run
      has finished and it is not what was written.
  """
  file = pathlib.Path(path) / 'metrics.jsonl'
  digests.check(path, 'metrics.jsonl')
  if not file.is_file():
    raise FileNotFoundError(f'no {file}: this run has logged nothing')
  rows = []
  lines = file.read_bytes().split(b'\n')
  for number, line in enumerate(lines[:-1], start=1):
    try:
      row = json.loads(line)
    except ValueError as error:
      reason = digests.reason(error)
      raise ValueError(f'{file}:{number}: not JSON ({reason})') from None
    if not isinstance(row, dict) or 'step' not in row:
      raise ValueError(f'{file}:{number}: wanted a row with a step')
    rows.append(row)
  return pd.DataFrame(rows)


def _read_csv(file: pathlib.Path, table: spec.Table) -> pd.DataFrame:
  """One CSV file, plain or gzipped; a half-written one is an error."""
  data = file.read_bytes()
  try:
    if file.suffix == '.gz':
      data = gzip.decompress(data)
    if not data.endswith(b'\n'):
      raise ValueError('its last line has no end')
    dtypes = dict.fromkeys((*TEXT_COLUMNS, *table.text), 'str')
    return pd.read_csv(io.BytesIO(data), dtype=dtypes)
  except (ValueError, EOFError, OSError, zlib.error) as error:
    reason = str(error).strip().splitlines()[0]
    raise ValueError(
      f'{file} is half-written or damaged ({reason}); write it again'
    ) from None


def _table_file(folder: pathlib.Path, name: str) -> pathlib.Path | None:
  for file in (folder / f'{name}.csv', folder / f'{name}.csv.gz'):
    if file.is_file():
      return file
  return None


def _run_table(file, table, run_id, run) -> pd.DataFrame:
  """A table of one run, with the run columns in front."""
  frame = _read_csv(file, table)
  missing = [
    column
    for column in table.columns
    if column not in frame and column not in table.optional
  ]
  if missing:
    raise ValueError(
      f'{file} lacks the columns {", ".join(missing)} of docs/tables.md'
    )
  if not isinstance(run['config'].get('row'), dict):
    raise ValueError(
      f"{file.parent / 'config.json'} has no dict 'row': wanted seed, role, "
      'size, n_params, half, config_hash'
    )
  return _with_run_columns(frame, run_id, run)


def _with_run_columns(frame, run_id, run) -> pd.DataFrame:
  """A frame with the run columns in front."""
  row = run['config']['row']
  known = {'run_id': run_id, 'commit': run['env'].get('commit')}
  for position, column in enumerate(RUN_COLUMNS):
    value = known[column] if column in known else row.get(column)
    if column in frame:
      frame = frame.drop(columns=column)
    frame.insert(position, column, value)
  return frame


def run_tables(
  path, run_id=None, registry: Registry | None = None
) -> dict[str, pd.DataFrame]:
  """Every table that one finished run wrote, with the run columns.

  Args:
    path: run directory.
    run_id: in the tables; None: the directory's name.
    registry: whose tables are looked for; None: that of the house.

  Raises:
    FileNotFoundError: if it is not a finished run.
    ValueError: if a table is damaged.
  """
  path = pathlib.Path(path)
  run, run_id = read_run(path), run_id or path.resolve().name
  tables = (registry or load()).tables
  names = [f'{name}{end}' for name in tables for end in ('.csv', '.csv.gz')]
  digests.check(path, *names)
  files = {name: _table_file(path, name) for name in tables}
  found = {
    name: _run_table(file, tables[name], run_id, run)
    for name, file in files.items()
    if file is not None
  }
  if COMPUTE in tables and 'flops' in run['done']:
    own = {'stage': run['config'].get('stage', '')}
    own |= {key: run['done'][key] for key in ('flops', 'seconds')}
    found[COMPUTE] = _with_run_columns(pd.DataFrame([own]), run_id, run)
  return found


def collect(
  workdir, registry: Registry | None = None
) -> dict[str, pd.DataFrame]:
  """Every table of every finished run, joined, with the run columns.

  Args:
    workdir: directory of a study.
    registry: whose tables are looked for; None: that of the house.

  Returns:
    Table name -> frame, rows in order of run path; a table that no run wrote
    is absent.

  Raises:
    FileNotFoundError: if `workdir` is not a directory.
    ValueError: if it holds no finished run, or a table is damaged.
  """
  workdir = pathlib.Path(workdir)
  paths = find_runs(workdir)
  if not paths:
    raise ValueError(
      f'{workdir} holds no finished run (a directory with config.json and '
      'done.json)'
    )
  registry = registry or load()
  parts = {name: [] for name in registry.tables}
  for path in paths:
    run_id = path.relative_to(workdir).as_posix()
    for name, frame in run_tables(path, run_id, registry).items():
      parts[name].append(frame)
  return {
    name: pd.concat(frames, ignore_index=True)
    for name, frames in parts.items()
    if frames
  }


def write_tables(
  tables, directory, registry: Registry | None = None
) -> list[pathlib.Path]:
  """Writes each table as CSV; equal tables give equal bytes.

  Args:
    tables: name -> frame. A compressed one is gzipped, with no time stamp.
    directory: made if missing.
    registry: which knows what is compressed; None: that of the house.

  Returns:
    The files written.
  """
  directory = pathlib.Path(directory)
  directory.mkdir(parents=True, exist_ok=True)
  known = (registry or load()).tables
  files = []
  for name, frame in tables.items():
    text = frame.to_csv(index=False, lineterminator='\n').encode()
    file = directory / f'{name}.csv'
    if name in known and known[name].compressed:
      file = directory / f'{name}.csv.gz'
      text = gzip.compress(text, mtime=0)
    file.write_bytes(text)
    files.append(file)
  return files


def read_tables(
  directory, registry: Registry | None = None
) -> dict[str, pd.DataFrame]:
  """The tables that `write_tables` wrote.

  Args:
    directory: usually `DIR/tables`.
    registry: whose tables are looked for; None: that of the house.

  Returns:
    Table name -> frame, for the tables that are there.

  Raises:
    FileNotFoundError: if the directory is missing or holds no table.
    ValueError: if a table is damaged; names the file.
  """
  directory = pathlib.Path(directory)
  if not directory.is_dir():
    raise FileNotFoundError(
      f'no directory {directory}: `analysis.runs.write_tables` makes it'
    )
  known = (registry or load()).tables
  files = {name: _table_file(directory, name) for name in known}
  tables = {n: _read_csv(file, known[n]) for n, file in files.items() if file}
  if not tables:
    raise FileNotFoundError(
      f'{directory} holds none of {", ".join(f"{n}.csv" for n in known)}'
    )
  return tables
