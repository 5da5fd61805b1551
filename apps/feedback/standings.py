"""Win rates and Elo of the snapshots that people talked with.

    python -m apps.feedback.standings --db=FILE [--task=helpful] [--to=FOLDER]

Elo is over the snapshot that was served first; intervals are of 95 % over
conversations (`rlhf_jax/analysis/deployed.py`). Which reply is better counts,
whichever of the two people were asked for. Attention items, replies of files
and rewrites are no games. With --to also deployed.csv and deployed_games.csv.
"""

import argparse
import functools
import sys
from pathlib import Path

import pandas as pd

from apps.feedback import database
from rlhf_jax.analysis import deployed
from rlhf_jax.data.said import unique

TASKS = ('helpful', 'red_team')


def found(db, task: str = '') -> deployed.Standings:
  """The Standings of a database; fitted again only after another choice.

  Args:
    db: connection.
    task: 'helpful' or 'red_team'; '': both together.
  """
  names = unique(database.snapshot_names(db))
  games = tuple(
    deployed.Game(
      item.about.partition('/')[0],
      names[item.chosen_snapshot],
      names[item.rejected_snapshot],
      True,
    )
    for item in database.comparisons(db)
    if item.chosen_snapshot
    and item.rejected_snapshot
    and task in ('', item.task)
  )
  return _fitted(games, tuple(names.values()))


@functools.lru_cache(maxsize=4)
def _fitted(games, names):
  return deployed.standings(games, names)


def table(db, task: str = '') -> list[dict]:
  """Rows for the admin page, a snapshot each.

  Keys: snapshot; elo, low, high; wins, the share of its games; n, the number of
  them; fit, whether the fit converged or why there is no Elo.
  """
  own = found(db, task)
  return [
    {
      'snapshot': x.name,
      'elo': x.elo.mean,
      'low': x.elo.low,
      'high': x.elo.high,
      'wins': x.wins / x.games if x.games else float('nan'),
      'n': x.games,
      'fit': own.fit,
    }
    for x in own.players
  ]


def main(arguments=None) -> None:
  """Reads the flags, and prints the tables."""
  parser = argparse.ArgumentParser(
    prog='python -m apps.feedback.standings',
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_argument('--db', required=True, help='the database')
  parser.add_argument('--task', choices=TASKS, default='', help='one alone')
  parser.add_argument('--to', help='folder for the tables')
  flags = parser.parse_args(arguments)
  try:
    with database.told(flags.db):
      own = found(database.connect(flags.db), flags.task)
  except database.DatabaseError as error:
    sys.exit(f'error: {error}')
  players = pd.DataFrame(deployed.player_rows(own))
  pairs = pd.DataFrame(deployed.pair_rows(own))
  if len(players):
    print(players.drop(columns='fit').round(3).to_string(index=False))
  print(f'Elo: {own.fit}')
  if len(pairs):
    print(pairs.round(3).to_string(index=False))
  if flags.to:
    try:
      _write(Path(flags.to), players, pairs)
    except OSError as error:
      sys.exit(
        f'error: wanted a folder to write to as --to={flags.to}, got {error}: '
        'give another'
      )


def _write(folder, players, pairs):
  """Writes both tables."""
  folder.mkdir(parents=True, exist_ok=True)
  players.to_csv(folder / 'deployed.csv', index=False)
  pairs.to_csv(folder / 'deployed_games.csv', index=False)


if __name__ == '__main__':
  main()
