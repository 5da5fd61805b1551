"""The pages and forms of a task."""

from starlette.responses import JSONResponse

from apps.feedback import talk, work
from apps.feedback.conversation import load
from apps.feedback.errors import (
  ForgedError,
  NotFoundError,
  OutOfDateError,
  QueueFullError,
)
from apps.feedback.site import handler, same, see
from apps.feedback.words import words_of

TYPED = ('text', 'rewrite', 'comment')  # fields


def _task(site, db, person, request):
  """The conversation that a path names, and the nonces of its forms.

  Raises:
    NotFoundError: if it is not theirs.
  """
  found = load(db, request.path_params['uid'], person.id, site.plan)
  if found is None:
    raise NotFoundError
  nonce = lambda *parts: site.nonce(person, found.uid, *parts)
  ended = found.step in ('done', 'expired')
  nonces = {
    'form': nonce(found.step, found.turn)
    if found.step in ('say', 'choose')
    else None,
    'finish': nonce('finish') if found.may_finish else None,
    'skip': None if ended else nonce('skip'),
  }
  return found, nonces


def _looked_at(site, db, person, request):
  """`_task` for an answer that shows it: the clock of the choice starts."""
  found, nonces = _task(site, db, person, request)
  if found.step == 'choose' and not found.seen:
    talk.seen(db, found.id)
  return found, nonces


def _partial(site, conversation):
  """{label: what is to be seen of a reply that is being written}."""
  streams = conversation.shown == 'stream'
  writing = site.generation.partial
  return {
    reply.label: writing(reply.id).strip() if streams else ''
    for reply in conversation.replies
  }


@handler('worker')
def task(site, db, person, request, form):
  """GET /tasks/UID."""
  found, nonces = _looked_at(site, db, person, request)
  return _page(site, db, person, found, nonces)


def _page(site, db, person, found, nonces, status=200, alert='', form=None):
  """The page of a conversation.

  Args:
    site: Site.
    db: connection.
    person: whose it is.
    found: Conversation.
    nonces: of its forms.
    status: of the answer.
    alert: what was wrong with the form that was sent.
    form: its fields, of which what was typed stays.
  """
  return site.page(
    'task',
    status,
    conversation=found,
    nonces=nonces,
    words=words_of(found),
    partial=_partial(site, found),
    plan=site.plan,
    number=max(work.begun(db, person.id), 1),
    total=site.plan.conversations,
    turns=site.plan.turns,
    alert=alert,
    typed={name: (form or {}).get(name, '') for name in TYPED},
  )


@handler('worker')
def state(site, db, person, request, form):
  """GET /tasks/UID/state.json."""
  found, nonces = _looked_at(site, db, person, request)
  partial = _partial(site, found)
  whole = found.step != 'wait' or found.shown == 'stream'
  replies = [
    {
      'label': reply.label,
      'text': (reply.text or partial[reply.label]) if whole else '',
      'done': reply.done,
    }
    for reply in found.replies
  ]
  return JSONResponse(
    {
      'step': found.step,
      'nonce': nonces['form'],
      'finish_nonce': nonces['finish'],
      'skip_nonce': nonces['skip'],
      'kind': found.kind,
      'task': found.task,
      'direction': found.direction,
      'turn': found.turn,
      'turns': site.plan.turns,
      'opening': found.opening,
      'compared': work.compared(db, person.id),
      'messages': [{'role': r, 'text': t} for r, t in found.messages],
      'replies': replies,
    }
  )


def _sent(site, db, person, request, form, step, act, after=None):
  """Does what a form of a task asks for, once.

  Args:
    site: Site.
    db: connection.
    person: who sent it.
    request: its request.
    form: its fields.
    step: that the form is of: 'say', 'choose', 'finish' or 'skip'.
    act: (nonce) -> None.
    after: path to see next; None: the task.
  """
  found, nonces = _task(site, db, person, request)
  after = after or f'/tasks/{found.uid}'
  nonce = form.get('nonce', '')
  if nonce and talk.used(db, nonce, person.id):
    return see(after)
  wanted = nonces.get(step)
  if wanted is None and step in ('say', 'choose') and found.step == step:
    wanted = nonces['form']
  if wanted is None or not same(nonce, wanted):
    raise ForgedError
  try:
    act(nonce)
  except OutOfDateError:  # the same form, sent twice at once
    if not talk.used(db, nonce, person.id):
      raise
  except (ValueError, QueueFullError) as error:
    words = error.words if isinstance(error, QueueFullError) else str(error)
    status = error.status if isinstance(error, QueueFullError) else 400
    return _page(site, db, person, found, nonces, status, words, form)
  return see(after)


@handler('worker')
def say(site, db, person, request, form):
  """POST /tasks/UID/say."""
  uid = request.path_params['uid']

  def act(nonce):
    talk.say(
      db,
      uid,
      person.id,
      site.plan,
      nonce=nonce,
      text=form.get('text', ''),
      sampler=site.sampler,
    )
    site.generation.wake()

  return _sent(site, db, person, request, form, 'say', act)


@handler('worker')
def choose(site, db, person, request, form):
  """POST /tasks/UID/choose: a box, or a rewrite."""
  args = db, request.path_params['uid'], person.id, site.plan

  def act(nonce):
    if form.get('action') == 'rewrite':
      talk.rewrite(
        *args,
        nonce=nonce,
        of=form.get('rewrite_of', ''),
        text=form.get('rewrite', ''),
      )
    else:
      talk.choose(*args, nonce=nonce, box=form.get('box', ''))

  return _sent(site, db, person, request, form, 'choose', act)


@handler('worker')
def finish(site, db, person, request, form):
  """POST /tasks/UID/finish."""

  def act(nonce):
    talk.finish(
      db,
      request.path_params['uid'],
      person.id,
      site.plan,
      nonce=nonce,
      rating=form.get('rating', ''),
      comment=form.get('comment', ''),
    )

  return _sent(site, db, person, request, form, 'finish', act, '/')


@handler('worker')
def skip(site, db, person, request, form):
  """POST /tasks/UID/skip; sent again it says that the task was given back."""
  found, _ = _task(site, db, person, request)
  if found.step in ('done', 'expired'):
    return see('/')
  act = lambda nonce: work.give_back(db, found.id)
  return _sent(site, db, person, request, form, 'skip', act, '/')
