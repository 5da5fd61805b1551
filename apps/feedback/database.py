"""The database of the page: connections, migrations, and who reads choices.

SQLite in WAL mode, STRICT tables, foreign keys on, synchronous FULL: what a
request has answered is on the disk. Every function that writes is one
transaction, which begins as a writer and so is never upgraded. All processes
that use a file run on one machine; a network file system will not do.

Who writes what: `people` invites and sessions, `work` items and their leases,
`talk` turns, replies and choices. `comparisons` here is for those who read.
"""

import contextlib
import dataclasses
import secrets
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

VERSION = 1
APP_VERSION = f'feedback-{VERSION}'
SCHEMA = Path(__file__).with_name('schema.sql')
BUSY_SECONDS = 30.0  # a writer waits for another
# {name: value of a new database}; all are text.
SETTINGS = {
  'stopped': '0',  # 1: nothing new is given out
  'key': '',  # of the nonces of pages; drawn when the database is made
}


class DatabaseError(ValueError):
  """A file that is no database of ours, or of a newer version."""


@dataclasses.dataclass(frozen=True)
class Compared:
  """One choice of a person, as training reads it.

  Attributes:
    id: grows in the order of commits; the position of who reads in pieces.
    uid: the same in every export.
    about: the same for all who compared the same two replies; `good` then
      speaks of the same places.
    item: uid of what was given out.
    assignment: uid of the conversation.
    number: of the turn in it, from 1.
    item_kind: 'chat' or 'pair'.
    person: uid.
    person_kind: 'person' or 'simulated'.
    task: 'helpful' or 'red_team'.
    direction: 'better' or 'worse', which of the two people were asked for.
    answer: of an attention item the place of its better reply; else None.
    overlap: how many people the item is for.
    prompt: transcript that ends with the Assistant's marker.
    chosen: text of the better reply, which follows the marker.
    rejected: text of the other.
    rewritten: 1 if the person wrote `chosen`.
    box: 1 to 8 as shown; None of a rewrite.
    strength: 4 to 1, 1 of the two weakest boxes; None of a rewrite.
    good: place of the better reply as drawn; of a rewrite, of the one that it
      replaces.
    shown_first: place of the reply that stood as A.
    shown: 'stream' or 'together'.
    seed: of the turn.
    chosen_snapshot: uid of who wrote `chosen`; None: a person, or a file.
    rejected_snapshot: likewise.
    good_score: of the preference model, log-odds; None without one. Of the
      reply at `good`.
    bad_score: of the reply at the other place.
    good_ids: JSON list of token ids.
    bad_ids: likewise.
    good_seed: of its sampling.
    bad_seed: likewise.
    sampler: JSON of the sampler's settings.
    seconds: from both replies on the page to the choice.
    created: seconds since 1970.
    version: of the app.
  """

  id: int
  uid: str
  about: str
  item: str
  assignment: str
  number: int
  item_kind: str
  person: str
  person_kind: str
  task: str
  direction: str
  answer: int | None
  overlap: int
  prompt: str
  chosen: str
  rejected: str
  rewritten: int
  box: int | None
  strength: int | None
  good: int
  shown_first: int
  shown: str
  seed: int
  chosen_snapshot: str | None
  rejected_snapshot: str | None
  good_score: float | None
  bad_score: float | None
  good_ids: str | None
  bad_ids: str | None
  good_seed: int
  bad_seed: int
  sampler: str
  seconds: float
  created: float
  version: str


def connect(path, create: bool = False) -> sqlite3.Connection:
  """Opens a database, migrated to this version; one connection a thread.

  Rows come as `sqlite3.Row`; transactions are those of `writing`.

  Args:
    path: of the file.
    create: whether it may be new.

  Raises:
    DatabaseError: if the file is missing, no database, or of a newer version.
  """
  path = Path(path)
  if not create and not path.is_file():
    raise DatabaseError(
      f'there is no database {path}: start python -m apps.feedback with '
      f'--db={path} first'
    )
  if create:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(0o600)  # nobody else's to read; the files beside it follow
  with told(path):
    db = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
    db.row_factory = sqlite3.Row
    db.execute('PRAGMA synchronous = FULL')
    db.execute('PRAGMA foreign_keys = ON')
    migrate(db, path)  # before a file of somebody else's would be changed
    db.execute('PRAGMA journal_mode = WAL')
  return db


