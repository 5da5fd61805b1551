"""Items, and their leases to people.

An item is for `overlap` people. It is free for one more while fewer than that
have finished it or hold it. Holding is a lease, a row with a time at which it
ends; whatever the person does puts that off. So nothing has to be unlocked when
somebody goes away, and whether an item is free is a query.

A person gets, in this order: the task that is open; an attention item where one
is due; a pair that others have talked about; a conversation with a given
opening; a conversation of their own.
"""

import hashlib
import json
import random

from apps.feedback.database import new_uid, now, setting, writing
from apps.feedback.errors import ExpiredError

# Of `:time`: leases that hold an item, and those that have finished it.
_TAKEN = """(SELECT COUNT(*) FROM assignments AS a WHERE a.item_id = i.id
  AND (a.finished IS NOT NULL OR a.expires > :time))"""
# The person has not had it, or it went back to the others by itself.
_UNSEEN = """NOT EXISTS (SELECT 1 FROM assignments AS a
  WHERE a.item_id = i.id AND a.person_id = :person
  AND (a.finished IS NOT NULL OR a.expires = 0))"""
# Nobody compares the replies of a conversation of their own once more.
_NOT_OWN = """NOT EXISTS (SELECT 1 FROM turns AS t
  JOIN assignments AS o ON o.id = t.assignment_id
  WHERE t.id = i.source_turn_id AND o.person_id = :person)"""


def lease(db, person_id: int, plan) -> str | None:
  """The uid of the next assignment of a person; None if nothing is left.

  One transaction: of two people who ask at once, each gets one of its own.

  Args:
    db: connection.
    person_id: who asks.
    plan: Plan.
  """
  with writing(db):
    held = open_task(db, person_id)
    if held:
      return held
    if stopped(db) or begun(db, person_id) >= plan.conversations:
      return None
    item = _next_item(db, person_id, plan)
    return _assign(db, item, person_id, plan)


def open_task(db, person_id: int) -> str | None:
  """The uid of the assignment that a person holds."""
  row = db.execute(
    'SELECT uid FROM assignments WHERE person_id = ? AND finished IS NULL'
    ' AND expires > ? ORDER BY id',
    (person_id, now()),
  ).fetchone()
  return row['uid'] if row else None


def begun(db, person_id: int) -> int:
  """How many tasks a person has finished or holds."""
  return db.execute(
    'SELECT COUNT(*) FROM assignments WHERE person_id = ?'
    ' AND (finished IS NOT NULL OR expires > ?)',
    (person_id, now()),
  ).fetchone()[0]


def compared(db, person_id: int) -> int:
  """How many pairs of replies a person has compared in all."""
  return db.execute(
    'SELECT COUNT(*) FROM choices WHERE person_id = ?', (person_id,)
  ).fetchone()[0]


def _next_item(db, person_id, plan):
  """The id of the item to give to a person, made if there is none."""
  count = begun(db, person_id)
  wanted = ["i.kind = 'pair' AND i.answer IS NULL", "i.kind = 'chat'"]
  if (count + 1) % plan.attention_every == 0:
    wanted.insert(0, 'i.answer IS NOT NULL')
  for kind in wanted:
    row = db.execute(
      f'SELECT i.id FROM items AS i WHERE {kind} AND {_UNSEEN} AND {_NOT_OWN}'
      f' AND {_TAKEN} < i.overlap ORDER BY i.id LIMIT 1',
      {'person': person_id, 'time': now()},
    ).fetchone()
    if row:
      return row['id']
  task = plan.tasks[count % len(plan.tasks)]
  return add_item(
    db, kind='chat', task=task, direction=direction_of(task, plan), overlap=1
  )


def stopped(db) -> bool:
  """Whether nothing new is given out."""
  return setting(db, 'stopped') == '1'


def direction_of(task: str, plan) -> str:
  """The reply that a task asks for, 'better' or 'worse'."""
  return plan.red_team_direction if task == 'red_team' else 'better'


def add_item(db, **fields) -> int:
  """Inserts an item, inside a transaction; returns its id."""
  fields = {'uid': new_uid(), 'created': now()} | fields
  names = ', '.join(fields)
  marks = ', '.join(f':{name}' for name in fields)
  return db.execute(
    f'INSERT INTO items ({names}) VALUES ({marks})', fields
  ).lastrowid


