"""What the routes share: settings, templates, and how a handler is called."""

import contextlib
import dataclasses
import functools
import hmac
import logging
import sqlite3
from pathlib import Path

import jinja2
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, RedirectResponse

from apps.feedback import people
from apps.feedback.database import DatabaseError, connect
from apps.feedback.errors import (
  ForgedError,
  NotFoundError,
  NotStoredError,
  RefusedError,
)
from apps.feedback.generation import Generation
from apps.feedback.guard import COOKIE, SESSION, Buckets, nonce_of
from apps.feedback.plan import Plan

HERE = Path(__file__).parent
MOST_FIELDS = 20
log = logging.getLogger('apps.feedback')


@dataclasses.dataclass
class Site:
  """A page that is served.

  Attributes:
    path: of the database.
    plan: Plan.
    origin: address that links begin with, such as http://127.0.0.1:8000.
    generation: the thread that owns the models.
    sampler: settings of replies, as JSON.
    key: of the nonces.
  """

  path: Path
  plan: Plan
  origin: str
  generation: Generation
  sampler: str
  key: str

  def __post_init__(self):
    """Opens the templates."""
    self.failed_joins = Buckets(
      self.plan.failed_joins_per_minute / 60,
      self.plan.failed_joins_per_minute,
    )
    self._templates = jinja2.Environment(
      loader=jinja2.FileSystemLoader(HERE / 'templates'),
      autoescape=True,
      undefined=jinja2.StrictUndefined,
      trim_blocks=True,
      lstrip_blocks=True,
    )

  def page(self, template: str, status: int = 200, /, **values) -> HTMLResponse:
    """A template as an answer."""
    text = self._templates.get_template(f'{template}.html').render(values)
    return HTMLResponse(text, status)

  def error(self, status, heading, words, back='/') -> HTMLResponse:
    """An error page."""
    return self.page('error', status, heading=heading, words=words, back=back)

  def nonce(self, person, *parts) -> str:
    """Nonce of a form of a person's session."""
    return nonce_of(self.key, person.session, *parts)

  def require(self, person, form, *parts) -> str:
    """The nonce of a form, if it is what it has to be.

    Raises:
      ForgedError: if not.
    """
    given = form.get('nonce', '')
    if not same(given, self.nonce(person, *parts)):
      raise ForgedError
    return given


def same(given: str, wanted: str) -> bool:
  """Whether two nonces are equal, in a time that does not tell."""
  return hmac.compare_digest(given.encode(), wanted.encode())


def see(path: str) -> RedirectResponse:
  """303: what to look at next."""
  return RedirectResponse(path, 303)


def handler(role: str | None = None):
  """Makes an endpoint of `f(site, db, person, request, form) -> response`.

  It is called in a thread, with a connection of its own. A RefusedError becomes
  its page, a ValueError one that says what was wrong with a field, an error of
  the database that of a NotStoredError.

  Args:
    role: 'worker', 'admin', or None: everybody, `person` may be None.
  """

  def decorate(function):
    @functools.wraps(function)
    async def endpoint(request):
      form = {}
      if request.method == 'POST':
        async with request.form(max_files=0, max_fields=MOST_FIELDS) as found:
          form = {k: v for k, v in found.items() if isinstance(v, str)}
      return await run_in_threadpool(answer, request, form)

    def answer(request, form):
      try:
        return answer_stored(request, form)
      except (DatabaseError, sqlite3.OperationalError) as error:
        log.error('not stored: %s', error)
        refused = NotStoredError
        site = request.app.state.site
        return site.error(refused.status, refused.heading, refused.words)

    def answer_stored(request, form):
      site = request.app.state.site
      with contextlib.closing(connect(site.path)) as db:
        person = people.person_of(db, request.cookies.get(COOKIE, ''))
        if person:
          request.scope[SESSION] = person.session
        if role and person is None:
          return site.error(
            401,
            'An invitation is needed',
            'Open the link that you were sent. A session ends after some time, '
            'or when its link is revoked.',
            back='',
          )
        try:
          if role and person.role != role:
            raise NotFoundError
          return function(site, db, person, request, form)
        except RefusedError as error:
          return site.error(error.status, error.heading, error.words)
        except ValueError as error:
          back = request.url.path.rsplit('/', 1)[0] or '/'
          return site.error(400, 'Please look again', str(error), back)

    return endpoint

  return decorate
