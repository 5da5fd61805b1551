"""Tables of the parts of a study, which other machines ran, as those of one."""

from collections.abc import Mapping

import pandas as pd


def join_tables(
  parts: Mapping[str, Mapping[str, pd.DataFrame]],
) -> dict[str, pd.DataFrame]:
  """Every table that a part has, with the rows of all of them.

  A run that several parts have, such as a language model that all seeds share,
  is taken from the first, table by table; rows of no run, as of the compile
  ledger, are all kept.

  Args:
    parts: name of a part -> its tables, as `runs.read_tables` gives them.

  Returns:
    Table name -> frame; columns as in the first part that has the table.

  Raises:
    ValueError: if a run of one name was told other settings in another part, or
      a table has other columns.
  """
  known, first = {}, {}
  for part, tables in parts.items():
    for frame in tables.values():
      for run, told in _runs(frame):
        if known.setdefault(run, told) != told:
          raise ValueError(
            f'{part}: the run {run} was told other settings than in '
            f'{first[run]} (config_hash {told}, there {known[run]})'
          )
        first.setdefault(run, part)
  names = dict.fromkeys(name for tables in parts.values() for name in tables)
  return {name: _joined(name, parts) for name in names}


def _runs(frame):
  """(run_id, config_hash) of the runs of a table."""
  pairs = frame[['run_id', 'config_hash']].dropna().drop_duplicates()
  return pairs.itertuples(index=False, name=None)


def _joined(name, parts):
  frames, seen = [], set()
  for part, tables in parts.items():
    frame = tables.get(name)
    if frame is None:
      continue
    other = set(frame.columns) ^ set((frames or [frame])[0].columns)
    if other:
      raise ValueError(
        f'{part}: the table {name} has other columns: {sorted(other)}'
      )
    frames.append(frame[~frame['run_id'].isin(seen)])
    seen |= set(frame['run_id'].dropna())
  return pd.concat(frames, ignore_index=True)
