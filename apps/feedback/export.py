"""Choices as pairs in the format of the HH release, and all that is known.

    python -m apps.feedback.export --db=FILE --to=FOLDER
    python -m apps.feedback.export --db=FILE --from=FOLDER

The first writes FOLDER/pairs/comparisons.jsonl, a line a pair, which every
reader of this project takes (`--config.data.source=pairs
--config.data.path=FOLDER/pairs`), and FOLDER/sidecar.jsonl, a line a choice
with all its fields. The same choices give the same bytes. Choices of the two
weakest boxes are no pairs (Bai et al. 2022, section 2.2) unless --weakest; the
sidecar has them and says so. Attention items are in neither. Nobody's name,
link or session is.

The second reads a sidecar into a database; what is there already stays as it
is, so that an export read back changes nothing. A later export adds what came
since, the ends of conversations too.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from apps.feedback import database, restore
from rlhf_jax.data import said
from rlhf_jax.data.faults import DataError
from rlhf_jax.data.jsonl import write_comparisons, write_rows

PAIRS, SIDECAR = 'pairs/comparisons.jsonl', 'sidecar.jsonl'


def pairs(db, weakest: bool = False):
  """Yields (Compared, Comparison or the reason why it is none)."""
  for item in database.comparisons(db):
    yield item, said.comparison_of(item, weakest)


def pair_lines(db, weakest: bool = False) -> Iterator[str]:
  """Lines of JSON of the pairs, each with its newline."""
  for _, pair in pairs(db, weakest):
    if not isinstance(pair, str):
      yield _line(pair_row(pair))


def pair_row(pair) -> dict:
  """A row of the HH release, with its source and kind."""
  keys = 'chosen', 'rejected', 'source', 'kind'
  return {key: getattr(pair, key) for key in keys}


def sidecar_lines(db, weakest: bool = False) -> Iterator[str]:
  """Lines of JSON with all fields of every choice, each with its newline."""
  for row in sidecar_rows(db, weakest):
    yield _line(row)


def sidecar_rows(db, weakest: bool = False) -> Iterator[dict]:
  """Rows of the sidecar, in the order of the choices.

  `pair` is the line of comparisons.jsonl, from 1, or None, and `left_out` says
  why; `chosen`, `rejected` and their snapshots are as training reads them; the
  rest is the rows of the tables, by uid.
  """
  line = 0
  for item, pair in pairs(db, weakest):
    left_out = pair if isinstance(pair, str) else ''
    line += not left_out
    yield {
      'uid': item.uid,
      'pair': None if left_out else line,
      'left_out': left_out,
      **{key: getattr(item, key) for key in _DERIVED},
      **_rows_of(db, item.id),
    }


_DERIVED = (
  *('chosen', 'rejected', 'chosen_snapshot', 'rejected_snapshot'),
  *('good_score', 'bad_score', 'strength'),
)


def _rows_of(db, choice):
  """{table: its fields} of everything behind a choice."""
  one = lambda table, at: db.execute(
    f'SELECT * FROM {table} WHERE id = ?', (at,)
  ).fetchone()
  own = one('choices', choice)
  turn = one('turns', own['turn_id'])
  lease = one('assignments', turn['assignment_id'])
  item = one('items', lease['item_id'])
  query = 'SELECT * FROM replies WHERE turn_id = ? ORDER BY place'
  replies = db.execute(query, (turn['id'],)).fetchall()
  wrote = [one('snapshots', reply['snapshot_id']) for reply in replies]
  found = {
    'choice': _fields('choices', own),
    'turn': _fields('turns', turn),
    'assignment': _fields('assignments', lease),
    'item': _fields('items', item) | {'source': _source(db, item)},
    'person': _fields('people', one('people', own['person_id'])),
    'replies': [
      _fields('replies', reply) | {'snapshot': row and row['uid']}
      for reply, row in zip(replies, wrote, strict=True)
    ],
  }
  known = {row['uid']: _fields('snapshots', row) for row in wrote if row}
  return found | {'snapshots': [known[uid] for uid in sorted(known)]}


def _fields(table, row):
  """The fields of a row that the sidecar has."""
  return {name: row[name] for name in restore.FIELDS[table]}


def _source(db, item):
  """The turn whose replies a pair shows; None without, or if not exported.

  Turns are exported with their choices.
  """
  row = db.execute(
    'SELECT a.uid, t.number FROM turns AS t '
    'JOIN assignments AS a ON a.id = t.assignment_id '
    'JOIN choices AS c ON c.turn_id = t.id '
    'JOIN items AS i ON i.id = a.item_id '
    'WHERE t.id = ? AND i.answer IS NULL',
    (item['source_turn_id'],),
  ).fetchone()
  return dict(row) if row else None


def _line(row):
  return json.dumps(row, ensure_ascii=False) + '\n'


def write(db, folder, weakest: bool = False) -> dict[str, int]:
  """Writes both files, of one state of the database.

  Args:
    db: connection.
    folder: of the files.
    weakest: whether the weakest boxes are pairs.

  Returns:
    {'pairs': n, reason: n}: each choice is a pair or left out for a reason.
  """
  folder = Path(folder)
  with database.reading(db):
    found = [pair for _, pair in pairs(db, weakest)]
    rows = list(sidecar_rows(db, weakest))
  own = [pair for pair in found if not isinstance(pair, str)]
  write_comparisons(folder / PAIRS, own)
  write_rows(folder / SIDECAR, rows)
  left = [pair for pair in found if isinstance(pair, str)]
  return {'pairs': len(own)} | {why: left.count(why) for why in sorted({*left})}


def main(arguments=None) -> None:
  """Reads the flags, and writes or reads."""
  parser = argparse.ArgumentParser(
    prog='python -m apps.feedback.export',
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_argument('--db', required=True, help='the database')
  way = parser.add_mutually_exclusive_group(required=True)
  way.add_argument('--to', help='folder to write to')
  way.add_argument('--from', dest='source', help='folder to read from')
  parser.add_argument(
    '--weakest', action='store_true', help='take the weakest boxes as pairs'
  )
  flags = parser.parse_args(arguments)
  try:
    with database.told(flags.db):
      _run(flags)
  except (database.DatabaseError, DataError, OSError) as error:
    sys.exit(f'error: {error}')


def _run(flags):
  """Writes or reads, and says how much."""
  if flags.to:
    counts = write(database.connect(flags.db), flags.to, flags.weakest)
    rest = [f'{n} left out ({why})' for why, n in counts.items()][1:]
    print(', '.join([f'{counts["pairs"]} pairs', *rest]) + f': {flags.to}')
  else:
    db = database.connect(flags.db, create=True)
    read, new = restore.read(db, Path(flags.source) / SIDECAR)
    print(f'{read} choices read, {new} of them new: {flags.db}')


if __name__ == '__main__':
  main()
