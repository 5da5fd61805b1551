"""Conversations: messages, replies, choices, and the end of a task.

A step of a conversation is a function of the rows alone, so a page is whatever
the database says it is, after a restart as before it. Every function that
writes is one transaction: it sees the step, does what belongs to it and renews
the lease, or raises and has done nothing.
"""

import random

from apps.feedback import texts
from apps.feedback.conversation import (
  assignment_of,
  goes_on_with,
  load,
  turns_of,
)
from apps.feedback.database import APP_VERSION, now, writing
from apps.feedback.errors import NotFoundError, OutOfDateError, QueueFullError
from apps.feedback.work import add_item, first_shown, renew

SEEDS = 2**31 - 2**16  # of replies; those above name the rows of filling


def _held(db, uid, person_id, plan, *steps):
  """(row, Conversation) of a task that is at one of the steps, lease renewed.

  Raises:
    NotFoundError: if it is not theirs.
    OutOfDateError: if it is at another step.
    ExpiredError: as `renew`.
  """
  row = assignment_of(db, uid, person_id)
  if not row:
    raise NotFoundError
  found = load(db, uid, person_id, plan)
  if found.step not in steps:
    raise OutOfDateError
  renew(db, row, plan)
  return row, found


def used(db, nonce: str, person_id: int) -> bool:
  """Whether a form of that person has come before."""
  return bool(
    db.execute(
      'SELECT 1 FROM choices WHERE nonce = :n AND person_id = :p UNION ALL'
      ' SELECT 1 FROM assignments WHERE nonce = :n AND person_id = :p UNION ALL'
      ' SELECT 1 FROM turns AS t JOIN assignments AS a'
      ' ON a.id = t.assignment_id WHERE t.nonce = :n AND a.person_id = :p',
      {'n': nonce, 'p': person_id},
    ).fetchone()
  )


def say(db, uid, person_id, plan, *, nonce, text, sampler) -> None:
  """Puts a message into a conversation, and two replies into the queue.

  Args:
    db: connection.
    uid: of the assignment.
    person_id: whose it has to be.
    plan: Plan.
    nonce: of the form.
    text: as typed.
    sampler: settings of the replies, as JSON.

  Raises:
    ValueError: if the text is empty or too long.
    QueueFullError, NotFoundError, OutOfDateError, ExpiredError: see
      `errors`.
  """
  text = texts.typed(text, 'message', plan.most_message)
  with writing(db):
    row, _ = _held(db, uid, person_id, plan, 'say')
    if waiting_count(db) + 2 > plan.queue:
      raise QueueFullError
    turns = turns_of(db, row['id'])
    prompt = texts.first_prompt(text)
    if turns:
      last = turns[-1]
      prompt = texts.next_prompt(last['prompt'], goes_on_with(db, last), text)
    seed = random.SystemRandom().randrange(2**31)
    turn = db.execute(
      'INSERT INTO turns (assignment_id, number, nonce, human, prompt, seed,'
      ' shown_first, shown, created) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)',
      (row['id'], len(turns) + 1, nonce, text, prompt, seed)
      + (first_shown(seed), plan.shown, now()),
    ).lastrowid
    for place, (snapshot, own) in enumerate(drawn(db, seed)):
      db.execute(
        'INSERT INTO replies (turn_id, place, snapshot_id, seed, sampler)'
        ' VALUES (?, ?, ?, ?, ?)',
        (turn, place, snapshot, own, sampler),
      )


def drawn(db, seed: int) -> list[tuple[int, int]]:
  """[(snapshot id, seed)] of the replies of a turn, from the turn's seed.

  Each is written by one of the snapshots that are served, drawn for itself.
  """
  served = [
    row['id']
    for row in db.execute('SELECT id FROM snapshots WHERE active ORDER BY id')
  ]
  rng = random.Random(seed)
  rng.randrange(2)  # `first_shown`
  seeds = rng.sample(range(SEEDS), 2)
  return [(rng.choice(served), own) for own in seeds]


