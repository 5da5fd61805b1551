"""Simulated workers at a page that is killed again and again.

    python -m tests.apps.stress --workers=20 --each=50 --kills=10

Each kill is a SIGKILL once so many more choices are in the database; the page
is started again at once. In the end every worker has compared as many pairs as
they were to, each of them is one row, and an export read back into another
database is exported alike.
"""

import argparse
import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from apps.feedback import export, people, restore, simulate
from apps.feedback.database import connect
from rlhf_jax.crowd.worlds import make_world

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 600.0
WORLD = {'name': 'classic', 'seed': 0, 'temperature': 0.8}


class Page:
  """The process of the page, at one port of this machine."""

  def __init__(self, path):
    with socket.create_server(('127.0.0.1', 0)) as sock:
      self._port = sock.getsockname()[1]
    self.url = f'http://127.0.0.1:{self._port}'
    self._path, self._process = path, None

  def start(self):
    """Starts it; who asks meanwhile has to try again."""
    command = [sys.executable, '-m', 'tests.apps.page_process']
    command += [str(self._path), str(self._port)]
    env = os.environ | {'JAX_PLATFORMS': 'cpu'}
    self._process = subprocess.Popen(command, cwd=ROOT, env=env)

  def kill(self):
    """Kills it, as a machine without power does."""
    self._process.send_signal(signal.SIGKILL)
    self._process.wait()


def choices(db):
  """How many choices are in a database."""
  return db.execute('SELECT COUNT(*) FROM choices').fetchone()[0]


def kill_at(page, path, marks, ended, killed):
  """Kills and starts a page whenever there are so many choices."""
  with contextlib.closing(connect(path)) as db:
    for mark in marks:
      while choices(db) < mark:
        if ended.wait(0.02):
          return
      page.kill()
      killed.append(choices(db))
      page.start()


def played(folder, workers, each, kills):
  """Lets workers compare while the page is killed.

  Args:
    folder: of the databases and exports.
    workers: how many at once.
    each: pairs of a worker.
    kills: how often.

  Returns:
    (path of the database, choices that the workers counted, choices in the
    database at each kill).
  """
  path, total = Path(folder) / 'page.db', workers * each
  with contextlib.closing(connect(path, create=True)) as db:
    names = [f'sim{i}' for i in range(workers)]
    tokens = [people.invite(db, name, kind='simulated') for name in names]
  page, ended, killed = Page(path), threading.Event(), []
  marks = [total * (i + 1) // (kills + 1) for i in range(kills)]
  args = page, path, marks, ended, killed
  killer = threading.Thread(target=kill_at, args=args, daemon=True)
  page.start()
  try:
    killer.start()
    world = make_world(**WORLD)
    done = simulate.work(page.url, tokens, world, each, patience=PATIENCE)
  finally:
    ended.set()
    killer.join()
    page.kill()
  return path, done, killed


def check(path, folder, workers, each):
  """Counts of a database, and whether an export read back is the same.

  Returns:
    {'choices', 'turns with two', 'uids', 'workers short', 'pairs', 'equal'}.
  """
  with contextlib.closing(connect(path)) as db:
    one = lambda query: db.execute(query).fetchall()
    per_person = one('SELECT COUNT(*) FROM choices GROUP BY person_id')
    twice = one('SELECT 1 FROM choices GROUP BY turn_id HAVING COUNT(*) > 1')
    uids = one('SELECT COUNT(DISTINCT nonce) FROM choices')[0][0]
    own = Path(folder) / 'first'
    counts = export.write(db, own)
    rows = choices(db)
  other = Path(folder) / 'again'
  with contextlib.closing(
    connect(Path(folder) / 'other.db', create=True)
  ) as db:
    restore.read(db, own / export.SIDECAR)
    export.write(db, other)
  both = [
    [(x / name).read_bytes() for name in (export.PAIRS, export.SIDECAR)]
    for x in (own, other)
  ]
  short = workers - sum(count == each for (count,) in per_person)
  return {
    'choices': rows,
    'turns with two': len(twice),
    'uids': uids,
    'workers short': short,
    'pairs': counts['pairs'],
    'equal': both[0] == both[1],
  }


def is_as_wanted(done, killed, found, workers, each, kills):
  """Whether nothing was lost, nothing is double, and an export comes back."""
  total = workers * each
  none = found['turns with two'], found['workers short']
  counts = done, found['choices'], found['uids']
  return (
    counts == (total, total, total)
    and none == (0, 0)
    and len(killed) == kills
    and found['equal']
  )


def main():
  """Runs once and prints what was found; code 1 if it is not as wanted."""
  parser = argparse.ArgumentParser(description=__doc__)
  for name, default in (('workers', 20), ('each', 50), ('kills', 10)):
    parser.add_argument(f'--{name}', type=int, default=default)
  flags = parser.parse_args()
  with tempfile.TemporaryDirectory() as folder:
    start = time.time()
    args = flags.workers, flags.each
    path, done, killed = played(folder, *args, flags.kills)
    found = check(path, folder, *args)
    seconds = time.time() - start
  print(f'{done} counted by the workers in {seconds:.0f} s; {found}')
  print(f'choices at the {len(killed)} kills: {killed}')
  return 0 if is_as_wanted(done, killed, found, *args, flags.kills) else 1


if __name__ == '__main__':
  sys.exit(main())
