"""A page for tests: writers that need no model, and people in front of it.

As a program it serves the page with them:

    python -m tests.apps.stand_in FILE PORT GATE [NAME=VALUE of Plan ...]

Replies are not finished before the file GATE exists.
"""

import asyncio
import re
import socket
import sys
import threading
import time
from pathlib import Path

from apps.feedback import app, people
from apps.feedback.database import connect
from apps.feedback.plan import Plan
from apps.feedback.queued import Written

ORIGIN = 'http://127.0.0.1:8000'
HIDDEN = re.compile(r'name="nonce" value="([0-9a-f]{32})"')
FORM = re.compile(r'<form method="post" action="([^"]+)"(.*?)</form>', re.S)


def reply_of(snapshot, seed, prompt):
  """A text that everything a reply depends on can be read from."""
  asked = prompt.rsplit('\n\nHuman:', 1)[1].removesuffix('\n\nAssistant:')
  return f' {snapshot} with {seed} hears:{asked}'


class StandIn:
  """Writers of two snapshots.

  Attributes:
    batches: ids of the requests of each batch.
    gate: path without which nothing is finished, or None.
    broken: whether writing fails.
  """

  rows = 4
  sampler = {'temperature': 1.0, 'max_reply': 8}
  snapshots = [('hash-old', 'old', '/runs/old'), ('hash-new', 'new', '/x/new')]

  def __init__(self, gate=None):
    self.gate, self.batches, self.broken = gate, [], False

  def group(self, request):
    if 'unreadable' in request.prompt:
      raise ValueError('no template takes this')
    return request.snapshot

  def write(self, requests, show):
    self.batches.append([request.id for request in requests])
    if self.broken:
      raise RuntimeError('no memory')
    found = []
    for i, request in enumerate(requests):
      text = reply_of(request.snapshot, request.seed, request.prompt)
      show(i, text[: len(text) // 2])
      found.append(Written(text, [1, 2, 3], [4, 5], ended=True))
    while self.gate and not Path(self.gate).exists():
      time.sleep(0.02)  # until the test lets it go on
    return found


_OWN = threading.local()  # a loop a thread


class Visitor:
  """Somebody in front of a page; answers come at once.

  A fifth of the work of starlette's TestClient, which starts a thread and a
  loop for every request.
  """

  def __init__(self, app, headers):
    import httpx2

    self._client = httpx2.AsyncClient(
      transport=httpx2.ASGITransport(app), base_url=ORIGIN, headers=headers
    )
    self.cookies = self._client.cookies

  def _asked(self, method, path, **more):
    if not hasattr(_OWN, 'loop'):
      _OWN.loop = asyncio.new_event_loop()
    return _OWN.loop.run_until_complete(
      self._client.request(method, path, **more)
    )

  def get(self, path, **more):
    return self._asked('GET', path, **more)

  def put(self, path, **more):
    return self._asked('PUT', path, **more)

  def post(self, path, **more):
    return self._asked('POST', path, **more)


class Page:
  """A page without its thread: `write` does what waits, when it is asked."""

  def __init__(self, tmp_path, plan=None, writers=None):
    self.path = tmp_path / 'feedback.db'
    self.db = connect(self.path, create=True)
    self.plan = plan or Plan(burst=100_000)
    self.writers = writers or StandIn()
    self.app = app.make_app(self.path, self.plan, self.writers, [ORIGIN])
    self.site = self.app.app.state.site

  def visitor(self, **headers):
    """Somebody without a session; headers that are '' are not sent."""
    headers = {'origin': ORIGIN} | headers
    return Visitor(self.app, {k: v for k, v in headers.items() if v})

  def person(self, name='ada', role='worker', kind='person'):
    """Somebody with a session."""
    client = self.visitor()
    client.token = people.invite(self.db, name, role, kind)
    assert client.post('/join', data={'token': client.token}).status_code == 303
    return client

  def write(self):
    """Writes all replies that wait."""
    while self.site.generation.work(self.db):
      pass

  def begin(self, client):
    """Takes the next task; its path."""
    return send(client, '/', '/next').headers['location']

  def talk(self, client, text='hello', task=None):
    """Sends a message and waits for the replies; the path of the task."""
    task = task or self.begin(client)
    assert send(client, task, f'{task}/say', text=text).status_code == 303
    self.write()
    return task

  def count(self, table):
    """Rows of a table."""
    return self.db.execute(f'SELECT COUNT(*) FROM {table}').fetchone()[0]


def nonce_for(client, page, action):
  """Nonce of the form of an action on a page."""
  text = client.get(page).text
  for to, inside in FORM.findall(text):
    if to == action:
      return HIDDEN.search(inside)[1]
  raise AssertionError(f'{page} has no form for {action}')


def send(client, page, action, /, **fields):
  """Sends the form of an action, with the nonce that the page gives it."""
  nonce = nonce_for(client, page, action)
  return client.post(action, data={'nonce': nonce} | fields)


def main(arguments):
  """Serves; see the top of the file."""
  import uvicorn

  path, port, gate, *rest = arguments
  types = {k: type(v.default) for k, v in Plan.__dataclass_fields__.items()}
  own = dict(item.split('=') for item in rest)
  plan = Plan(**{k: types[k](v) for k, v in own.items()})
  connect(path, create=True).close()
  sock = socket.create_server(('127.0.0.1', int(port)))
  origin = f'http://127.0.0.1:{sock.getsockname()[1]}'
  served = app.make_app(path, plan, StandIn(gate), [origin])
  print(origin, flush=True)
  config = uvicorn.Config(served, log_level='warning', access_log=False)
  uvicorn.Server(config).run(sockets=[sock])


if __name__ == '__main__':
  main(sys.argv[1:])
