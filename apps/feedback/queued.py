"""The queue of the model: replies that have no text yet, in the database.

It needs no other place: whoever starts the program again goes on with it, and
since every reply has its seed, with the same replies.
"""

import dataclasses
import json

from apps.feedback.database import now, writing


@dataclasses.dataclass(frozen=True)
class Request:
  """A reply that is wanted.

  Attributes:
    id: of its row.
    snapshot: uid of who is to write it.
    prompt: transcript that ends with the Assistant's marker.
    seed: names its random numbers; no two of one batch are equal.
    sampler: settings.
  """

  id: int
  snapshot: str
  prompt: str
  seed: int
  sampler: dict


@dataclasses.dataclass(frozen=True)
class Written:
  """A reply.

  Attributes:
    text: what follows the marker.
    token_ids: as sampled.
    prompt_ids: as read.
    ended: whether it came to an end by itself.
    score: of a preference model, log-odds; None without one.
    scored_by: uid of its weights; None without one.
  """

  text: str
  token_ids: list
  prompt_ids: list
  ended: bool
  score: float | None = None
  scored_by: str | None = None


def waiting(db, limit: int = 256) -> list[Request]:
  """The first requests of the queue, in their order."""
  rows = db.execute(
    'SELECT r.id, s.uid AS snapshot, t.prompt, r.seed, r.sampler'
    ' FROM replies AS r JOIN turns AS t ON t.id = r.turn_id'
    ' JOIN snapshots AS s ON s.id = r.snapshot_id'
    ' WHERE r.finished IS NULL ORDER BY r.id LIMIT ?',
    (limit,),
  )
  return [
    Request(
      row['id'],
      row['snapshot'],
      row['prompt'],
      row['seed'],
      json.loads(row['sampler']),
    )
    for row in rows
  ]


def write(db, found: dict[int, Written]) -> None:
  """Writes replies, by the ids of their rows; those that are there stay."""
  with writing(db):
    for key, reply in found.items():
      db.execute(
        'UPDATE replies SET text = ?, token_ids = ?, prompt_ids = ?, ended = ?,'
        ' score = ?, scored_by = ?, finished = ?'
        ' WHERE id = ? AND finished IS NULL',
        (reply.text, json.dumps(reply.token_ids), json.dumps(reply.prompt_ids))
        + (int(reply.ended), reply.score, reply.scored_by, now(), key),
      )


def fail(db, ids, reason: str) -> None:
  """Notes that there will be no reply, and why."""
  with writing(db):
    db.executemany(
      'UPDATE replies SET failed = ?, finished = ?'
      ' WHERE id = ? AND finished IS NULL',
      [(reason, now(), key) for key in ids],
    )


def serve(db, snapshots, sampler=None) -> None:
  """Makes these snapshots the ones that write, and none other.

  Replies that wait for one that is served no more are given up; the others are
  written with the sampler of now, and say so.

  Args:
    db: connection.
    snapshots: [(uid, name, path)].
    sampler: settings as JSON; None: as they were.
  """
  with writing(db):
    db.execute('UPDATE snapshots SET active = 0')
    for uid, name, path in snapshots:
      db.execute(
        'INSERT INTO snapshots (uid, name, path, active, created)'
        ' VALUES (?, ?, ?, 1, ?) ON CONFLICT (uid) DO UPDATE SET active = 1,'
        ' name = excluded.name, path = excluded.path',
        (uid, name, path, now()),
      )
    db.execute(
      'UPDATE replies SET failed = ?, finished = ? WHERE finished IS NULL AND'
      ' snapshot_id IN (SELECT id FROM snapshots WHERE NOT active)',
      ('its snapshot is served no more', now()),
    )
    if sampler is not None:
      db.execute(
        'UPDATE replies SET sampler = ? WHERE finished IS NULL', (sampler,)
      )
