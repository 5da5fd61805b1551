"""Routes of the page, and the fields of its forms.

Everybody but /join and /static needs the cookie `feedback` of a session. Every
POST needs the header Origin of the page itself (http://127.0.0.1:PORT), comes
as application/x-www-form-urlencoded, has the field `nonce` of the page that it
comes from, and answers with 303 to the page to see next; the same form sent
again is answered alike and changes nothing. Errors are pages: 400 a field is
wrong, 401 no session, 403 foreign origin or wrong nonce, 404 not yours or not
there, 409 the page is out of date, 413 too large, 429 too often, 503 the queue
of the model is full.

    GET  /join/TOKEN           a page with the form of POST /join
    POST /join                 token -> cookie, 303 to / (no nonce)
    GET  /                     303 to the open task, or a page with POST /next
    POST /next                 nonce -> 303 to /tasks/UID, or to / if there is
                               nothing left to do
    GET  /tasks/UID            the page of a conversation
    GET  /tasks/UID/state.json what the page shows, see below
    POST /tasks/UID/say        nonce, text
    POST /tasks/UID/choose     nonce, box: '1' (A much better) to '8'
                               or nonce, action='rewrite', rewrite: text,
                               rewrite_of: 'a' or 'b', the less bad one
    POST /tasks/UID/finish     nonce, rating: '1' (bad) to '4' (good), comment
    POST /tasks/UID/skip       nonce: gives the task back
    POST /leave                nonce: ends the session
    GET  /static/NAME          style and script
    GET  /admin                for the role admin alone, as is all below
    POST /admin/invite         nonce, name, kind: 'person' or 'simulated'
                               -> 200, a page with the link
    POST /admin/revoke         nonce, person: uid
    POST /admin/stop           nonce
    POST /admin/resume         nonce
    GET  /admin/export.jsonl   pairs in the format of the HH release
    GET  /admin/sidecar.jsonl  all their fields

state.json:

    {"step": "say" | "wait" | "choose" | "finish" | "done" | "expired"
             | "failed": there is no reply to this message,
     "nonce": of the form of that step, or null,
     "finish_nonce": of finish, where that is allowed now, or null,
     "skip_nonce": of skip, or null,
     "kind": "chat" | "pair", "task": "helpful" | "red_team",
     "direction": "better" | "worse",  which reply is asked for
     "turn": number of the turn, from 1, "turns": most of them,
     "opening": a first message that is suggested, or "",
     "compared": how many pairs this person has compared in all,
     "messages": [{"role": "human" | "assistant", "text": str}],
     "replies": [{"label": "A" | "B", "text": str, "done": bool}] or []}

Export and standings are called as

    apps.feedback.export.pair_lines(db) -> iterator of str, lines of JSON
    apps.feedback.export.sidecar_lines(db) -> likewise
    apps.feedback.standings.table(db) -> [{'snapshot': name, 'elo': float,
      'low': float, 'high': float, 'wins': float (share), 'n': int}]

and invites are made outside of the page by

    python -m apps.feedback.invite --db=FILE --names=ada,bob [--kind=simulated]
    python -m apps.feedback.invite --db=FILE --count=20 [--kind=simulated]

which prints one line a person: the path /join/TOKEN, a space, the name.
"""

from starlette.routing import Route

from apps.feedback import admin, entry, tasks

_GET, _POST = ['GET'], ['POST']
ROUTES = [
  Route('/', entry.home, methods=_GET),
  Route('/static/{name}', entry.static, methods=_GET),
  Route('/join/{token}', entry.invitation, methods=_GET),
  Route('/join', entry.join, methods=_POST),
  Route('/leave', entry.leave, methods=_POST),
  Route('/next', entry.next_task, methods=_POST),
  Route('/tasks/{uid}', tasks.task, methods=_GET),
  Route('/tasks/{uid}/state.json', tasks.state, methods=_GET),
  Route('/tasks/{uid}/say', tasks.say, methods=_POST),
  Route('/tasks/{uid}/choose', tasks.choose, methods=_POST),
  Route('/tasks/{uid}/finish', tasks.finish, methods=_POST),
  Route('/tasks/{uid}/skip', tasks.skip, methods=_POST),
  Route('/admin', admin.overview, methods=_GET),
  Route('/admin/invite', admin.invite, methods=_POST),
  Route('/admin/revoke', admin.revoke, methods=_POST),
  Route('/admin/stop', admin.stop, methods=_POST),
  Route('/admin/resume', admin.resume, methods=_POST),
  Route('/admin/export.jsonl', admin.export_pairs, methods=_GET),
  Route('/admin/sidecar.jsonl', admin.export_sidecar, methods=_GET),
  Route('/{path:path}', entry.missing, methods=_GET + _POST),
]
