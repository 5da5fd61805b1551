"""Flags, files and addresses as somebody in a hurry gives them."""

import json
import os
import pathlib
import signal
import subprocess
import sys

import pytest
import said_fixture

pytest.importorskip('starlette', reason='pip install -e .[feedback]')
pytest.importorskip('uvicorn', reason='pip install -e .[feedback]')

from apps.feedback import __main__ as program
from apps.feedback import (
  conversation,
  database,
  export,
  invite,
  people,
  restore,
  serving,
  standings,
  work,
)
from apps.feedback.client import Client, ClientError
from apps.feedback.plan import Plan
from rlhf_jax.data.faults import DataError
from rlhf_jax.train.about import RunError

ROOT = pathlib.Path(__file__).parents[2]
SAMPLER = {'rows': 8, 'max_prompt': 512, 'max_reply': 256}
SAMPLER |= {'top_k': 0, 'top_p': 1.0, 'temperature': 1.0}


@pytest.mark.parametrize(
  ('given', 'origin'),
  [
    ('https://x.org/', 'https://x.org'),
    ('https://Feedback.Example.org', 'https://feedback.example.org'),
    ('https://x.org:443', 'https://x.org'),
    ('http://x.org:80', 'http://x.org'),
    ('https://x.org:8443', 'https://x.org:8443'),
    ('https://bücher.example', 'https://xn--bcher-kva.example'),
    ('http://[2001:DB8::1]:8000', 'http://[2001:db8::1]:8000'),
  ],
)
def test_a_public_address_is_what_a_browser_says(given, origin):
  assert serving.origin_of(given) == origin


@pytest.mark.parametrize(
  'given',
  ['x.org', 'ftp://x.org', 'https://', 'https://x.org/feedback']
  + ['https://x.org/?a=1', 'https://x.org#top', 'https://ada@x.org'],
)
def test_an_address_that_is_no_whole_site_is_refused(given):
  options = {'public': given, 'host': '127.0.0.1', 'port': 0}
  with pytest.raises(ValueError, match='wanted --public=https://NAME'):
    serving.listen(options)


@pytest.mark.parametrize(
  ('name', 'value'),
  [('rows', 1), ('max_prompt', 1), ('max_reply', 0), ('top_k', -1)]
  + [('top_p', 0.0), ('top_p', 1.5), ('top_p', float('nan'))]
  + [('temperature', 0.0), ('temperature', float('nan'))],
)
def test_a_sampler_that_writes_nothing_is_refused_before_models_open(
  name, value
):
  program.check_sampler(SAMPLER)
  with pytest.raises(ValueError, match=f'wanted --{name} '):
    program.check_sampler(SAMPLER | {name: value})


def options_of(db):
  """Flags of a program that serves a database; its policy is nowhere."""
  planned = {name: field.default for name, field in program.PLANNED.items()}
  own = {'db': str(db), 'policies': 'nothing', 'pm': '', 'tasks': 'helpful'}
  own |= {'host': '127.0.0.1', 'port': 0, 'public': ''}
  return planned | SAMPLER | own


def test_a_database_that_is_served_is_refused_before_models_open(tmp_path):
  """Also by another name: its snapshots would not be those of the first."""
  path, link = tmp_path / 'x.db', tmp_path / 'link.db'
  database.connect(path, create=True).close()
  link.symlink_to(path)
  for name in (path, link):
    with serving.alone(path), pytest.raises(RunError) as found:
      program.run(options_of(name))
    said = str(found.value)
    assert said.startswith(
      f'{name} is in use by another process ({os.getpid()}'
    )
    assert said.endswith(': end that one, or give another --db')
  with pytest.raises(FileNotFoundError, match='no model'):  # it is free again
    program.run(options_of(path))
  assert pathlib.Path(f'{path}.lock').stat().st_mode & 0o077 == 0


@pytest.mark.slow  # starts a process
def test_a_process_that_is_killed_lets_go_of_its_database(tmp_path):
  path = tmp_path / 'x.db'
  code = (
    'import sys, time\n'
    'from apps.feedback import serving\n'
    'lock = serving.alone(sys.argv[1])\n'
    'print("held", flush=True)\n'
    'time.sleep(600)\n'
  )
  process = subprocess.Popen(
    [sys.executable, '-c', code, path], cwd=ROOT, stdout=subprocess.PIPE
  )
  try:
    assert process.stdout.readline() == b'held\n'
    with pytest.raises(RunError, match=f'another process .{process.pid} on'):
      serving.alone(path)
  finally:
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
  serving.alone(path).close()


def commands(tmp_path, monkeypatch):
  """Calls of all commands that write to a database."""
  path, out = tmp_path / 'x.db', tmp_path / 'out'
  monkeypatch.setattr(program, 'Writers', lambda *args, **more: None)
  served = options_of(path) | {'openings': '', 'attention': ''}
  invited = {'db': path, 'names': 'ada', 'count': 0}
  invited |= {'role': 'worker', 'kind': 'person'}
  return {
    'serve': lambda: program.run(served),
    'invite': lambda: invite.run(invited),
    'export': lambda: export.main([f'--db={path}', f'--from={out}']),
  }


@pytest.mark.parametrize('name', ['serve', 'invite', 'export'])
def test_a_database_that_is_locked_is_one_line_of_every_command(
  tmp_path, monkeypatch, name
):
  made = said_fixture.Maker(tmp_path / 'a.db')
  made.choose(made.conversation())
  export.write(made.db, tmp_path / 'out')
  other = database.connect(tmp_path / 'x.db', create=True)
  other.execute('BEGIN IMMEDIATE')
  monkeypatch.setattr(database, 'BUSY_SECONDS', 0.05)
  with pytest.raises((database.DatabaseError, SystemExit)) as found:
    commands(tmp_path, monkeypatch)[name]()
  said = str(found.value).removeprefix('error: ')
  assert said.startswith(f'{tmp_path}/x.db is locked by another program (')
  assert said.endswith('end it, and give the same command again')


