"""Choices that people made on the page of apps/feedback, out of its database.

The trainer reads rows behind a position, in one read transaction, while the
page goes on writing. The position is

    {'id': of the last choice that was read, 'uid': of the same choice}

Ids grow in the order of commits, so that nothing appears behind a reader's
back; a file in which another choice, or none, has that id is another database.
Attention items are never read: their answers are known beforehand.
"""

import contextlib
import sqlite3
from pathlib import Path
from typing import NamedTuple

from rlhf_jax.data.faults import DataError
from rlhf_jax.data.records import Comparison, make_comparison
from rlhf_jax.text.dialogue import DialogueError, split_reply

VERSION = 1  # of the schema, PRAGMA user_version
SOURCE = 'feedback'  # of the records
KINDS = {'helpful': 'helpful', 'red_team': 'harmless'}
WEAKEST = 1
BUSY_SECONDS = 30.0

# Why a choice is no pair to train on.
WEAK, BROKEN = 'weakest box', 'no dialogue'

_QUERY = """
  SELECT id, uid, task, prompt, chosen, rejected, strength,
    about, chosen_snapshot, rejected_snapshot
  FROM comparisons WHERE id > ? AND answer IS NULL ORDER BY id
"""


class Said(NamedTuple):
  """A choice.

  Attributes:
    id: grows in the order of commits.
    uid: of the choice, the same in every export.
    task: 'helpful' or 'red_team'.
    prompt: transcript that ends with the Assistant's marker.
    chosen: the better reply, whichever was asked for; follows the marker.
    rejected: the other.
    strength: 4 to 1, 1 of the two weakest boxes; None of a rewrite.
    about: the same for all who compared the same two replies.
    chosen_snapshot: uid of who wrote `chosen`; None: a person, or a file.
    rejected_snapshot: likewise.
  """

  id: int
  uid: str
  task: str
  prompt: str
  chosen: str
  rejected: str
  strength: int | None
  about: str
  chosen_snapshot: str | None
  rejected_snapshot: str | None

  @property
  def conversation(self) -> str:
    """Uid of the conversation that the replies are of."""
    return self.about.partition('/')[0]


class Read(NamedTuple):
  """New choices.

  Attributes:
    choices: in the order of their ids.
    names: {uid: name} of all snapshots that ever wrote.
  """

  choices: list[Said]
  names: dict[str, str]


def read_new(path, position) -> Read:
  """The choices behind a position; none where there is no file yet.

  Args:
    path: of the database.
    position: of `position_of`, {} for the first reader.

  Raises:
    DataError: if the file is no database of the page or of another version, or
      the position is of another database.
  """
  path = Path(path)
  if not path.exists():
    if position:
      raise DataError(
        f'{path} is gone, of which choices up to {position["id"]} were read: '
        'put it back'
      )
    return Read([], {})
  try:
    with contextlib.closing(_open(path)) as db:
      db.execute('BEGIN')
      _check(db, path, position)
      rows = db.execute(_QUERY, (position.get('id', 0),)).fetchall()
      names = dict(db.execute('SELECT uid, name FROM snapshots ORDER BY id'))
  except sqlite3.Error as error:
    raise DataError(
      f'{path}: wanted a database of apps/feedback, got {error}'
    ) from None
  return Read([Said(*row) for row in rows], unique(names))


def position_of(choice: Said) -> dict:
  """The position behind a choice."""
  return {'id': choice.id, 'uid': choice.uid}


def comparison_of(choice: Said, weakest: bool = False) -> Comparison | str:
  """The record to train on, or the reason why a choice is none.

  Of red-team conversations the kind is 'harmless'; of a rewrite `chosen` is
  what the person wrote.

  Args:
    choice: a Said, or anything with its fields task, prompt, chosen, rejected
      and strength.
    weakest: whether choices of the two weakest boxes are taken, which Bai et
      al. 2022 leave out.
  """
  if choice.strength == WEAKEST and not weakest:
    return WEAK
  sides = choice.prompt + choice.chosen, choice.prompt + choice.rejected
  try:
    found = make_comparison(*sides, SOURCE, kind=KINDS[choice.task])
    both = {split_reply(side)[0] for side in sides}
  except DialogueError:
    return BROKEN
  # A reply with a turn of its own would be read back as another prompt.
  return found if both == {choice.prompt} else BROKEN


def unique(names: dict[str, str]) -> dict[str, str]:
  """{uid: name} in which no two are called alike."""
  called = list(names.values())
  return {
    uid: name if called.count(name) == 1 else f'{name} ({uid[:6]})'
    for uid, name in names.items()
  }


def _open(path):
  """A connection that reads, also while another process writes."""
  uri = f'{path.resolve().as_uri()}?mode=rw'
  db = sqlite3.connect(
    uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None
  )
  db.execute('PRAGMA query_only = ON')
  return db


def _check(db, path, position):
  """Raises a DataError if this is not the database of a position."""
  version = db.execute('PRAGMA user_version').fetchone()[0]
  if version != VERSION:
    raise DataError(
      f'{path}: wanted a database of apps/feedback of version {VERSION}, got '
      f'{version}: take the program of that version'
    )
  if not position:
    return
  query = 'SELECT nonce FROM choices WHERE id = ?'
  row = db.execute(query, (position['id'],)).fetchone()
  if row is None or row[0] != position['uid']:
    raise DataError(
      f'{path} is not the database that was read before: its choice '
      f'{position["id"]} is another one; put the old file back'
    )