def _assign(db, item_id, person_id, plan):
  """Makes the lease, or renews the one that had ended; returns its uid."""
  values = {'item': item_id, 'person': person_id, 'uid': new_uid()}
  values |= {'time': now(), 'expires': now() + plan.lease_seconds}
  db.execute(
    'INSERT INTO assignments (uid, item_id, person_id, created, expires)'
    ' VALUES (:uid, :item, :person, :time, :expires)'
    ' ON CONFLICT (item_id, person_id) DO UPDATE SET expires = :expires',
    values,
  )
  row = db.execute(
    'SELECT a.id AS assignment, a.uid AS assignment_uid, i.*, EXISTS'
    ' (SELECT 1 FROM turns AS t WHERE t.assignment_id = a.id) AS shown'
    ' FROM assignments AS a JOIN items AS i ON i.id = a.item_id'
    ' WHERE a.item_id = :item AND a.person_id = :person',
    values,
  ).fetchone()
  if row['kind'] == 'pair' and not row['shown']:
    _show_pair(db, row, row['assignment'])
  return row['assignment_uid']


def _show_pair(db, item, assignment_id):
  """The one turn of a pair item: its replies, in an order of its own."""
  seed = random.SystemRandom().randrange(2**31)
  turn = db.execute(
    'INSERT INTO turns (assignment_id, number, human, prompt, seed,'
    " shown_first, shown, created) VALUES (?, 1, '', ?, ?, ?, 'together', ?)",
    (assignment_id, item['prompt'], seed, first_shown(seed), now()),
  ).lastrowid
  if item['source_turn_id'] is not None:
    db.execute(
      'INSERT INTO replies (turn_id, place, snapshot_id, seed, sampler, text,'
      ' token_ids, prompt_ids, ended, score, scored_by, failed, finished)'
      ' SELECT ?, place, snapshot_id, seed, sampler, text, token_ids,'
      ' prompt_ids, ended, score, scored_by, failed, finished FROM replies'
      ' WHERE turn_id = ?',
      (turn, item['source_turn_id']),
    )
    return
  for place in (0, 1):
    db.execute(
      'INSERT INTO replies (turn_id, place, seed, sampler, text, finished)'
      " VALUES (?, ?, 0, '{}', ?, ?)",
      (turn, place, item[f'reply_{place}'], now()),
    )


def first_shown(seed: int) -> int:
  """Place of the reply that stands as A, drawn from the seed of a turn."""
  return random.Random(seed).randrange(2)


def renew(db, assignment, plan) -> None:
  """Puts off the end of a lease, inside a transaction.

  Args:
    db: connection.
    assignment: its row: id, item_id, expires.
    plan: Plan.

  Raises:
    ExpiredError: if it had ended and the item is somebody else's, or it was
      given back.
  """
  if assignment['expires'] == 0:
    raise ExpiredError
  if assignment['expires'] <= now():
    row = db.execute(
      f'SELECT {_TAKEN} < i.overlap AS free FROM items AS i WHERE i.id = :item',
      {'item': assignment['item_id'], 'time': now()},
    ).fetchone()
    if not row['free']:
      raise ExpiredError
  db.execute(
    'UPDATE assignments SET expires = ? WHERE id = ?',
    (now() + plan.lease_seconds, assignment['id']),
  )


def give_back(db, assignment_id: int) -> None:
  """Ends a lease now; the person is not given the item again."""
  with writing(db):
    db.execute(
      'UPDATE assignments SET expires = 0 WHERE id = ? AND finished IS NULL',
      (assignment_id,),
    )


def add_openings(db, texts, plan, task='helpful') -> int:
  """Adds conversations that begin with a given message; returns how many.

  A text that is there already is not added again.
  """
  added = 0
  with writing(db):
    for text in texts:
      added += _add_once(
        db,
        {'kind': 'chat', 'task': task, 'opening': text, 'overlap': 1}
        | {'direction': direction_of(task, plan)},
      )
  return added


def add_attention(db, rows, overlap: int = 10**6) -> int:
  """Adds attention items, for everybody; returns how many were not there.

  Args:
    db: connection.
    rows: [(prompt, better, worse)], the prompt a transcript that ends with the
      Assistant's marker, the replies what follows it.
    overlap: how many people each is for.
  """
  added = 0
  with writing(db):
    for prompt, better, worse in rows:
      fields = {'kind': 'pair', 'task': 'helpful', 'direction': 'better'}
      fields |= {'prompt': prompt, 'reply_0': better, 'reply_1': worse}
      added += _add_once(db, fields | {'answer': 0, 'overlap': overlap})
  return added


def _add_once(db, fields):
  """Inserts an item whose uid is the hash of its fields; 1 if it was new."""
  text = json.dumps(fields, sort_keys=True)
  uid = hashlib.sha256(text.encode()).hexdigest()[:32]
  if db.execute('SELECT 1 FROM items WHERE uid = ?', (uid,)).fetchone():
    return 0
  add_item(db, uid=uid, **fields)
  return 1
