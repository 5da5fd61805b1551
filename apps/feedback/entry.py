"""Coming and going: links, sessions, the next task, style and script."""

import re
from pathlib import Path

from starlette.responses import Response

from apps.feedback import people, work
from apps.feedback.errors import NotFoundError
from apps.feedback.guard import COOKIE
from apps.feedback.site import HERE, handler, same, see

TYPES = {'.css': 'text/css', '.js': 'text/javascript'}
STATIC = {
  file.name: (file.read_bytes(), TYPES[file.suffix])
  for file in sorted(Path(HERE / 'static').iterdir())
}
_TOKEN = re.compile(r'[0-9a-f]{32}')


def static(request):
  """One of the files that were there at the start; no path is ever opened."""
  found = STATIC.get(request.path_params['name'])
  if found is None:
    return Response('not found\n', 404)
  content, kind = found
  return Response(content, media_type=kind)


@handler()
def missing(site, db, person, request, form):
  """What no route is for."""
  raise NotFoundError


@handler()
def invitation(site, db, person, request, form):
  """GET /join/TOKEN; whether the link is good is said by POST alone."""
  token = request.path_params['token']
  if not _TOKEN.fullmatch(token):
    raise NotFoundError
  return site.page('join', token=token)


@handler()
def join(site, db, person, request, form):
  """POST /join: a session, and its cookie."""
  address = request.client.host if request.client else ''
  if site.failed_joins.left(address) < 1:
    return site.error(
      429, 'Too many tries', 'Wait some minutes, then open the link again.', ''
    )
  cookie = people.join(db, form.get('token', ''), site.plan.session_seconds)
  if cookie is None:
    site.failed_joins.take(address)
    return site.error(
      403, 'This link is not valid', 'It is wrong or was revoked.', ''
    )
  if person:
    people.leave(db, person.session)
  response = see('/')
  response.set_cookie(
    COOKIE,
    cookie,
    max_age=int(site.plan.session_seconds),
    httponly=True,
    samesite='strict',
    secure=site.origin.startswith('https:'),
  )
  return response


@handler()
def leave(site, db, person, request, form):
  """POST /leave: the session ends."""
  if person:
    site.require(person, form, 'leave')
    people.leave(db, person.session)
  response = see('/')
  response.delete_cookie(COOKIE)
  return response


@handler()
def home(site, db, person, request, form):
  """GET /: the open task, or what comes next."""
  if person is None:
    return site.error(
      401, 'An invitation is needed', 'Open the link that you were sent.', ''
    )
  if person.role == 'admin':
    return see('/admin')
  open_task = work.open_task(db, person.id)
  if open_task:
    return see(f'/tasks/{open_task}')
  done, plan = work.begun(db, person.id), site.plan
  stopped = work.stopped(db)
  more = not stopped and done < plan.conversations
  return site.page(
    'home',
    done=done,
    total=plan.conversations,
    stopped=stopped,
    tasks=[(task, work.direction_of(task, plan)) for task in plan.tasks],
    next_nonce=site.nonce(person, 'next', done) if more else '',
    leave_nonce=site.nonce(person, 'leave'),
  )


@handler('worker')
def next_task(site, db, person, request, form):
  """POST /next: a lease; sent again, the task that it gave."""
  done = work.begun(db, person.id)
  earlier = site.nonce(person, 'next', done - 1)
  if same(form.get('nonce', ''), earlier):
    task = work.open_task(db, person.id)
  else:
    site.require(person, form, 'next', done)
    task = work.lease(db, person.id, site.plan)
  return see(f'/tasks/{task}' if task else '/')
