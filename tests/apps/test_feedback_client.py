"""A program in front of the page: what it sends again, and what it gives up."""

import http.server
import threading
import urllib.parse

import pytest

from apps.feedback import simulate
from apps.feedback.client import Client, ClientError, OutOfDateError, forms


class Server(http.server.ThreadingHTTPServer):
  """Answers with what is waiting: a status and a body, or nothing at all."""

  def __init__(self):
    super().__init__(('127.0.0.1', 0), Handler)
    self.answers, self.asked = [], []


class Handler(http.server.BaseHTTPRequestHandler):
  """Notes what is asked and gives the next answer, the last one for ever."""

  def do_GET(self):  # noqa: N802 (name of the library)
    """Answers a GET."""
    self._answer('')

  def do_POST(self):  # noqa: N802 (name of the library)
    """Answers a POST."""
    size = int(self.headers['Content-Length'])
    self._answer(self.rfile.read(size).decode())

  def _answer(self, body):
    server = self.server
    server.asked.append((self.path, body, dict(self.headers)))
    answers = server.answers
    answer = answers.pop(0) if len(answers) > 1 else answers[0]
    if answer is None:
      self.close_connection = True
      self.connection.close()
      return
    status, said, cookie = (*answer, None)[:3]
    self.send_response(status)
    if status == 303:
      self.send_header('Location', said)
    if cookie:
      self.send_header('Set-Cookie', f'{cookie}; HttpOnly; SameSite=Strict')
    self.end_headers()
    self.wfile.write(b'' if status == 303 else said.encode())

  def log_message(self, *args):
    """Says nothing."""


@pytest.fixture
def server():
  own = Server()
  thread = threading.Thread(target=own.serve_forever, args=(0.02,), daemon=True)
  thread.start()
  yield own
  own.shutdown()
  own.server_close()


def client(server, patience=20.0):
  return Client(f'http://127.0.0.1:{server.server_port}', patience)


def test_a_form_whose_answer_was_lost_is_sent_again_as_it_was(server):
  server.answers = [None, (503, 'full'), (429, 'often'), (303, '/tasks/t')]
  where = client(server).post('/tasks/t/say', nonce='n', text='a & ü')
  assert where == '/tasks/t'
  bodies = {body for _, body, _ in server.asked}
  assert len(server.asked) == 4 and len(bodies) == 1
  sent = urllib.parse.parse_qs(bodies.pop())
  assert sent == {'nonce': ['n'], 'text': ['a & ü']}


def test_a_session_keeps_its_cookie_and_names_its_origin(server):
  server.answers = [(303, '/', 'feedback=secret'), (200, 'page')]
  one = client(server)
  one.join('TOKEN')
  assert one.get('/') == (200, 'page')
  (_, body, first), (_, _, second) = server.asked
  assert body == 'token=TOKEN' and 'Cookie' not in first
  assert second['Cookie'] == 'feedback=secret'
  assert first['Origin'] == f'http://127.0.0.1:{server.server_port}'


def test_a_page_that_has_changed_and_a_form_that_is_refused_are_told_apart(
  server,
):
  server.answers = [(409, 'old')]
  with pytest.raises(OutOfDateError):
    client(server).post('/next', nonce='n')
  server.answers = [(400, 'a box is missing')]
  with pytest.raises(ClientError, match='/next answered 400: a box is missing'):
    client(server).post('/next', nonce='n')


def test_a_server_that_stays_away_is_given_up(server):
  server.answers = [None]
  with pytest.raises(ClientError, match='gave no answer to / for 0 s'):
    client(server, patience=0.2).get('/')


def test_hidden_fields_are_read_off_a_page():
  page = (
    '<input name="loose" value="1"><form method="post" action="/next">'
    '<input type="hidden" name="nonce" value="a&amp;b"><input type=submit>'
    '</form><form action="/leave"><input name="nonce" value="c"></form>'
  )
  assert forms(page) == {'/next': {'nonce': 'a&b'}, '/leave': {'nonce': 'c'}}


