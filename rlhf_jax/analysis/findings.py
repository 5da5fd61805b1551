"""What an evaluator is given and what it hands back.

Figures choose their rows with the same functions as the claims they show.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence

import pandas as pd

from rlhf_jax.analysis.intervals import Contrast, Interval, t_interval

Tables = Mapping[str, pd.DataFrame]


class NotRunError(Exception):
  """The tables lack what a claim or a figure needs; the message says what."""


class NotHereError(NotRunError):
  """The study is of another kind, of which a check has nothing to say."""


@dataclasses.dataclass(frozen=True)
class Finding:
  """What was measured about one claim.

  Attributes:
    contrasts: what the verdict is given on.
    measured: side numbers. The mean of every contrast is added by the judge.
    note: anything a reader must know.
  """

  contrasts: Sequence[Contrast]
  measured: Mapping[str, float] = dataclasses.field(default_factory=dict)
  note: str = ''


def select(tables: Tables, name: str, **where) -> pd.DataFrame:
  """The rows of a table where every named column has the wanted value.

  Args:
    tables: name -> frame.
    name: of the table.
    where: column -> value, or a list of values of which each will do.

  Raises:
    NotRunError: if the table is missing, or no row is left.
  """
  if name not in tables:
    raise NotRunError(f'no table {name}.csv')
  return keep(tables[name], f'{name}.csv', **where)


def keep(frame: pd.DataFrame, name: str, **where) -> pd.DataFrame:
  """As `select`, of a frame that a sentence calls `name`."""
  for column, wanted in where.items():
    allowed = wanted if isinstance(wanted, list) else [wanted]
    frame = frame[frame[column].isin(allowed)]
  if frame.empty:
    wanted = ', '.join(f'{key}={value}' for key, value in where.items())
    raise NotRunError(f'{name} has no rows with {wanted}')
  return frame


def need_values(frame: pd.DataFrame, column: str, reason: str) -> None:
  """Raises NotRunError when a column is empty (NaN on real data)."""
  if frame[column].isna().all():
    raise NotRunError(f'{column} is empty: {reason}')


def largest(frame: pd.DataFrame) -> pd.DataFrame:
  """The rows of the largest model."""
  return frame[frame['n_params'] == frame['n_params'].max()]


def last(frame: pd.DataFrame, column: str) -> pd.DataFrame:
  """The rows of the last checkpoint of every run, by this column."""
  return frame[
    frame[column] == frame.groupby('run_id')[column].transform('max')
  ]


def sizes(frame: pd.DataFrame) -> list[str]:
  """Ladder names, smallest first."""
  order = frame.groupby('size')['n_params'].min().sort_values()
  return list(order.index)


def by_size(frame: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
  """[(size, its rows), ...], smallest first."""
  return [(size, frame[frame['size'] == size]) for size in sizes(frame)]


def runs_of_role(tables: Tables, role: str):
  """Yields (identity, checkpoints by samples) of each RL run of a role."""
  curve = select(tables, 'rl_curve', role=role)
  for run_id, run in curve.groupby('run_id'):
    run = run.sort_values('samples')
    first = run.iloc[0]
    keys = ('seed', 'size', 'n_params', 'half')
    yield {'run_id': run_id, **{key: first[key] for key in keys}}, run


def per_seed(
  frame: pd.DataFrame, measure: Callable[[pd.DataFrame], dict[str, float]]
) -> pd.DataFrame:
  """Measures each run, then averages the runs of one seed.

  A run that is NaN makes its seed NaN: nothing is dropped in silence.
  """
  rows = [
    {'seed': seed, **measure(run)}
    for (seed, _), run in frame.groupby(['seed', 'run_id'])
  ]
  return seed_means(pd.DataFrame(rows))


def seed_means(rows: pd.DataFrame) -> pd.DataFrame:
  """Means by seed of numeric rows that have a `seed` column, NaN kept."""
  return rows.groupby('seed').agg(lambda v: v.mean(skipna=False))


def contrast(name, values, side, bound, interval=t_interval) -> Contrast:
  """A contrast on an interval of one value a seed: t, or one of `bounded`."""
  return Contrast(name, interval(list(values)), bound, side)


def contrasts_by_size(
  rows, column, side, bound, interval=t_interval
) -> list[Contrast]:
  """One contrast a size, over seeds (the runs of a seed averaged)."""
  return [
    contrast(
      f'{column}_{size}',
      seed_means(own[['seed', column]])[column],
      side,
      bound,
      interval,
    )
    for size, own in by_size(rows)
  ]


def means_by_size(rows: pd.DataFrame, *columns: str) -> dict[str, float]:
  """Means over the runs of each size, as side numbers."""
  return {
    f'{column}_{size}': float(own[column].mean())
    for column in columns
    for size, own in by_size(rows)
  }


def means(frame: pd.DataFrame, *columns: str) -> dict[str, float]:
  """Means over seeds, as side numbers; NaN where a seed's is."""
  return {column: float(frame[column].mean(skipna=False)) for column in columns}


def finite_interval(interval: Interval) -> list[float] | None:
  """[low, high] for a report, or None when it is not finite."""
  ends = [interval.low, interval.high]
  return ends if all(map(math.isfinite, ends)) else None
