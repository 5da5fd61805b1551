"""What was tried against the page, and that it failed: docs/feedback.md.

Each attack is followed by the state of the database, which it must not change.
"""

import asyncio
import json
import logging
import re
import urllib.parse

import markupsafe
import pytest

pytest.importorskip('starlette', reason='pip install -e .[feedback]')
pytest.importorskip('python_multipart', reason='pip install -e .[feedback]')
pytest.importorskip('httpx2', reason='pip install -e .[dev]')

from apps.feedback.database import comparisons
from apps.feedback.guard import Buckets
from apps.feedback.plan import Plan
from tests.apps.stand_in import ORIGIN, Page, nonce_for, send

NASTY = (
  '<script>document.title = "ran"</script>',
  '"><img src=x onerror=alert(1)>',
  "'); DROP TABLE choices; --",
  "' OR '1'='1",
  '{{ 7 * 7 }}{% raw %}',
  '../../../../etc/passwd',
  '\u202etxt.exe\x00\x1b[31m',
)
PAGES = ('/', '/next', '/admin', '/admin/export.jsonl', '/admin/sidecar.jsonl')
FORMS = ('/next', '/leave', '/admin/stop', '/admin/invite', '/admin/revoke')


@pytest.fixture
def page(tmp_path):
  return Page(tmp_path)


def rows(page):
  """All that is stored, but for sessions."""
  return [x for x in page.db.iterdump() if '"sessions"' not in x]


def test_a_forged_cookie_opens_nothing(page):
  ada = page.person()
  task = page.talk(ada)
  before = rows(page)
  for cookie in ('0' * 32, '', ada.token, 'admin', "' OR 1=1 --", 'x' * 4000):
    client = page.visitor(cookie=f'feedback={cookie}')
    for path in (*PAGES, task, f'{task}/state.json'):
      assert client.get(path).status_code in (401, 404), path
    for path in (*FORMS, f'{task}/choose', f'{task}/finish', f'{task}/skip'):
      answer = client.post(path, data={'nonce': '0' * 32, 'box': '1'})
      assert answer.status_code in (303, 401), path  # 303: /leave, to /
  assert rows(page) == before


def test_a_form_of_another_page_or_session_is_refused(page):
  ada, bob = page.person(), page.person('bob')
  task, other = page.talk(ada), page.talk(bob)
  mine = nonce_for(ada, task, f'{task}/choose')
  skip = nonce_for(ada, task, f'{task}/skip')
  before = rows(page)
  for nonce in ('', '0' * 32, mine[::-1], skip, 'é', mine.upper()):
    answer = ada.post(f'{task}/choose', data={'nonce': nonce, 'box': '1'})
    assert answer.status_code == 403
  stolen = bob.post(f'{other}/choose', data={'nonce': mine, 'box': '1'})
  assert stolen.status_code == 403
  # Another session of the same person has nonces of its own.
  again = page.visitor()
  again.post('/join', data={'token': ada.token})
  assert nonce_for(again, task, f'{task}/choose') != mine
  answer = again.post(f'{task}/choose', data={'nonce': mine, 'box': '1'})
  assert answer.status_code == 403
  assert rows(page) == before


def test_a_replayed_form_changes_nothing(page):
  ada = page.person()
  task = page.talk(ada)
  form = {'nonce': nonce_for(ada, task, f'{task}/choose'), 'box': '1'}
  ada.post(f'{task}/choose', data=form)
  page.talk(ada, 'and more', task)  # the next turn has a choice to make
  before = rows(page)
  answer = ada.post(f'{task}/choose', data=form | {'box': '8'})
  assert answer.status_code == 303
  form |= {'action': 'rewrite', 'rewrite': 'x', 'rewrite_of': 'a'}
  ada.post(f'{task}/choose', data=form)
  assert rows(page) == before


@pytest.mark.parametrize(
  'origin',
  ['', 'null', 'http://evil.example', 'http://127.0.0.1:8001', ORIGIN + '.x']
  + [ORIGIN.replace('http', 'https'), f'{ORIGIN}/', ORIGIN.upper()],
)
def test_a_form_from_a_foreign_origin_is_refused(page, origin):
  ada = page.person()
  task = page.talk(ada)
  form = {'nonce': nonce_for(ada, task, f'{task}/choose'), 'box': '1'}
  before = rows(page)
  client = page.visitor(origin=origin)
  client.cookies.update(dict(ada.cookies))
  for path, fields in (
    (f'{task}/choose', form),
    ('/leave', {'nonce': nonce_for(ada, task, f'{task}/skip')}),
    ('/join', {'token': ada.token}),
  ):
    assert client.post(path, data=fields).status_code == 403
  assert rows(page) == before and ada.get(task).status_code == 200


