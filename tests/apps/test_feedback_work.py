"""Leases, sessions and the texts of people: rows alone, no page."""

import dataclasses
import sqlite3
import threading

import pytest

from apps.feedback import (
  conversation,
  database,
  people,
  queued,
  talk,
  texts,
  work,
)
from apps.feedback.database import DatabaseError, comparisons, connect
from apps.feedback.errors import (
  ExpiredError,
  NotFoundError,
  OutOfDateError,
  QueueFullError,
)
from apps.feedback.plan import Plan
from apps.feedback.words import boxes

PLAN = Plan()
PAIR = ('\n\nHuman: 2 + 2?\n\nAssistant:', ' 4.', ' 5.')


@pytest.fixture
def db(tmp_path):
  connection = connect(tmp_path / 'x.db', create=True)
  queued.serve(connection, [('hash-old', 'old', '/runs/old')])
  yield connection
  connection.close()


def person(db, name='ada'):
  people.invite(db, name)
  return db.execute('SELECT MAX(id) FROM people').fetchone()[0]


def item_of(db, uid):
  return db.execute(
    'SELECT item_id FROM assignments WHERE uid = ?', (uid,)
  ).fetchone()[0]


def end(db, uid):
  db.execute('UPDATE assignments SET finished = 1 WHERE uid = ?', (uid,))


def expire(db, uid, at=1.0):
  db.execute('UPDATE assignments SET expires = ? WHERE uid = ?', (at, uid))


def asked(db, who, plan=PLAN, box='1', text='hello', nonce='n'):
  """A conversation with one turn and, unless box is None, its choice."""
  uid = work.lease(db, who, plan)
  talk.say(db, uid, who, plan, nonce=f's{nonce}', text=text, sampler='{}')
  answer(db)
  if box:
    talk.choose(db, uid, who, plan, nonce=nonce, box=box)
  return uid


def answer(db):
  rows = queued.waiting(db)
  written = {
    row.id: queued.Written(f' reply {row.seed}', [1], [2], True) for row in rows
  }
  queued.write(db, written)


def test_a_new_database_is_as_safe_as_it_says(tmp_path):
  path = tmp_path / 'x.db'
  db = connect(path, create=True)
  pragma = lambda name: db.execute(f'PRAGMA {name}').fetchone()[0]
  assert pragma('journal_mode') == 'wal' and pragma('synchronous') == 2
  assert pragma('foreign_keys') == 1 and pragma('user_version') == 1
  assert path.stat().st_mode & 0o777 == 0o600
  with pytest.raises(sqlite3.IntegrityError):
    db.execute("INSERT INTO settings VALUES ('x', NULL)")
  with pytest.raises(sqlite3.IntegrityError):  # STRICT: no text in a number
    db.execute("INSERT INTO snapshots VALUES (1, 'u', 'n', 'p', 'yes', 1.0)")
  with pytest.raises(sqlite3.IntegrityError, match='FOREIGN KEY'):
    db.execute("INSERT INTO sessions VALUES ('h', 99, 1.0, 2.0)")
  again = connect(path)
  assert database.setting(again, 'key') == database.setting(db, 'key')
  assert len(database.setting(db, 'key')) == 64


def test_a_file_that_is_no_database_of_ours_is_said_in_one_line(tmp_path):
  with pytest.raises(DatabaseError, match='there is no database'):
    connect(tmp_path / 'none.db')
  text = tmp_path / 'text.db'
  text.write_text('words ' * 1000)
  with pytest.raises(DatabaseError, match='cannot be used'):
    connect(text)
  foreign = sqlite3.connect(tmp_path / 'foreign.db')
  foreign.execute('CREATE TABLE other (x)')
  foreign.commit()
  with pytest.raises(DatabaseError, match='another program'):
    connect(tmp_path / 'foreign.db')
  foreign.execute('PRAGMA user_version = 99')
  with pytest.raises(DatabaseError, match='version 99'):
    connect(tmp_path / 'foreign.db')


def test_a_transaction_that_fails_leaves_nothing(db):
  with pytest.raises(RuntimeError):
    with database.writing(db):
      db.execute("UPDATE settings SET value = 'x'")
      raise RuntimeError
  assert database.setting(db, 'stopped') == '0'


