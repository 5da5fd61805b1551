"""A program in front of the page: one session, over plain HTTP.

A server that is away is waited for, and a form whose answer was lost is sent
again: the same nonce is one row however often it comes.
"""

import html.parser
import http.client
import http.cookies
import json
import time
import urllib.parse

WAIT = 0.05  # seconds between tries, at first
LONGEST_WAIT = 1.0
AGAIN = (429, 502, 503)  # too often, no server behind a proxy, queue full
LINKS = {
  'http': http.client.HTTPConnection,
  'https': http.client.HTTPSConnection,
}
SUCH_AS = 'http://127.0.0.1:8000'


class ClientError(RuntimeError):
  """An answer that a well-behaved client never gets."""


class OutOfDateError(Exception):
  """The page has changed since it was read: read it again."""


class Client:
  """A session of one person."""

  def __init__(self, url, patience=600.0):
    """Takes the address of the server and how long one that is away is awaited.

    Args:
      url: such as 'http://127.0.0.1:8000'.
      patience: seconds without an answer before a ClientError.

    Raises:
      ValueError: if that is no address.
    """
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in LINKS or not parts.hostname:
      raise ValueError(f'wanted an address such as {SUCH_AS}, got {url!r}')
    self._link = LINKS[parts.scheme]
    self._host, self._port = parts.hostname, parts.port
    self._origin = f'{parts.scheme}://{parts.netloc}'
    self._patience = patience
    self._cookies = {}

  def join(self, token: str) -> None:
    """Begins the session of an invitation."""
    self.post('/join', token=token)

  def get(self, path: str) -> tuple[int, str]:
    """(status, body; of a redirection where it leads to)."""
    return self._asked('GET', path, None)

  def state(self, task: str) -> dict:
    """What a page of a task shows, as routes.py describes it."""
    status, body = self.get(f'/tasks/{task}/state.json')
    if status != 200:
      raise OutOfDateError(status)
    return json.loads(body)

  def post(self, path: str, **fields) -> str:
    """Sends a form; where the server leads to next.

    Raises:
      OutOfDateError: if the page has changed.
      ClientError: if the form is refused.
    """
    status, where = self._asked('POST', path, urllib.parse.urlencode(fields))
    if status in (404, 409):
      raise OutOfDateError(status)
    if status != 303:
      raise ClientError(f'{path} answered {status}: {where[:200]}')
    return where

  def _asked(self, method, path, body):
    """(status, body or place), tried again while there is no answer."""
    wait, since = WAIT, time.monotonic()
    while True:
      try:
        status, said = self._once(method, path, body)
        if status not in AGAIN:
          return status, said
      except (OSError, http.client.HTTPException) as error:
        status = repr(error)
      if time.monotonic() - since > self._patience:
        raise ClientError(
          f'{self._origin} gave no answer to {path} for '
          f'{self._patience:.0f} s ({status}): start the server'
        )
      time.sleep(wait)
      wait = min(2 * wait, LONGEST_WAIT)

  def _once(self, method, path, body):
    """(status, body or place) of one request."""
    headers = {'Origin': self._origin, 'Connection': 'close'}
    if self._cookies:
      pairs = (f'{k}={v}' for k, v in self._cookies.items())
      headers['Cookie'] = '; '.join(pairs)
    if body is not None:
      headers['Content-Type'] = 'application/x-www-form-urlencoded'
    link = self._link(self._host, self._port, timeout=self._patience)
    try:
      link.request(method, path, body, headers)
      answer = link.getresponse()
      said = answer.read().decode()
    finally:
      link.close()
    for value in answer.headers.get_all('Set-Cookie') or []:
      for name, morsel in http.cookies.SimpleCookie(value).items():
        self._cookies[name] = morsel.value
    if 300 <= answer.status < 400:
      return answer.status, answer.headers['Location']
    return answer.status, said


class _Forms(html.parser.HTMLParser):
  """Collects the hidden fields of forms by their action."""

  def __init__(self):
    super().__init__()
    self.found, self._form = {}, None

  def handle_starttag(self, tag, attrs):
    """Notes a form or one of its fields."""
    attrs = dict(attrs)
    if tag == 'form':
      self._form = self.found.setdefault(attrs.get('action', ''), {})
    elif tag == 'input' and self._form is not None and 'name' in attrs:
      self._form[attrs['name']] = attrs.get('value') or ''

  def handle_endtag(self, tag):
    """Notes the end of a form."""
    if tag == 'form':
      self._form = None


def forms(page: str) -> dict[str, dict[str, str]]:
  """{action: {field: value}} of the forms of a page."""
  parser = _Forms()
  parser.feed(page)
  return parser.found