def waiting_count(db) -> int:
  """How many replies wait for the model."""
  return db.execute(
    'SELECT COUNT(*) FROM replies WHERE finished IS NULL'
  ).fetchone()[0]


def seen(db, assignment_id: int) -> None:
  """Notes that both replies are on the page, the first time."""
  with writing(db):
    db.execute(
      'UPDATE turns SET seen = ? WHERE assignment_id = ? AND seen IS NULL',
      (now(), assignment_id),
    )


def choose(db, uid, person_id, plan, *, nonce, box) -> None:
  """Records a choice of one of the eight boxes.

  Raises:
    ValueError: if there is no such box.
    NotFoundError, OutOfDateError, ExpiredError: see `errors`.
  """
  if box not in ('1', '2', '3', '4', '5', '6', '7', '8'):
    raise ValueError('Choose one of the eight boxes.')
  first = 0 if int(box) <= 4 else 1
  _record(db, uid, person_id, plan, nonce, first, int(box), None)


def rewrite(db, uid, person_id, plan, *, nonce, of, text) -> None:
  """Records a reply that the person wrote in place of a bad one.

  Args:
    db: connection.
    uid: of the assignment.
    person_id: whose it has to be.
    plan: Plan.
    nonce: of the page.
    of: 'a' or 'b', the reply that it is better than.
    text: as typed.

  Raises:
    ValueError: if the text is empty or too long, or `of` is neither.
    NotFoundError, OutOfDateError, ExpiredError: see `errors`.
  """
  if of not in ('a', 'b'):
    raise ValueError('Say which of the two replies is the less bad one.')
  text = ' ' + texts.typed(text, 'reply', plan.most_rewrite)
  _record(db, uid, person_id, plan, nonce, 'ab'.index(of), None, text)


def _record(db, uid, person_id, plan, nonce, label, box, text):
  """The one transaction of a choice; `label` is 0 for A and 1 for B."""
  with writing(db):
    row, found = _held(db, uid, person_id, plan, 'choose')
    turn = turns_of(db, row['id'])[-1]
    time = now()
    db.execute(
      'INSERT INTO choices (nonce, turn_id, person_id, box, picked, rewrite,'
      ' seconds, created, version) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)',
      (nonce, turn['id'], person_id, box, found.replies[label].place, text)
      # The clock of the machine may have been put back meanwhile.
      + (max(time - (turn['seen'] or time), 0.0), time, APP_VERSION),
    )
    if row['kind'] == 'pair':
      db.execute(
        'UPDATE assignments SET finished = ? WHERE id = ?', (time, row['id'])
      )
    elif plan.overlap > 1 and turn['number'] == 1:
      add_item(
        db,
        kind='pair',
        task=row['task'],
        direction=row['direction'],
        prompt=turn['prompt'],
        source_turn_id=turn['id'],
        overlap=plan.overlap - 1,
      )


def finish(db, uid, person_id, plan, *, nonce, rating, comment) -> None:
  """Ends a conversation with its rating.

  Raises:
    ValueError: if the rating is none, or the comment too long.
    NotFoundError, OutOfDateError, ExpiredError: see `errors`.
  """
  if rating not in ('1', '2', '3', '4'):
    raise ValueError('Say how good the assistant was, from 1 to 4.')
  comment = texts.cleaned(comment)
  if len(comment) > plan.most_comment:
    raise ValueError(
      f'The comment has {len(comment):,} characters, {plan.most_comment:,} are '
      'allowed: shorten it.'
    )
  with writing(db):
    row, found = _held(db, uid, person_id, plan, 'say', 'finish', 'failed')
    if not found.may_finish:
      raise OutOfDateError
    db.execute(
      'UPDATE assignments SET finished = ?, rating = ?, comment = ?, nonce = ?'
      ' WHERE id = ?',
      (now(), int(rating), comment, nonce, row['id']),
    )
