"""The pages of whoever runs a collection."""

from starlette.responses import Response

from apps.feedback import export, people, progress, work
from apps.feedback.database import reading, set_setting
from apps.feedback.errors import NotFoundError
from apps.feedback.site import handler, see


@handler('admin')
def overview(site, db, person, request, form):
  """GET /admin."""
  nonce = lambda *parts: site.nonce(person, 'admin', *parts)
  rows = progress.people(db)
  return site.page(
    'admin',
    stopped=work.stopped(db),
    numbers=progress.numbers(db),
    agreement=progress.agreement(db),
    snapshots=progress.snapshots(db),
    people=rows,
    nonces={
      'switch': nonce('switch'),
      'revoke': nonce('revoke'),
      'invite': nonce('invite', len(rows)),
      'leave': site.nonce(person, 'leave'),
    },
  )


@handler('admin')
def invite(site, db, person, request, form):
  """POST /admin/invite: the one time that a link is shown."""
  name = form.get('name', '')
  made = len(progress.people(db))
  given = form.get('nonce', '')
  if not people.made_by(db, given):
    site.require(person, form, 'admin', 'invite', made)
  token = people.invite(db, name, kind=form.get('kind', 'person'), nonce=given)
  link = f'{site.origin}/join/{token}' if token else ''
  return site.page('invited', name=name.strip(), link=link)


@handler('admin')
def revoke(site, db, person, request, form):
  """POST /admin/revoke: a link and its sessions end."""
  site.require(person, form, 'admin', 'revoke')
  if not people.revoke(db, form.get('person', '')):
    raise NotFoundError
  return see('/admin')


@handler('admin')
def stop(site, db, person, request, form):
  """POST /admin/stop: what is begun may be ended, nothing new begins."""
  site.require(person, form, 'admin', 'switch')
  set_setting(db, 'stopped', '1')
  return see('/admin')


@handler('admin')
def resume(site, db, person, request, form):
  """POST /admin/resume."""
  site.require(person, form, 'admin', 'switch')
  set_setting(db, 'stopped', '0')
  return see('/admin')


@handler('admin')
def export_pairs(site, db, person, request, form):
  """GET /admin/export.jsonl."""
  return _lines(export.pair_lines(db), 'comparisons.jsonl')


@handler('admin')
def export_sidecar(site, db, person, request, form):
  """GET /admin/sidecar.jsonl."""
  with reading(db):
    return _lines(export.sidecar_lines(db), 'sidecar.jsonl')


def _lines(lines, name):
  """JSON lines as a file to keep."""
  return Response(
    ''.join(lines),
    media_type='application/x-ndjson',
    headers={'content-disposition': f'attachment; filename="{name}"'},
  )
