"""People: links that invite them, and the sessions of their browsers.

Tokens and cookies are 128 random bits; the database has their SHA-256 alone. A
link may be used again, on another device, until it is revoked.
"""

import dataclasses
import hashlib
import secrets

from apps.feedback.database import new_uid, now, writing

ROLES = ('worker', 'admin')
KINDS = ('person', 'simulated')
LONGEST_NAME = 80


@dataclasses.dataclass(frozen=True)
class Person:
  """Whoever a session belongs to.

  Attributes:
    id: in the database.
    uid: in exports.
    name: as whoever invited them wrote it.
    role: of ROLES.
    kind: of KINDS.
    session: SHA-256 of the cookie.
  """

  id: int
  uid: str
  name: str
  role: str
  kind: str
  session: str


def hashed(token: str) -> str:
  """SHA-256 of a token; of 128 random bits no salt is needed."""
  return hashlib.sha256(token.encode()).hexdigest()


def invite(db, name, role='worker', kind='person', nonce=None) -> str | None:
  """Makes a person; returns the token of their link, which is stored nowhere.

  Args:
    db: connection.
    name: 1 to 80 characters on one line.
    role: of ROLES.
    kind: of KINDS.
    nonce: of the form; the second time it comes nobody is made, and None is
      returned.

  Raises:
    ValueError: if one of them is not as it has to be.
  """
  name = name.strip()
  if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable():
    raise ValueError(
      f'wanted a name of 1 to {LONGEST_NAME} characters on one line, got '
      f'{name[:LONGEST_NAME]!r}'
    )
  if role not in ROLES or kind not in KINDS:
    raise ValueError(
      f'wanted a role of {", ".join(ROLES)} and a kind of {", ".join(KINDS)}, '
      f'got {role!r} and {kind!r}'
    )
  token = secrets.token_hex(16)
  with writing(db):
    if (
      nonce
      and db.execute(
        'SELECT 1 FROM people WHERE nonce = ?', (nonce,)
      ).fetchone()
    ):
      return None
    db.execute(
      'INSERT INTO people (uid, name, role, kind, invite_hash, nonce, created)'
      ' VALUES (?, ?, ?, ?, ?, ?, ?)',
      (new_uid(), name, role, kind, hashed(token), nonce, now()),
    )
  return token


def made_by(db, nonce: str) -> bool:
  """Whether a form has made somebody before."""
  return bool(
    db.execute('SELECT 1 FROM people WHERE nonce = ?', (nonce,)).fetchone()
  )


def join(db, token: str, lifetime: float) -> str | None:
  """Begins a session; returns its cookie, None if the link is none.

  Args:
    db: connection.
    token: of the link.
    lifetime: seconds that the session lasts.
  """
  with writing(db):
    found = db.execute(
      'SELECT id FROM people WHERE invite_hash = ? AND revoked IS NULL',
      (hashed(token),),
    ).fetchone()
    if not found:
      return None
    cookie, time = secrets.token_hex(16), now()
    db.execute('DELETE FROM sessions WHERE expires < ?', (time,))
    db.execute(
      'INSERT INTO sessions VALUES (?, ?, ?, ?)',
      (hashed(cookie), found['id'], time, time + lifetime),
    )
  return cookie


def person_of(db, cookie: str) -> Person | None:
  """The person whose session a cookie is."""
  row = db.execute(
    'SELECT p.id, p.uid, p.name, p.role, p.kind, s.hash AS session'
    ' FROM sessions AS s JOIN people AS p ON p.id = s.person_id'
    ' WHERE s.hash = ? AND s.expires > ? AND p.revoked IS NULL',
    (hashed(cookie), now()),
  ).fetchone()
  return Person(**row) if row else None


def leave(db, session: str) -> None:
  """Ends a session."""
  with writing(db):
    db.execute('DELETE FROM sessions WHERE hash = ?', (session,))


def revoke(db, uid: str) -> bool:
  """Ends the link and the sessions of a person; False if there is no such."""
  with writing(db):
    row = db.execute('SELECT id FROM people WHERE uid = ?', (uid,)).fetchone()
    if not row:
      return False
    db.execute(
      'UPDATE people SET revoked = ? WHERE id = ? AND revoked IS NULL',
      (now(), row['id']),
    )
    db.execute('DELETE FROM sessions WHERE person_id = ?', (row['id'],))
  return True


def has_admin(db) -> bool:
  """Whether somebody has a link to the admin page that is not revoked."""
  return bool(
    db.execute(
      "SELECT 1 FROM people WHERE role = 'admin' AND revoked IS NULL"
    ).fetchone()
  )
