"""A sidecar of `export`, read back into a database.

Rows are told by what stays the same in every export: uids, and the number or
the place of what has none. What is there already is left as it is, but that a
conversation which was read before its end gets its end. A conversation that has
gone on in another way, as after an older file was put back, is refused. People
come without names and without links; whoever was invited here stays invited.
"""

import contextlib
import json
import sqlite3

from apps.feedback import database
from rlhf_jax.data.faults import DataError

# Fields of tables in the sidecar; what is not here is an id of this database,
# a secret, or a person's own. No other name reaches SQL.
FIELDS = {
  'choices': 'box picked rewrite seconds created version'.split(),
  'turns': 'number human prompt seed shown_first shown created seen'.split(),
  'assignments': 'uid created expires finished rating comment'.split(),
  'items': (
    'uid kind task direction opening prompt reply_0 reply_1 overlap created'
  ).split(),
  'people': 'uid kind'.split(),
  'replies': (
    'place seed sampler text token_ids prompt_ids ended score scored_by '
    'failed finished'
  ).split(),
  'snapshots': 'uid name created'.split(),
}
# Fields that never change, of rows that are told by a number or a place.
SAME = {
  'choices': 'box picked rewrite created'.split(),
  'turns': 'human seed created prompt'.split(),
  'replies': 'seed text'.split(),
}
# What a row that is none raises: a name, a type or a number that is not there.
UNFIT = (KeyError, TypeError, ValueError, AttributeError, OverflowError)


def read(db, file) -> tuple[int, int]:
  """Reads a sidecar, all of it or nothing.

  Args:
    db: connection.
    file: of `export.write`.

  Returns:
    (choices in the file, those that were new).

  Raises:
    DataError: at a line that is no row of a sidecar, or of another course of a
      conversation that is there, with its number.
  """
  rows, new = list(_rows(file)), 0
  with database.writing(db):
    for number, row in rows:
      with _said(file, number):
        new += _take(db, row)
    for number, row in rows:
      with _said(file, number):
        _point_to_source(db, row['item'])
  return len(rows), new


@contextlib.contextmanager
def _said(file, number):
  """Turns whatever a row does not fit by into one line."""
  try:
    yield
  except DataError as error:
    raise DataError(f'{file}:{number}: {error}') from None
  except sqlite3.OperationalError:  # a full disk, whatever the row
    raise
  except (*UNFIT, sqlite3.Error) as error:
    raise DataError(
      f'{file}:{number}: wanted a line of sidecar.jsonl, got one that does not '
      f'fit ({error!r}); export again'
    ) from None


def _rows(file):
  """Yields (number, row) of the lines of a file."""
  with open(file, 'rb') as stream:
    for number, line in enumerate(stream, start=1):
      try:
        row = json.loads(line)
      except ValueError as error:
        raise DataError(
          f'{file}:{number}: wanted JSON, got {error}; export again'
        ) from None
      yield number, row


def _take(db, row) -> bool:
  """Adds a choice and all that is behind it; whether it was new."""
  known = {None: None}
  for snapshot in row['snapshots']:
    uid = snapshot['uid']
    known[uid] = _added(
      db, 'snapshots', {'uid': uid}, snapshot, path='', active=0
    )
  person = row['person']
  person_id = _added(
    db,
    'people',
    {'uid': person['uid']},
    person,
    name=person['uid'][:8],
    role='worker',
    created=row['assignment']['created'],
  )
  item = row['item']
  item_id = _added(db, 'items', {'uid': item['uid']}, item)
  lease = row['assignment']
  lease_id = _added(
    db,
    'assignments',
    {'uid': lease['uid']},
    lease,
    item_id=item_id,
    person_id=person_id,
  )
  _end(db, lease_id, lease)
  own = {'assignment_id': lease_id, 'number': row['turn']['number']}
  turn_id = _added(db, 'turns', own, row['turn'])
  for reply in row['replies']:
    own = {'turn_id': turn_id, 'place': reply['place']}
    writer = known[reply['snapshot']]
    _added(db, 'replies', own, reply, snapshot_id=writer)
  own, before = {'turn_id': turn_id}, db.total_changes
  ids = {'nonce': row['uid'], 'person_id': person_id}
  _added(db, 'choices', own, row['choice'], **ids)
  return db.total_changes > before


def _end(db, lease_id, lease):
  """Notes the end of a conversation, where it has none yet."""
  if lease['finished'] is None:
    return
  ends = 'expires', 'finished', 'rating', 'comment'
  marks = ', '.join(f'{name} = ?' for name in ends)
  db.execute(
    f'UPDATE assignments SET {marks} WHERE id = ? AND finished IS NULL',
    (*(lease[name] for name in ends), lease_id),
  )


def _added(db, table, key, fields, **more) -> int:
  """The id of the row with a key, which is added if it is not there.

  Raises:
    DataError: if it is there and is another one.
  """
  where = ' AND '.join(f'{name} = ?' for name in key)
  find = f'SELECT * FROM {table} WHERE {where}'
  found = db.execute(find, (*key.values(),)).fetchone()
  if found:
    _check_same(table, found, fields)
    return found['id']
  row = {name: fields[name] for name in FIELDS[table]} | key | more
  names, marks = ', '.join(row), ', '.join('?' * len(row))
  db.execute(
    f'INSERT INTO {table} ({names}) VALUES ({marks})', (*row.values(),)
  )
  return db.execute(find, (*key.values(),)).fetchone()['id']


def _check_same(table, found, fields):
  """Raises a DataError where what never changes has changed."""
  for name in SAME.get(table, ()):
    if found[name] != fields[name]:
      short = [str(row[name])[:60] for row in (found, fields)]
      raise DataError(
        f'wanted {name} of {table} to be {short[0]!r}, as the database has it, '
        f'got {short[1]!r}: the conversation has gone on in another way here; '
        'read the export into a new --db'
      )


def _point_to_source(db, item):
  """Lets a pair say again whose replies it shows."""
  if item['source'] is None:
    return
  db.execute(
    'UPDATE items SET source_turn_id = (SELECT t.id FROM turns AS t '
    'JOIN assignments AS a ON a.id = t.assignment_id '
    'WHERE a.uid = :uid AND t.number = :number) '
    'WHERE uid = :item AND source_turn_id IS NULL',
    item['source'] | {'item': item['uid']},
  )
