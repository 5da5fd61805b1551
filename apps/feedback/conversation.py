"""A conversation as the database has it: what a page shows, and its step."""

import dataclasses
import sqlite3

from apps.feedback import texts


@dataclasses.dataclass(frozen=True)
class Shown:
  """A reply on the page.

  Attributes:
    id: of its row.
    label: 'A' or 'B'.
    place: 0 or 1, as drawn.
    text: without the space before it; '' while it is being written.
    done: whether it is there.
    failed: whether there will be none.
  """

  id: int
  label: str
  place: int
  text: str
  done: bool
  failed: bool


@dataclasses.dataclass(frozen=True)
class Conversation:
  """What a page of a task shows.

  Attributes:
    id: of the assignment.
    uid: likewise.
    kind: 'chat' or 'pair'.
    task: 'helpful' or 'red_team'.
    direction: 'better' or 'worse'.
    opening: a first message that is suggested, or ''.
    step: 'say', 'wait', 'choose', 'failed', 'finish', 'done' or 'expired'.
    turn: number of the turn that the step is of, from 1.
    may_finish: whether the conversation may end now.
    messages: [(role, text)] of what is settled.
    replies: (Shown A, Shown B) of the turn without a choice; ().
    shown: 'stream' or 'together', of that turn.
    seen: whether both were on the page before.
  """

  id: int
  uid: str
  kind: str
  task: str
  direction: str
  opening: str
  step: str
  turn: int
  may_finish: bool
  messages: tuple
  replies: tuple
  shown: str
  seen: bool


def assignment_of(db, uid, person_id):
  """The row of an assignment of a person, None if it is not theirs."""
  return db.execute(
    'SELECT a.*, i.kind, i.task, i.direction, i.opening, i.overlap'
    ' FROM assignments AS a JOIN items AS i ON i.id = a.item_id'
    ' WHERE a.uid = ? AND a.person_id = ?',
    (uid, person_id),
  ).fetchone()


def turns_of(db, assignment_id) -> list[sqlite3.Row]:
  """Rows of the turns of an assignment, with their choices where there are."""
  return db.execute(
    'SELECT t.*, c.picked, c.rewrite, c.id AS choice'
    ' FROM turns AS t LEFT JOIN choices AS c ON c.turn_id = t.id'
    ' WHERE t.assignment_id = ? ORDER BY t.number',
    (assignment_id,),
  ).fetchall()


def _replies(db, turn_id) -> list[sqlite3.Row]:
  """Rows of both replies, by place."""
  return db.execute(
    'SELECT * FROM replies WHERE turn_id = ? ORDER BY place', (turn_id,)
  ).fetchall()


def goes_on_with(db, turn) -> str:
  """The text that a turn went on with: a rewrite or the reply picked."""
  if turn['rewrite'] is not None:
    return turn['rewrite']
  return _replies(db, turn['id'])[turn['picked']]['text']


def load(db, uid: str, person_id: int, plan) -> Conversation | None:
  """A conversation as it stands; None if it is not that person's."""
  row = assignment_of(db, uid, person_id)
  if not row:
    return None
  turns, messages, replies = turns_of(db, row['id']), [], ()
  shown, seen = '', False
  for turn in turns:
    before = texts.messages(turn['prompt']) if row['kind'] == 'pair' else ()
    messages += before or [('human', turn['human'])]
    if turn['choice'] is not None:
      messages.append(('assistant', goes_on_with(db, turn).strip()))
    else:
      shown, seen = turn['shown'], turn['seen'] is not None
      replies = _as_shown(_replies(db, turn['id']), turn['shown_first'])
  step = _step(row, turns, replies, plan)
  chosen = sum(turn['choice'] is not None for turn in turns)
  return Conversation(
    id=row['id'],
    uid=row['uid'],
    kind=row['kind'],
    task=row['task'],
    direction=row['direction'],
    opening='' if turns else row['opening'],
    step=step,
    turn=len(turns) + (step == 'say'),
    may_finish=chosen > 0 and step in ('say', 'finish', 'failed'),
    messages=tuple(messages),
    replies=replies,
    shown=shown,
    seen=seen,
  )


def _as_shown(rows, shown_first):
  """Both replies in the order of the page."""
  ordered = rows if shown_first == 0 else rows[::-1]
  return tuple(
    Shown(
      id=row['id'],
      label=label,
      place=row['place'],
      text=(row['text'] or '').strip(),
      done=row['finished'] is not None,
      failed=row['failed'] is not None,
    )
    for label, row in zip('AB', ordered, strict=True)
  )


def _step(row, turns, replies, plan):
  """The step of a conversation, but for a lease that somebody else has."""
  if row['finished'] is not None:
    return 'done'
  if row['expires'] == 0:
    return 'expired'
  if replies:
    if not all(reply.done for reply in replies):
      return 'wait'
    return 'failed' if any(reply.failed for reply in replies) else 'choose'
  return 'finish' if len(turns) >= plan.turns else 'say'