def test_another_name_for_this_address_is_not_served(page):
  ada = page.person()
  for host in ('evil.example', '127.0.0.1', 'localhost:8000', ''):
    assert ada.get('/', headers={'host': host}).status_code == 421


def test_a_body_that_is_too_large_is_not_read(page):
  ada = page.person()
  task = page.begin(ada)
  nonce = nonce_for(ada, task, f'{task}/say')
  before, most = rows(page), page.plan.most_body
  kind = {'content-type': 'application/x-www-form-urlencoded'}
  large = f'nonce={nonce}&text=' + 'x' * most
  answer = ada.post(f'{task}/say', content=large, headers=kind)
  assert answer.status_code == 413
  for length in ('-1', '1e3', '１２'.encode()):
    answer = ada.post(
      f'{task}/say', content='x', headers=kind | {'content-length': length}
    )
    assert answer.status_code in (400, 413)
  many = '&'.join(f'a{i}=1' for i in range(100))
  answer = ada.post(
    f'{task}/say', content=f'nonce={nonce}&{many}', headers=kind
  )
  assert answer.status_code == 400
  assert rows(page) == before


def test_a_body_without_an_end_is_left_where_it_is_too_large(page):
  ada, taken, said = page.person(), [], []

  async def receive():
    taken.append(4096)
    return {'type': 'http.request', 'body': b'x' * 4096, 'more_body': True}

  async def send_(message):
    said.append(message)

  headers = {
    'host': '127.0.0.1:8000',
    'origin': ORIGIN,
    'content-type': 'application/x-www-form-urlencoded',
    'cookie': f'feedback={ada.cookies["feedback"]}',
  }
  scope = {
    'type': 'http',
    'method': 'POST',
    'path': '/next',
    'raw_path': b'/next',
    'query_string': b'',
    'client': ('127.0.0.1', 1),
    'headers': [(k.encode(), v.encode()) for k, v in headers.items()],
  }
  asyncio.run(page.app(scope, receive, send_))
  assert said[0]['status'] == 413
  assert sum(taken) <= page.plan.most_body + 4096


@pytest.mark.parametrize(
  'kind', ['multipart/form-data; boundary=x', 'application/json', 'text/plain']
)
def test_only_plain_forms_are_read(page, kind):
  ada = page.person()
  answer = ada.post('/next', content='{}', headers={'content-type': kind})
  assert answer.status_code == 415


@pytest.mark.parametrize('nasty', NASTY)
def test_sql_and_html_in_every_field_stay_text(page, nasty):
  ada, admin = page.person(), page.person('root', 'admin')
  kept = ''.join(c for c in nasty if c.isprintable())
  task = page.talk(ada, nasty)
  fields = {'action': 'rewrite', 'rewrite': nasty, 'rewrite_of': 'a'}
  assert send(ada, task, f'{task}/choose', **fields).status_code == 303
  shown = ada.get(task).text
  assert shown.count(str(markupsafe.escape(kept))) >= 2
  end = send(ada, task, f'{task}/finish', rating='1', comment=nasty)
  assert end.status_code == 303
  row = page.db.execute('SELECT human, prompt FROM turns').fetchone()
  assert row['human'] == kept and f' {kept}\n\nAssistant:' in row['prompt']
  assert comparisons(page.db)[0].chosen == f' {kept}'
  comment = page.db.execute('SELECT comment FROM assignments').fetchone()[0]
  assert comment == kept
  send(admin, '/admin', '/admin/invite', name=kept, kind='person')
  assert live(admin.get('/admin').text) == []
  assert live(shown) == []
  before = rows(page)
  for path, form in wrong_fields(task, nasty):
    answer = ada.post(path, data=form)
    assert answer.status_code in (303, 400, 403, 404), (path, form)
    assert live(answer.text) == []
  for place in ('tasks', 'join', 'static'):
    path = f'/{place}/{urllib.parse.quote(nasty, safe="")}'
    assert ada.get(path).status_code == 404
  after = [x for x in rows(page) if x not in before]
  assert after == [] and page.count('choices') == 1
  lines = admin.get('/admin/export.jsonl').text.splitlines()
  assert json.loads(lines[0])['chosen'].endswith(f' {kept}')


