"""What every request has to pass before a route sees it.

    host      one of ours, so that no other name can be pointed at this address
    rate      a bucket of tokens for each session, or address without one; a
              cookie that is no session's, as far as is known, is none
    origin    a POST comes from a page of ours, by the header Origin
    body      a form, of a bounded size, that comes within a bounded time

And what every answer carries: a policy that lets no script run but our file.
"""

import asyncio
import hashlib
import hmac
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse

COOKIE = 'feedback'
SESSION = 'feedback.session'  # of a scope: the session that a route found
FORM = 'application/x-www-form-urlencoded'
BODY_SECONDS = 20.0
MOST_BUCKETS = 10_000
HEADERS = {
  'content-security-policy': (
    "default-src 'none'; style-src 'self'; script-src 'self'; "
    "connect-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
  ),
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'same-origin',  # with no-referrer, Origin would be null
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=()',
  'cache-control': 'no-store',
}


def nonce_of(key: str, *parts) -> str:
  """Nonce of a page: 128 bits of HMAC-SHA256 over what the page is.

  The same page has the same nonce however often it is loaded, and after a
  restart; nobody without the key can make it.

  Args:
    key: of the database.
    *parts: session, what the form does, and to what.
  """
  text = '\x1f'.join(map(str, parts))
  return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()[:32]


class Buckets:
  """Token buckets: `rate` a second each, at most `burst` saved up."""

  def __init__(self, rate, burst, clock=time.monotonic):
    """Starts with all buckets full."""
    self._rate, self._burst, self._clock = rate, burst, clock
    self._left = {}

  def take(self, key, count=1.0) -> bool:
    """Takes from a bucket; False if it has too little."""
    left = self.left(key)
    if left < count:
      return False
    if len(self._left) >= MOST_BUCKETS:
      self._left.clear()  # forgetting is in the favour of those who ask
    self._left[key] = (left - count, self._clock())
    return True

  def left(self, key) -> float:
    """How much a bucket has."""
    left, then = self._left.get(key, (self._burst, self._clock()))
    return min(self._burst, left + (self._clock() - then) * self._rate)


class Guard:
  """ASGI middleware of the checks above."""

  def __init__(self, app, plan, origins):
    """Takes the application.

    Args:
      app: ASGI application.
      plan: Plan.
      origins: such as {'http://127.0.0.1:8000'}; their hosts are ours.
    """
    self.app, self._plan = app, plan
    self._origins = frozenset(origins)
    self._hosts = {origin.partition('://')[2] for origin in origins}
    self._buckets = Buckets(plan.requests_per_second, plan.burst)
    self._sessions = set()  # met since the start, by the SHA-256 of the cookie

  async def __call__(self, scope, receive, send):
    """Serves a request, or says why not."""
    if scope['type'] != 'http':
      if scope['type'] == 'lifespan':
        await self.app(scope, receive, send)
      return

    async def with_headers(message):
      if message['type'] == 'http.response.start':
        headers = MutableHeaders(scope=message)
        for name, value in HEADERS.items():
          headers[name] = value
      await send(message)

    headers, body = Headers(scope=scope), b''
    refusal = self._refusal(scope, headers)
    if refusal is None and scope['method'] == 'POST':
      body, refusal = await self._body(receive)
    if refusal is not None:
      status, words = refusal
      extra = {'retry-after': '5'} if status == 429 else None
      answer = PlainTextResponse(words + '\n', status, extra)
      await answer(scope, receive, with_headers)
      return
    await self.app(scope, _replayed(body, receive), with_headers)
    if SESSION in scope:
      if len(self._sessions) >= MOST_BUCKETS:
        self._sessions.clear()
      self._sessions.add(scope[SESSION])

  def _refusal(self, scope, headers):
    """(status, words) of a request that is not served, or None."""
    if headers.get('host') not in self._hosts:
      return 421, 'This address is not served here.'
    cookie = Request(scope).cookies.get(COOKIE, '')
    address = (scope.get('client') or ('',))[0]
    session = hashlib.sha256(cookie.encode()).hexdigest()
    # Else whoever makes up cookies has a full bucket for each of them.
    key = session if session in self._sessions else address
    if not self._buckets.take(key):
      return 429, 'Too many requests: wait a little.'
    if scope['method'] not in ('GET', 'HEAD', 'POST'):
      return 405, 'Only GET and POST are served.'
    if scope['method'] != 'POST':
      return None
    if headers.get('origin') not in self._origins:
      return 403, 'This form does not come from a page of this site.'
    if headers.get('content-type', '').partition(';')[0].strip() != FORM:
      return 415, f'Wanted a form as {FORM}.'
    length = headers.get('content-length', '0')
    if not (length.isascii() and length.isdigit()):
      return 400, 'The length of the form is no number.'
    if int(length) > self._plan.most_body:
      return self._too_large()
    return None

  def _too_large(self):
    return 413, f'A form may have {self._plan.most_body:,} bytes.'

  async def _body(self, receive):
    """(body, None), or (b'', refusal) of one too large or too slow."""
    body = b''
    try:
      async with asyncio.timeout(BODY_SECONDS):
        while True:
          message = await receive()
          if message['type'] == 'http.disconnect':
            return b'', (400, 'The form did not come to its end.')
          body += message.get('body', b'')
          if len(body) > self._plan.most_body:
            return b'', self._too_large()
          if not message.get('more_body'):
            return body, None
    except TimeoutError:
      return b'', (408, 'The form took too long.')


def _replayed(body, receive):
  """A `receive` that gives a body that was read, and then what comes."""
  waiting = [{'type': 'http.request', 'body': body, 'more_body': False}]

  async def again():
    return waiting.pop() if waiting else await receive()

  return again