@contextlib.contextmanager
def told(path) -> Iterator[None]:
  """Makes what SQLite raises a DatabaseError, the one line of a command.

  The page has answers of its own to such errors (`site.handler`), and tries
  again (`Generation`).
  """
  try:
    yield
  except sqlite3.Error as error:
    code = getattr(error, 'sqlite_errorcode', None)
    if code is not None and code & 0xFF == sqlite3.SQLITE_BUSY:
      raise DatabaseError(
        f'{path} is locked by another program ({error}): wait until that one '
        'is done, or end it, and give the same command again'
      ) from None
    raise DatabaseError(
      f'{path} cannot be used as a database ({error}): make room on its disk, '
      'or give another --db'
    ) from None


def migrate(db, path='the database') -> None:
  """Brings a database to VERSION, in one transaction.

  Raises:
    DatabaseError: if it is newer, or holds tables that are not ours.
  """
  version = db.execute('PRAGMA user_version').fetchone()[0]
  if version == VERSION:
    return
  with writing(db):
    version = db.execute('PRAGMA user_version').fetchone()[0]
    if version == VERSION:
      return  # another process was faster
    if version > VERSION:
      raise DatabaseError(
        f'{path} is of version {version}, this program knows {VERSION}: '
        'update the program'
      )
    if db.execute('SELECT 1 FROM sqlite_master').fetchone():
      raise DatabaseError(
        f'{path} holds tables of another program: give another --db'
      )
    for statement in statements(SCHEMA.read_text()):
      db.execute(statement)
    values = SETTINGS | {'key': secrets.token_hex(32)}
    db.executemany('INSERT INTO settings VALUES (?, ?)', values.items())
    db.execute(f'PRAGMA user_version = {VERSION}')


def statements(script: str) -> Iterator[str]:
  """Statements of an SQL script, for one transaction around all of them."""
  waiting = ''
  for line in script.splitlines(keepends=True):
    waiting += line
    if sqlite3.complete_statement(waiting):
      yield waiting
      waiting = ''


@contextlib.contextmanager
def writing(db) -> Iterator[sqlite3.Connection]:
  """A transaction that writes: committed at its end, undone by an error.

  An error of the commit undoes it too, so that the connection can go on; a full
  disk may have undone it already.
  """
  db.execute('BEGIN IMMEDIATE')
  try:
    yield db
    db.execute('COMMIT')
  except BaseException:
    if db.in_transaction:
      db.execute('ROLLBACK')
    raise


@contextlib.contextmanager
def reading(db) -> Iterator[sqlite3.Connection]:
  """A transaction that sees one state of the database throughout."""
  db.execute('BEGIN')
  try:
    yield db
  finally:
    db.execute('ROLLBACK')


def now() -> float:
  """Seconds since 1970."""
  return time.time()


def new_uid() -> str:
  """128 random bits, 32 hex digits."""
  return secrets.token_hex(16)


def setting(db, name: str) -> str:
  """A value of SETTINGS."""
  found = db.execute('SELECT value FROM settings WHERE name = ?', (name,))
  return found.fetchone()[0]


def set_setting(db, name: str, value: str) -> None:
  """Changes a value of SETTINGS."""
  with writing(db):
    db.execute('UPDATE settings SET value = ? WHERE name = ?', (value, name))


def comparisons(
  db, after: int = 0, attention: bool = False, limit: int = -1
) -> list[Compared]:
  """Choices in the order of their ids.

  Args:
    db: connection.
    after: the last id that was read before.
    attention: whether attention items come too; training never wants them.
    limit: most rows; -1: all.
  """
  where = '' if attention else 'AND answer IS NULL'
  rows = db.execute(
    f'SELECT * FROM comparisons WHERE id > ? {where} ORDER BY id LIMIT ?',
    (after, limit),
  )
  return [Compared(**row) for row in rows]


def snapshot_names(db) -> dict[str, str]:
  """{uid: name} of all snapshots that ever wrote."""
  return dict(db.execute('SELECT uid, name FROM snapshots ORDER BY id'))
