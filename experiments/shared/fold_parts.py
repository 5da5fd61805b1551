"""Tables of folds, each kept as soon as it is fitted."""

import pandas as pd


def kept(folder, number, names, make):
  """The tables of one fold, from its files or into them.

  Args:
    folder: of the parts; made if absent.
    number: of the fold among all draws.
    names: of the tables.
    make: () -> the tables, frames in the order of the names.
  """
  files = [folder / f'{number:03d}_{name}' for name in names]
  if not files[-1].exists():
    folder.mkdir(exist_ok=True)
    for file, table in zip(files, make(), strict=True):
      write_packed(file, table)
  return tuple(pd.read_csv(file, compression='gzip') for file in files)


def write_packed(path, table):
  """Writes a table as CSV, gzipped; whole or absent, equal ones equal bytes."""
  part = path.with_name(f'{path.name}.part')
  table.to_csv(part, index=False, compression={'method': 'gzip', 'mtime': 0})
  part.replace(path)