def test_a_database_that_nobody_else_may_read_is_one_line(
  tmp_path, monkeypatch
):
  path = tmp_path / 'x.db'
  database.connect(path, create=True).close()
  other = database.connect(path)
  other.execute('PRAGMA locking_mode = EXCLUSIVE')
  database.set_setting(other, 'stopped', '1')
  monkeypatch.setattr(database, 'BUSY_SECONDS', 0.05)
  for main, more in ((standings.main, []), (export.main, ['--to=out'])):
    with pytest.raises(SystemExit, match='x.db is locked by another program'):
      main([f'--db={path}', *more])


def test_a_full_disk_is_said_of_the_disk_not_of_the_row(tmp_path, monkeypatch):
  made = said_fixture.Maker(tmp_path / 'a.db')
  made.choose(made.conversation(), texts=(' long' * 9999, ' longer' * 9999))
  export.write(made.db, tmp_path / 'out')
  connect = database.connect

  def full(*args, **more):
    db = connect(*args, **more)
    db.execute('PRAGMA max_page_count = 1')  # none below what there is
    return db

  monkeypatch.setattr(database, 'connect', full)
  with pytest.raises(SystemExit, match='disk is full.*: make room on its disk'):
    export.main([f'--db={tmp_path}/x.db', f'--from={tmp_path}/out'])


def test_a_queue_that_holds_no_turn_is_refused():
  Plan(queue=2)
  with pytest.raises(ValueError, match='wanted queue of 2 or more'):
    Plan(queue=1)


def test_the_folder_of_a_new_database_is_made(tmp_path):
  path = tmp_path / 'runs' / 'deep' / 'x.db'
  database.connect(path, create=True).close()
  assert path.is_file()


@pytest.mark.parametrize('task', ['helpful', 'red_team'])
def test_openings_are_of_the_task_that_is_asked_for(tmp_path, task):
  plan = Plan(tasks=(task,))
  file = tmp_path / 'openings.txt'
  file.write_text('one\n')
  options = {'db': tmp_path / 'x.db', 'openings': file, 'attention': ''}
  serving.prepare(options, plan)
  db = database.connect(tmp_path / 'x.db')
  people.invite(db, 'ada')
  who = db.execute('SELECT MAX(id) FROM people').fetchone()[0]
  seen = conversation.load(db, work.lease(db, who, plan), who, plan)
  assert (seen.opening, seen.task) == ('one', task)


def test_a_separator_inside_of_json_ends_no_line(tmp_path):
  text = '\n\nHuman: 2\u2028+ 2?\n\nAssistant:'
  row = {'chosen': f'{text} 4.', 'rejected': f'{text} 5.\x85'}
  file = tmp_path / 'pairs.jsonl'
  file.write_text(json.dumps(row, ensure_ascii=False) + '\n')
  assert serving.attention_rows(file) == [(text, ' 4.', ' 5.\x85')]


def changed(row, place, value):
  """A row of the sidecar with another value, as a line."""
  own = json.loads(json.dumps(row))
  *path, last = place.split('.')
  inner = own
  for name in path:
    inner = inner[name]
  inner[last] = value
  return json.dumps(own).encode()


def test_a_sidecar_that_was_tampered_with_is_one_line_and_nothing_read(
  tmp_path,
):
  made = said_fixture.Maker(tmp_path / 'a.db')
  made.choose(made.conversation())
  export.write(made.db, tmp_path / 'out')
  file = tmp_path / 'out' / export.SIDECAR
  row = json.loads(file.read_text())
  fresh = database.connect(tmp_path / 'b.db', create=True)
  for bad in (
    changed(row, 'choice.box', 2**70),
    changed(row, 'item.source', 'nothing'),
    changed(row, 'item.source', {}),
    changed(row, 'replies', [1]),
    changed(row, 'choice.seconds', float('nan')),
    b'{"uid": "\xff"}',
  ):
    file.write_bytes(bad + b'\n')
    with pytest.raises(DataError, match=r'sidecar.jsonl:1: wanted'):
      restore.read(fresh, file)
  assert database.comparisons(fresh) == []
  assert fresh.execute('SELECT COUNT(*) FROM people').fetchone()[0] == 0


def test_a_client_never_speaks_plainly_to_an_https_address():
  import http.server
  import threading

  asked = []

  class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):  # noqa: N802 (name of the library)
      asked.append(self.path)
      self.send_response(200)
      self.end_headers()

    def log_message(self, *args):
      """Says nothing."""

  server = http.server.HTTPServer(('127.0.0.1', 0), Handler)
  thread = threading.Thread(target=server.serve_forever, args=(0.02,))
  thread.start()
  try:
    port = server.server_port
    assert Client(f'http://127.0.0.1:{port}').get('/')[0] == 200
    with pytest.raises(ClientError, match='gave no answer'):
      Client(f'https://127.0.0.1:{port}', patience=0.01).get('/secret')
  finally:
    server.shutdown()
    thread.join()
    server.server_close()
  assert asked == ['/']


@pytest.mark.parametrize('url', ['127.0.0.1:8000', 'ftp://x.org', 'http://'])
def test_an_address_that_is_none_is_said_at_once(url):
  with pytest.raises(ValueError, match='wanted an address such as http://127'):
    Client(url)