def wrong_fields(task, nasty):
  """(path, form) with something in every other field."""
  yield '/join', {'token': nasty}
  yield '/next', {'nonce': nasty}
  yield f'{task}/choose', {'nonce': nasty, 'box': '1'}
  yield f'{task}/choose', {'nonce': '0' * 32, 'box': nasty, 'action': nasty}
  yield f'{task}/choose', {'rewrite_of': nasty, 'action': 'rewrite'}
  yield f'{task}/finish', {'nonce': nasty, 'rating': nasty}
  yield '/admin/revoke', {'nonce': nasty, 'person': nasty}


def live(page):
  """Whatever of a page would run, or loads from elsewhere."""
  scripts = re.findall(r'<script(?! src="/static/feedback.js" defer>)', page)
  handlers = re.findall(r'<[^>]*\son\w+\s*=', page)
  styles = re.findall(r'<[^>]*\sstyle\s*=|<style', page)
  away = re.findall(r'(?:href|src|action)="(?!/)[^"]*"', page)
  return scripts + handlers + styles + away


def test_wrong_boxes_ratings_and_kinds_are_refused(page):
  ada, admin = page.person(), page.person('root', 'admin')
  task = page.talk(ada)
  before = rows(page)
  for box in ('0', '9', '01', '1.0', '-1', '١', '', 'NaN', '1 OR 1=1'):
    assert send(ada, task, f'{task}/choose', box=box).status_code == 400
  for of in ('', 'c', 'A', '0'):
    fields = {'action': 'rewrite', 'rewrite': 'x', 'rewrite_of': of}
    assert send(ada, task, f'{task}/choose', **fields).status_code == 400
  invite = {'name': 'eve', 'kind': 'admin'}
  answer = send(admin, '/admin', '/admin/invite', **invite)
  assert answer.status_code == 400
  # Nobody makes an administrator through the page.
  send(
    admin, '/admin', '/admin/invite', name='eve', kind='person', role='admin'
  )
  made = page.db.execute("SELECT role FROM people WHERE name = 'eve'")
  assert [x[0] for x in made] == ['worker']
  assert len(rows(page)) == len(before) + 1


@pytest.mark.parametrize(
  'path',
  [
    '/static/../app.py',
    '/static/..%2fapp.py',
    '/static/%2e%2e/%2e%2e/setup.py',
    '/static//etc/passwd',
    '/static/feedback.css%00.html',
    '/static/..\\site.py',
    '/..%2f..%2fetc/passwd',
    '/tasks/..%2fadmin',
    '/tasks/../admin/stop',
    '/.git/config',
    '/feedback.db',
  ],
)
def test_no_path_leads_out_of_the_page(page, path):
  ada = page.person()
  answer = ada.get(path)
  assert answer.status_code == 404
  assert 'import' not in answer.text and 'root:' not in answer.text


def test_somebody_else_s_task_is_not_there(page):
  ada, bob = page.person(), page.person('bob')
  task = page.talk(ada, 'a secret')
  nonce = nonce_for(ada, task, f'{task}/choose')
  before = rows(page)
  for path in (task, f'{task}/state.json'):
    answer = bob.get(path)
    assert answer.status_code == 404 and 'a secret' not in answer.text
  for action in ('say', 'choose', 'finish', 'skip'):
    form = {'nonce': nonce, 'text': 'x', 'box': '1', 'rating': '1'}
    assert bob.post(f'{task}/{action}', data=form).status_code == 404
  assert rows(page) == before


def test_workers_do_not_see_the_admin_page_nor_admins_tasks(page):
  ada, admin = page.person(), page.person('root', 'admin')
  task = page.talk(ada)
  before = rows(page)
  for path in ('/admin', '/admin/export.jsonl', '/admin/sidecar.jsonl'):
    assert ada.get(path).status_code == 404
  for path in ('invite', 'revoke', 'stop', 'resume'):
    form = {'nonce': nonce_for(admin, '/admin', '/admin/stop'), 'name': 'x'}
    assert ada.post(f'/admin/{path}', data=form).status_code == 404
  assert admin.get(task).status_code == 404
  for path in ('stop', 'invite', 'revoke'):
    answer = admin.post(f'/admin/{path}', data={'nonce': '0' * 32, 'name': 'x'})
    assert answer.status_code == 403
  assert rows(page) == before


