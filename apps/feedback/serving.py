"""What is done before the page is served: a lock, items, links, an address."""

import contextlib
import json
import socket
import urllib.parse
from pathlib import Path

from apps.feedback import people, work
from apps.feedback.database import connect
from rlhf_jax.text.dialogue import split_reply
from rlhf_jax.train import locks

OUTSIDE = """
REACHABLE FROM OUTSIDE as {origin}
  Everybody who can reach {host}:{port} of this machine sees the page, and gets
  in with an invitation link. {encrypted}
  What people type is stored in {db}: tell them so. Their names are those that
  you typed; leave them out where you need not know them.
"""
PLAIN = """Nothing is encrypted: whoever is on the way can read
  what people type and take over their sessions. Put a proxy with a certificate
  before it, and give its https address as --public."""
ENCRYPTED = """The proxy at that address has to encrypt,
  and to pass on the header Host as it came."""


def attention_rows(path):
  """[(prompt, better, worse)] of a file of pairs in the format of HH.

  Raises:
    ValueError: naming the line that is none.
  """
  found = []
  # Not `splitlines`: JSON may hold what that takes for ends of lines.
  lines = Path(path).read_text().removesuffix('\n').split('\n')
  for number, line in enumerate(lines, 1):
    try:
      row = json.loads(line)
      prompt, better = split_reply(row['chosen'])
      start, worse = split_reply(row['rejected'])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
      raise ValueError(
        f'{path}:{number}: wanted a line of JSON with "chosen" and "rejected", '
        f'whole dialogues ({error})'
      ) from None
    if start != prompt:
      raise ValueError(f'{path}:{number}: wanted two replies to one prompt')
    found.append((prompt, better, worse))
  return found


def alone(path):
  """Holds FILE.lock beside a database, which one program at a time serves.

  Another would make its own snapshots the ones that write, and give up the
  replies that wait for those of the first.

  Args:
    path: of the database.

  Returns:
    The open file; to close it, or to die, lets go of the lock.

  Raises:
    RunError: if another live process serves it.
  """
  lock = Path(f'{Path(path).resolve()}.lock')  # one, whatever a link calls it
  lock.touch(0o600)
  return locks.hold(lock, path, 'end that one, or give another --db')


def prepare(options, plan) -> list[str]:
  """Makes the database and its items; returns lines to print."""
  lines = []
  with contextlib.closing(connect(options['db'], create=True)) as db:
    if options['openings']:
      texts = Path(options['openings']).read_text().splitlines()
      added = work.add_openings(
        db, [x.strip() for x in texts if x.strip()], plan, plan.tasks[0]
      )
      lines.append(f'{added} new openings of {options["openings"]}')
    if options['attention']:
      added = work.add_attention(db, attention_rows(options['attention']))
      lines.append(f'{added} new attention items of {options["attention"]}')
    if not people.has_admin(db):
      first = (('admin', 'admin'), ('worker', 'first worker'))
      for role, name in first:
        token = people.invite(db, name, role)
        lines.append(f'link of the {name}: {{origin}}/join/{token}')
  return lines


def listen(options) -> tuple[socket.socket, list[str]]:
  """(socket, origins), the first of which links begin with.

  Raises:
    ValueError: if an address outside of this machine is not asked for.
  """
  public, host = options['public'], options['host']
  if not public and host not in ('127.0.0.1', 'localhost'):
    raise ValueError(
      f'--host={host} can be reached from outside: if that is wanted, give the '
      'address that people open as --public=https://... too'
    )
  outside = [origin_of(public)] if public else []
  sock = socket.create_server((host, options['port']))
  port = sock.getsockname()[1]
  own = [f'http://{name}:{port}' for name in ('127.0.0.1', 'localhost')]
  return sock, outside + own


def origin_of(address) -> str:
  """The origin that a browser names for an address, to be compared with.

  Its name is in lower case, and has a port only if it is not the usual one.

  Raises:
    ValueError: if the address is not that of a whole site.
  """
  parts = urllib.parse.urlsplit(address)
  usual = {'http': 80, 'https': 443}.get(parts.scheme)
  name = (parts.hostname or '').encode('idna').decode() if usual else ''
  rest = parts.path.strip('/') + parts.query + parts.fragment
  if not name or rest or '@' in parts.netloc:
    raise ValueError(
      f'wanted --public=https://NAME, a name without a path, got {address!r}'
    )
  if ':' in name:
    name = f'[{name}]'
  port = '' if parts.port in (None, usual) else f':{parts.port}'
  return f'{parts.scheme}://{name}{port}'


def told_outside(origin, host, port, db) -> str:
  """What it means that others can reach the page."""
  encrypted = ENCRYPTED if origin.startswith('https') else PLAIN
  return OUTSIDE.format(
    origin=origin, host=host, port=port, encrypted=encrypted, db=db
  )
