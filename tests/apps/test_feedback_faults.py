"""What a machine does to the page: a full disk, a lock, a clock, a restart."""

import contextlib
import json
import logging
import signal
import sqlite3
import threading

import pytest

pytest.importorskip('starlette', reason='pip install -e .[feedback]')
pytest.importorskip('python_multipart', reason='pip install -e .[feedback]')
pytest.importorskip('httpx2', reason='pip install -e .[dev]')

from apps.feedback import database, export, generation, queued, talk, texts
from apps.feedback import site as pages
from apps.feedback.database import comparisons, connect, writing
from apps.feedback.plan import Plan
from tests.apps.stand_in import Page, StandIn, nonce_for, reply_of, send


@pytest.fixture
def page(tmp_path):
  return Page(tmp_path)


def full(path):
  """A connection to a database that cannot grow any more."""
  db = connect(path)
  db.execute('PRAGMA max_page_count = 1')  # none below what there is
  return db


def test_an_error_of_a_commit_is_undone_and_the_connection_goes_on(tmp_path):
  db = connect(tmp_path / 'x.db', create=True)
  with pytest.raises(sqlite3.IntegrityError, match='FOREIGN KEY'):
    with writing(db):
      db.execute('PRAGMA defer_foreign_keys = ON')  # until the commit
      db.execute("INSERT INTO sessions VALUES ('h', 99, 1.0, 2.0)")
  database.set_setting(db, 'stopped', '1')
  assert db.execute('SELECT COUNT(*) FROM sessions').fetchone()[0] == 0


def test_a_full_disk_is_a_page_and_the_same_form_is_good_afterwards(
  page, monkeypatch, caplog
):
  ada = page.person()
  task = page.begin(ada)
  form = {'nonce': nonce_for(ada, task, f'{task}/say'), 'text': 'words ' * 600}
  caplog.set_level(logging.DEBUG)
  with monkeypatch.context() as patch:
    patch.setattr(pages, 'connect', full)
    answer = ada.post(f'{task}/say', data=form)
  assert answer.status_code == 503 and 'Nothing was stored' in answer.text
  assert "script-src 'self'" in answer.headers['content-security-policy']
  assert 'full' in caplog.text and 'words' not in caplog.text
  assert page.count('turns') == 0
  assert ada.post(f'{task}/say', data=form).status_code == 303
  assert [page.count(x) for x in ('turns', 'replies')] == [1, 2]


def test_a_database_that_is_locked_for_too_long_is_a_page(page, monkeypatch):
  ada = page.person()
  task = page.talk(ada)
  form = {'nonce': nonce_for(ada, task, f'{task}/choose'), 'box': '2'}
  monkeypatch.setattr(database, 'BUSY_SECONDS', 0.05)
  other = connect(page.path)
  other.execute('BEGIN IMMEDIATE')
  assert ada.post(f'{task}/choose', data=form).status_code == 503
  assert ada.get(task).status_code == 200  # who reads does not wait
  other.execute('ROLLBACK')
  assert ada.post(f'{task}/choose', data=form).status_code == 303
  assert page.count('choices') == 1


def test_a_database_that_is_gone_is_a_page(page):
  ada = page.person()
  page.site.path = page.path.with_name('gone.db')
  assert ada.get('/').status_code == 503


def test_the_thread_outlives_a_full_disk_and_writes_the_same_replies(
  page, monkeypatch
):
  ada = page.person()
  task = page.begin(ada)
  send(ada, task, f'{task}/say', text='hello')
  waiting, fails = queued.waiting(page.db), iter([True, True])
  write, ended = queued.write, threading.Event()

  def sometimes(db, found):
    if next(fails, False):
      raise sqlite3.OperationalError('database or disk is full')
    write(db, found)
    if not queued.waiting(db):
      ended.set()

  monkeypatch.setattr(queued, 'write', sometimes)
  monkeypatch.setattr(generation, 'PAUSE', 0.01)
  thread = generation.Generation(page.path, page.writers)
  thread.start()
  assert ended.wait(30)
  thread.stop()
  rows = page.db.execute('SELECT text FROM replies ORDER BY id')
  assert [row[0] for row in rows] == [
    reply_of(x.snapshot, x.seed, x.prompt) for x in waiting
  ]
  assert len(page.writers.batches) > 2


def test_a_prompt_that_breaks_its_reader_holds_nobody_up(page):
  group = page.writers.group

  def broken(request):
    if 'strange' in request.prompt:
      raise KeyError('chat template')
    return group(request)

  page.writers.group = broken
  ada, bob = page.person(), page.person('bob')
  task = page.talk(ada, 'a strange one')
  assert ada.get(f'{task}/state.json').json()['step'] == 'failed'
  task = page.talk(bob, 'a usual one')
  assert bob.get(f'{task}/state.json').json()['step'] == 'choose'


def test_a_clock_that_is_put_back_makes_no_negative_seconds(page, monkeypatch):
  ada = page.person()
  task = page.talk(ada)
  ada.get(task)
  earlier = database.now() - 3600
  monkeypatch.setattr(talk, 'now', lambda: earlier)
  assert send(ada, task, f'{task}/choose', box='1').status_code == 303
  assert comparisons(page.db)[0].seconds == 0


@pytest.mark.parametrize('shown', ['stream', 'together'])
def test_together_is_not_before_both_are_there(tmp_path, shown):
  """Replies of two snapshots are written one after the other."""
  page = Page(tmp_path, Plan(shown=shown))
  ada = page.person()
  task = page.begin(ada)
  send(ada, task, f'{task}/say', text='hello')
  first, second = queued.waiting(page.db)
  reply = queued.Written(' the first one', [1], [2], True)
  queued.write(page.db, {first.id: reply})
  early = [ada.get(x).text for x in (task, f'{task}/state.json')]
  assert ['the first one' in x for x in early] == [shown == 'stream'] * 2
  queued.write(page.db, {second.id: reply})
  assert ada.get(task).text.count('the first one') == 2


def test_replies_that_waited_say_which_sampler_wrote_them(tmp_path):
  page = Page(tmp_path)
  ada, bob = page.person(), page.person('bob')
  page.talk(ada)
  task = page.begin(bob)
  send(bob, task, f'{task}/say', text='before the restart')
  writers = StandIn()
  writers.sampler = StandIn.sampler | {'temperature': 0.5}
  again = Page(tmp_path, writers=writers)
  again.write()
  rows = again.db.execute('SELECT sampler FROM replies ORDER BY id')
  found = [json.loads(row[0])['temperature'] for row in rows]
  assert found == [1.0, 1.0, 0.5, 0.5]


def test_a_sidecar_is_of_one_state_of_the_database(page, monkeypatch):
  ada, admin = page.person(), page.person('root', 'admin')
  task = page.talk(ada)
  send(ada, task, f'{task}/choose', box='1')
  rows = export._rows_of

  def meanwhile(db, choice):
    with contextlib.closing(connect(page.path)) as other:
      other.execute("UPDATE assignments SET comment = 'later'")
    return rows(db, choice)

  monkeypatch.setattr(export, '_rows_of', meanwhile)
  said = admin.get('/admin/sidecar.jsonl').text
  assert json.loads(said)['assignment']['comment'] is None


def test_a_form_full_of_line_ends_is_read_at_once():
  """A regular expression that tried each of them would take hours."""

  def late(*_):
    raise TimeoutError

  before = signal.signal(signal.SIGALRM, late)
  signal.alarm(60)
  try:
    assert texts.cleaned('a' + '\n' * 10**6 + 'b')[-3:] == '\n\nb'
  finally:
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)