def test_links_are_read_as_invite_prints_them():
  assert simulate.tokens_of(['/join/abc ada', 'http://x/join/def bob']) == [
    *('abc', 'def')
  ]
  with pytest.raises(ValueError, match='such as /join/TOKEN name, got .ada'):
    simulate.tokens_of(['ada'])


class Page:
  """A page of one conversation of two turns, without a network."""

  def __init__(self, compared=0):
    self.compared, self.sent, self.step = compared, [], 'say'
    self.stale = False

  def get(self, path):
    assert path == '/'
    return 200, '<form action="/next"><input name="nonce" value="n0"></form>'

  def state(self, task):
    assert task == 't'
    over = self.compared >= 2 and self.step == 'say'
    return {
      'step': self.step,
      'nonce': f'n{self.compared}',
      'finish_nonce': 'end' if over else None,
      'skip_nonce': 'skip',
      'compared': self.compared,
    }

  def post(self, path, **fields):
    self.sent.append((path.rpartition('/')[2], fields))
    name = self.sent[-1][0]
    if name == 'choose' and self.stale:
      self.stale, self.step = False, 'say'
      self.compared += 1
      raise OutOfDateError(409)
    self.compared += name == 'choose'
    after = {'say': 'choose', 'choose': 'say', 'finish': 'done', 'next': 'say'}
    self.step = after.get(name, 'done')
    return '/tasks/t'


class Says:
  """A worker who always does the same."""

  def message(self, state, compared):
    return f'message {compared}'

  def choice(self, state, compared):
    return {'box': '2'}

  def ending(self, state, compared):
    return {'rating': '4', 'comment': ''}

  def wants_more(self, state, compared):
    return True


def test_a_session_compares_as_many_as_it_is_to_and_ends_the_conversation():
  page, told = Page(), []
  assert simulate.Session(page, Says(), 2, told.append).run() == 2
  assert [name for name, _ in page.sent] == [
    *('next', 'say', 'choose', 'say', 'choose', 'finish')
  ]
  assert page.sent[2][1] == {'nonce': 'n0', 'box': '2'}
  assert told[-1] == 2


def test_a_choice_that_was_there_already_is_not_made_twice():
  page = Page()
  page.stale = True
  assert simulate.Session(page, Says(), 2).run() == 2
  assert page.compared == 2


def test_who_has_compared_enough_gives_the_task_back():
  page = Page(compared=1)
  assert simulate.Session(page, Says(), 1).run() == 1
  assert [name for name, _ in page.sent] == ['next', 'skip']


def test_a_page_with_nothing_left_to_do_ends_the_work():
  page = Page()
  page.get = lambda path: (200, '<p>Thank you.</p>')
  assert simulate.Session(page, Says(), 5).run() == 0


def test_a_page_that_does_not_know_a_worker_is_an_error_not_the_end():
  page = Page()
  page.get = lambda path: (401, '<p>Open the link that you were sent.</p>')
  with pytest.raises(ClientError, match='/ answered 401: .*Open the link'):
    simulate.Session(page, Says(), 5).run()


@pytest.mark.parametrize('known', [True, False])
def test_a_worker_that_fails_says_where_only_if_nobody_knows_why(
  server, capsys, monkeypatch, known
):
  """A link that was revoked is a line, a fault of the program more."""
  monkeypatch.setattr(simulate, 'Session', None)
  server.answers = [(403, 'This link is not valid')] if known else [(303, '/')]
  url = f'http://127.0.0.1:{server.server_port}'
  with pytest.raises(ClientError) as found:
    simulate.work(url, ['one', 'two'], world=None, each=1)
  said = capsys.readouterr().err
  assert said.count('Traceback') == (0 if known else 2)
  assert 'worker 0: ' in str(found.value) and 'worker 1: ' in str(found.value)
  wanted = '/join answered 403: This link' if known else 'not callable'
  assert wanted in str(found.value)