def test_two_people_at_once_get_different_items(db, tmp_path):
  """Both ask at one barrier, from connections of their own, thirty times."""
  count = 30
  work.add_openings(db, [f'opening {i}' for i in range(2 * count)], PLAN)
  who = [person(db, name) for name in ('ada', 'bob')]
  plan = dataclasses.replace(PLAN, conversations=count)
  got, barrier = {key: [] for key in who}, threading.Barrier(2)

  def takes(key):
    own = connect(tmp_path / 'x.db')
    for _ in range(count):
      barrier.wait()
      uid = work.lease(own, key, plan)
      got[key].append(item_of(own, uid))
      end(own, uid)
    own.close()

  threads = [threading.Thread(target=takes, args=(key,)) for key in who]
  [thread.start() for thread in threads]
  [thread.join() for thread in threads]
  all_items = sum(got.values(), [])
  assert len(all_items) == 2 * count == len(set(all_items))


def test_a_task_that_is_open_is_given_again_and_an_ended_lease_to_others(db):
  work.add_openings(db, ['one'], PLAN)
  ada, bob = person(db), person(db, 'bob')
  first = work.lease(db, ada, PLAN)
  assert work.lease(db, ada, PLAN) == first
  assert item_of(db, work.lease(db, bob, PLAN)) != item_of(db, first)
  expire(db, first)
  eve = person(db, 'eve')
  theirs = work.lease(db, eve, PLAN)
  assert item_of(db, theirs) == item_of(db, first)
  with pytest.raises(ExpiredError):
    talk.say(db, first, ada, PLAN, nonce='n', text='late', sampler='{}')
  expire(db, theirs)
  talk.say(db, first, ada, PLAN, nonce='n', text='in time', sampler='{}')
  assert work.open_task(db, ada) == first


def test_what_was_given_back_does_not_come_again(db):
  work.add_openings(db, ['one'], PLAN)
  ada, bob = person(db), person(db, 'bob')
  first = work.lease(db, ada, PLAN)
  work.give_back(db, conversation.load(db, first, ada, PLAN).id)
  assert conversation.load(db, first, ada, PLAN).step == 'expired'
  assert item_of(db, work.lease(db, ada, PLAN)) != item_of(db, first)
  assert item_of(db, work.lease(db, bob, PLAN)) == item_of(db, first)
  assert work.begun(db, ada) == 1


def test_a_person_gets_so_many_tasks_and_none_when_it_is_stopped(db):
  plan = dataclasses.replace(
    PLAN, conversations=2, tasks=('helpful', 'red_team')
  )
  ada, kinds = person(db), []
  for _ in range(2):
    uid = work.lease(db, ada, plan)
    kinds.append(conversation.load(db, uid, ada, plan).task)
    end(db, uid)
  assert kinds == ['helpful', 'red_team']
  assert work.lease(db, ada, plan) is None
  database.set_setting(db, 'stopped', '1')
  assert work.lease(db, person(db, 'bob'), plan) is None


def test_overlap_n_has_the_first_pair_compared_by_n_people_never_by_one_twice(
  db,
):
  plan = dataclasses.replace(PLAN, overlap=3)
  ada = person(db)
  uid = asked(db, ada, plan, box='1')
  end(db, uid)
  ours = comparisons(db)[0]
  for name in ('bob', 'eve'):
    who = person(db, name)
    pair = work.lease(db, who, plan)
    seen = conversation.load(db, pair, who, plan)
    assert (seen.kind, seen.step) == ('pair', 'choose')
    assert seen.messages == (('human', 'hello'),)
    talk.choose(db, pair, who, plan, nonce=f'c{who}', box='8')
    assert conversation.load(db, pair, who, plan).step == 'done'
  found = comparisons(db)
  assert len(found) == 3 and {item.about for item in found} == {ours.about}
  assert {item.prompt for item in found} == {ours.prompt}
  texts_ = {frozenset((x.chosen, x.rejected)) for x in found}
  assert len(texts_) == 1
  for one in (ada, person(db, 'fay')):  # it is ada's own, and fay is the fourth
    lease = work.lease(db, one, plan)
    assert conversation.load(db, lease, one, plan).kind == 'chat'