def test_every_answer_forbids_scripts_frames_and_guessing(page):
  ada = page.person()
  task = page.talk(ada)
  answers = [ada.get(path) for path in ('/', task, '/nowhere', '/admin')]
  answers += [ada.get('/static/feedback.js'), ada.get(f'{task}/state.json')]
  answers += [page.visitor().get('/'), page.visitor().post('/join')]
  answers += [page.visitor(origin='null').post('/join')]
  answers += [ada.get('/', headers={'host': 'evil.example'}), ada.put('/')]
  for answer in answers:
    policy = answer.headers['content-security-policy']
    assert "default-src 'none'" in policy and "script-src 'self'" in policy
    assert 'unsafe' not in policy and "frame-ancestors 'none'" in policy
    assert answer.headers['x-content-type-options'] == 'nosniff'
    assert answer.headers['cache-control'] == 'no-store'
    assert 'server' not in answer.headers
    if answer.headers.get('content-type', '').startswith('text/html'):
      assert live(answer.text) == []


def test_the_cookie_is_for_this_site_alone_and_no_script_reads_it(page):
  ada = page.person()
  client = page.visitor()
  said = client.post('/join', data={'token': ada.token})
  cookie = said.headers['set-cookie'].lower()
  assert 'httponly' in cookie and 'samesite=strict' in cookie
  assert 'path=/' in cookie and 'domain' not in cookie
  assert 'secure' not in cookie  # http: a browser would drop it
  page.site.origin = 'https://feedback.example'
  said = client.post('/join', data={'token': ada.token})
  assert 'secure' in said.headers['set-cookie'].lower()


SLOW = {'burst': 20, 'requests_per_second': 0.01}


def test_requests_and_wrong_links_are_limited(tmp_path):
  page = Page(tmp_path, Plan(**SLOW, failed_joins_per_minute=3))
  ada = page.person()
  codes = [ada.get('/').status_code for _ in range(30)]
  assert codes[:15] == [200] * 15 and codes[-1] == 429
  client = page.visitor()
  codes = [
    client.post('/join', data={'token': f'{i:032x}'}).status_code
    for i in range(6)
  ]
  assert codes == [403, 403, 403, 429, 429, 429]
  # A good link is held up too, so that guesses cannot be told apart by it.
  assert client.post('/join', data={'token': ada.token}).status_code == 429


def test_a_cookie_that_is_made_up_has_no_bucket_of_its_own(tmp_path):
  page = Page(tmp_path, Plan(**SLOW))
  ada = page.person()
  assert ada.get('/').status_code == 200
  codes = [
    page.visitor(cookie=f'feedback={i:032x}').get('/').status_code
    for i in range(30)
  ]
  assert codes[:15] == [401] * 15 and codes[-1] == 429
  assert ada.get('/').status_code == 200  # whose session is one


def test_a_bucket_fills_at_its_rate():
  time = [0.0]
  buckets = Buckets(rate=2.0, burst=3, clock=lambda: time[0])
  assert [buckets.take('a') for _ in range(4)] == [True] * 3 + [False]
  assert buckets.take('b')
  time[0] = 0.5
  assert [buckets.take('a') for _ in range(2)] == [True, False]
  time[0] = 1000.0
  assert buckets.left('a') == 3


def test_no_secret_is_stored_or_logged(page, caplog):
  caplog.set_level(logging.DEBUG)
  ada, admin = page.person(), page.person('root', 'admin')
  ada.get(f'/join/{ada.token}')
  ada.post('/join', data={'token': 'f' * 32})
  page.writers.broken = True
  page.talk(ada, 'my own words')
  made = send(admin, '/admin', '/admin/invite', name='eve', kind='person')
  token = re.search(r'/join/([0-9a-f]{32})', made.text)[1]
  secrets = [ada.token, admin.token, token, 'f' * 32]
  secrets += [client.cookies['feedback'] for client in (ada, admin)]
  ours = [r for r in caplog.records if not r.name.startswith('httpx')]
  logged = '\n'.join(map(logging.Formatter().format, ours))
  dump = '\n'.join(page.db.iterdump())
  for secret in secrets:
    assert secret not in logged and secret not in dump
  assert 'my own words' not in logged
  assert page.site.key not in logged
  sidecar = admin.get('/admin/sidecar.jsonl').text
  assert not any(secret in sidecar for secret in [*secrets, page.site.key])


def test_a_worker_never_sees_who_wrote_or_how_it_was_scored(page):
  ada = page.person()
  task = page.talk(ada)
  page.db.execute('UPDATE replies SET score = 0.123456, scored_by = ?', ('pm',))
  for text in (ada.get(task).text, ada.get(f'{task}/state.json').text):
    assert '0.123456' not in text and '/runs/old' not in text
    assert 'seed' not in text and 'snapshot' not in text
