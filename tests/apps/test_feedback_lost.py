"""Answers that are lost after their commit: a killed server, a line that drops.

The form is sent again and must lead where the first answer led: a program in
front of the page takes the page of the end for the end.
"""

import contextlib

import pytest

pytest.importorskip('starlette', reason='pip install -e .[feedback]')
pytest.importorskip('python_multipart', reason='pip install -e .[feedback]')
pytest.importorskip('httpx2', reason='pip install -e .[dev]')

from apps.feedback import simulate
from apps.feedback.client import Client
from apps.feedback.database import connect
from apps.feedback.guard import FORM
from tests.apps.stand_in import ORIGIN, Page


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


class Losing(Client):
  """A client that never hears the first answers to one kind of form."""

  def __init__(self, page, visitor, lost, count):
    super().__init__(ORIGIN)
    self._page, self._visitor, self._lost = page, visitor, lost
    self.left = count

  def _once(self, method, path, body):
    headers = {'content-type': FORM} if body else {}
    answer = self._visitor._asked(method, path, content=body, headers=headers)
    with contextlib.closing(connect(self._page.path)) as db:  # of this thread
      while self._page.site.generation.work(db):
        pass
    if method == 'POST' and path.endswith(self._lost) and self.left:
      self.left -= 1
      raise ConnectionResetError
    return answer.status_code, answer.headers.get('location', answer.text)


@pytest.mark.parametrize('lost', ['/next', '/say', '/choose', '/finish'])
def test_an_answer_that_was_lost_leaves_no_worker_short(lost, tmp_path):
  page = Page(tmp_path)
  client = Losing(page, page.person(), lost, 2)
  assert simulate.Session(client, Says(), 9).run() == 9
  assert client.left == 0 and page.count('choices') == 9


def test_a_worker_for_whom_a_page_has_too_little_is_named(
  tmp_path, monkeypatch, capsys
):
  page = Page(tmp_path)
  visitor = page.person()
  client = Losing(page, visitor, '', 0)
  client.join = lambda token: None
  monkeypatch.setattr(simulate, 'Client', lambda url, patience: client)
  monkeypatch.setattr(simulate, 'Simulated', lambda *args: Says())
  most = page.plan.conversations * page.plan.turns
  assert simulate.work(ORIGIN, ['x'], None, most + 5) == most
  said = capsys.readouterr().err.splitlines()[-1]
  assert said.startswith(f'worker 0 has compared {most} of {most + 5} pairs')