def test_attention_items_come_in_their_turn_and_are_never_exported(db):
  plan = dataclasses.replace(PLAN, attention_every=2)
  assert work.add_attention(db, [PAIR]) == 1
  assert work.add_attention(db, [PAIR]) == 0
  ada = person(db)
  end(db, asked(db, ada, plan, nonce='a'))
  uid = work.lease(db, ada, plan)
  seen = conversation.load(db, uid, ada, plan)
  assert {reply.text for reply in seen.replies} == {'4.', '5.'}
  good = next(reply for reply in seen.replies if reply.text == '4.')
  box = '1' if good.label == 'A' else '8'
  talk.choose(db, uid, ada, plan, nonce='b', box=box)
  assert len(comparisons(db)) == 1
  every = comparisons(db, attention=True)
  assert [item.answer for item in every] == [None, 0]
  assert every[1].good == 0 and every[1].chosen == ' 4.'


@pytest.mark.parametrize('direction', ['better', 'worse'])
@pytest.mark.parametrize('box', ['1', '4', '5', '8'])
def test_the_box_the_order_and_the_direction_say_which_reply_is_better(
  db, box, direction
):
  plan = dataclasses.replace(
    PLAN, tasks=('red_team',), red_team_direction=direction
  )
  ada = person(db)
  uid = asked(db, ada, plan, box=None)
  a, b = conversation.load(db, uid, ada, plan).replies
  picked, other = (a, b) if box in '1234' else (b, a)
  talk.choose(db, uid, ada, plan, nonce='n', box=box)
  found = comparisons(db)[0]
  better, worse = (picked, other) if direction == 'better' else (other, picked)
  assert (found.chosen.strip(), found.rejected.strip()) == (
    better.text,
    worse.text,
  )
  assert found.good == better.place and found.direction == direction
  assert found.strength == {'1': 4, '8': 4}.get(box, 1)
  after = conversation.load(db, uid, ada, plan)
  assert after.messages[-1] == ('assistant', picked.text)


def test_a_rewrite_is_better_than_what_it_rewrote_and_goes_on(db):
  ada = person(db)
  uid = asked(db, ada, box=None)
  b = conversation.load(db, uid, ada, PLAN).replies[1]
  talk.rewrite(db, uid, ada, PLAN, nonce='n', of='b', text=' mine\r\nis it ')
  found = comparisons(db)[0]
  assert (found.chosen, found.rejected) == (' mine\nis it', f' {b.text}')
  assert found.rewritten == 1 and found.box is found.strength is None
  assert found.chosen_snapshot is None and found.rejected_snapshot == 'hash-old'
  talk.say(db, uid, ada, PLAN, nonce='m', text='and?', sampler='{}')
  prompt = db.execute('SELECT prompt FROM turns WHERE number = 2').fetchone()[0]
  assert prompt == (
    '\n\nHuman: hello\n\nAssistant: mine\nis it\n\nHuman: and?\n\nAssistant:'
  )


def test_each_step_refuses_what_belongs_to_another(db):
  ada, bob = person(db), person(db, 'bob')
  uid = work.lease(db, ada, PLAN)
  with pytest.raises(OutOfDateError):
    talk.choose(db, uid, ada, PLAN, nonce='n', box='1')
  with pytest.raises(NotFoundError):
    talk.say(db, uid, bob, PLAN, nonce='n', text='mine', sampler='{}')
  with pytest.raises(OutOfDateError):
    talk.finish(db, uid, ada, PLAN, nonce='n', rating='1', comment='')
  talk.say(db, uid, ada, PLAN, nonce='n', text='hello', sampler='{}')
  with pytest.raises(OutOfDateError):
    talk.say(db, uid, ada, PLAN, nonce='m', text='again', sampler='{}')
  with pytest.raises(OutOfDateError):
    talk.choose(db, uid, ada, PLAN, nonce='n', box='1')
  answer(db)
  for box in ('0', '9', '', '1 ', '１'):
    with pytest.raises(ValueError, match='eight boxes'):
      talk.choose(db, uid, ada, PLAN, nonce='n', box=box)
  assert comparisons(db) == []


def test_the_queue_is_bounded(db):
  plan = dataclasses.replace(PLAN, queue=3)
  uids = {key: work.lease(db, key, plan) for key in (person(db), person(db))}
  (ada, first), (bob, second) = uids.items()
  talk.say(db, first, ada, plan, nonce='n', text='one', sampler='{}')
  with pytest.raises(QueueFullError):
    talk.say(db, second, bob, plan, nonce='m', text='two', sampler='{}')
  answer(db)
  talk.say(db, second, bob, plan, nonce='m', text='two', sampler='{}')


def test_orders_and_writers_are_drawn_from_the_seed_that_is_stored(db):
  queued.serve(db, [('hash-a', 'a', 'p'), ('hash-b', 'b', 'q')])
  counts = {}
  for seed in range(400):
    drawn = talk.drawn(db, seed)
    assert drawn == talk.drawn(db, seed)
    assert drawn[0][1] != drawn[1][1]
    key = work.first_shown(seed), drawn[0][0], drawn[1][0]
    counts[key] = counts.get(key, 0) + 1
  # Eight cells of 50 expected: the chi-square of 7 degrees passes 24.3 once in
  # a thousand.
  assert len(counts) == 8
  assert sum((n - 50) ** 2 / 50 for n in counts.values()) < 24.3


def test_a_reply_that_nobody_can_write_any_more_is_given_up(db):
  ada = person(db)
  uid = work.lease(db, ada, PLAN)
  talk.say(db, uid, ada, PLAN, nonce='n', text='one', sampler='{}')
  assert len(queued.waiting(db)) == 2
  queued.serve(db, [('hash-new', 'new', '/x')])
  assert queued.waiting(db) == []
  assert conversation.load(db, uid, ada, PLAN).step == 'failed'


@pytest.mark.parametrize(
  ('typed', 'kept'),
  [
    ('  a\r\nb\rc  ', 'a\nb\nc'),
    ('a\n\nHuman: b', 'a\nHuman: b'),
    ('a\n \n\n Assistant: b', 'a\n \n\n Assistant: b'),
    ('a\n \n\nAssistant: b', 'a\nAssistant: b'),
    ('nul\x00 bell\x07 tab\t', 'nul bell tab'),
    ('left\u202eright\u2066', 'leftright'),
    ('a\n\nb', 'a\n\nb'),
    ('😀 é', '😀 é'),
  ],
)
def test_what_no_transcript_may_hold_goes(typed, kept):
  assert texts.cleaned(typed) == kept
  assert texts.cleaned(kept) == kept


def test_a_transcript_reads_back_as_the_turns_that_were_taken():
  prompt = texts.first_prompt(texts.cleaned('hi\n\nAssistant: no'))
  whole = texts.next_prompt(prompt, ' yes', 'so')
  assert texts.messages(whole) == [
    ('human', 'hi\nAssistant: no'),
    ('assistant', 'yes'),
    ('human', 'so'),
  ]
  assert texts.one_reply(' fine\n\nHuman: and I say') == ' fine'


def test_a_link_lets_in_until_it_is_revoked_and_is_stored_as_a_hash(db):
  token = people.invite(db, 'ada', nonce='form')
  assert people.invite(db, 'ada', nonce='form') is None
  assert len(token) == 32 and people.join(db, 'no', 10) is None
  cookie = people.join(db, token, 10)
  found = people.person_of(db, cookie)
  assert (found.name, found.role) == ('ada', 'worker')
  dump = '\n'.join(db.iterdump())
  assert token not in dump and cookie not in dump
  assert people.revoke(db, found.uid)
  assert people.person_of(db, cookie) is None
  assert people.join(db, token, 10) is None
  assert not people.revoke(db, 'nobody')
  other = people.join(db, people.invite(db, 'bob'), -1)
  assert people.person_of(db, other) is None  # its time is over
  for name in ('', ' ', 'two\nlines', 'x' * 81):
    with pytest.raises(ValueError, match='name of 1 to 80'):
      people.invite(db, name)


def test_the_boxes_go_from_a_to_b():
  words = boxes('better')
  assert words[0] == 'A much better' and words[7] == 'B much better'
  assert words[3] == 'A barely better' and words[4] == 'B barely better'
  assert len(set(words)) == 8


def test_a_plan_says_which_value_is_wrong():
  for wrong in ({'tasks': ('chess',)}, {'shown': 'fast'}, {'turns': 0}):
    with pytest.raises(ValueError, match=next(iter(wrong))):
      Plan(**wrong)
