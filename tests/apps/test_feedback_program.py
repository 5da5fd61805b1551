"""The program with a model of ours behind it, killed and begun again."""

import contextlib
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading

import pytest

pytest.importorskip('starlette', reason='pip install -e .[feedback]')
pytest.importorskip('uvicorn', reason='pip install -e .[feedback]')
pytest.importorskip('python_multipart', reason='pip install -e .[feedback]')

from apps.feedback import queued
from apps.feedback.client import Client, forms
from apps.feedback.database import comparisons, connect
from tests.experiments import tiny_stages

ROOT = pathlib.Path(__file__).parents[2]
CACHE = os.environ.get('JAX_COMPILATION_CACHE_DIR', str(ROOT / '.jax_cache'))
pytestmark = pytest.mark.slow  # trains a model and starts servers
SMALL = ['--max_prompt=32', '--max_reply=12', '--rows=4', '--port=0']


@pytest.fixture(scope='module')
def policy(tmp_path_factory):
  """Path of a run of the smallest rung."""
  from experiments import make_text, train_lm

  root = tmp_path_factory.mktemp('runs')
  make_text.run(tiny_stages.text(root), root / 'text')
  train_lm.run(tiny_stages.lm(root), root / 'lm')
  return root / 'lm'


@contextlib.contextmanager
def served(policy, db, *more):
  """(address, lines before it) of a server, which is killed at the end."""
  process = subprocess.Popen(
    [sys.executable, '-m', 'apps.feedback', f'--policies={policy}']
    + [f'--db={db}', *SMALL, *more],
    cwd=ROOT,
    env=os.environ | {'RLHF_JAX_CACHE': CACHE},
    stdout=subprocess.PIPE,
    text=True,
  )
  try:
    lines = []
    for line in process.stdout:
      lines.append(line.strip())
      if line.startswith('serving at '):
        break
    assert lines and lines[-1].startswith('serving at http://127.0.0.1:')
    yield lines[-1].removeprefix('serving at '), lines
  finally:
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()


def refused(policy, db):
  """The last line of a program that does not begin to serve."""
  done = subprocess.run(
    [sys.executable, '-m', 'apps.feedback', f'--policies={policy}']
    + [f'--db={db}', *SMALL],
    cwd=ROOT,
    capture_output=True,
    text=True,
    timeout=900,
  )
  assert done.returncode == 2 and 'Traceback' not in done.stderr
  return done.stderr.strip().splitlines()[-1]


def replies(db):
  """Texts and tokens of all replies, once they are there."""
  event = threading.Event()
  for _ in range(6000):
    if not queued.waiting(db):
      break
    event.wait(0.05)
  rows = db.execute('SELECT seed, text, token_ids, failed FROM replies')
  found = [tuple(row) for row in rows]
  assert all(
    text is not None and failed is None for _, text, _, failed in found
  )
  return found


def test_the_program_serves_a_run_and_writes_the_same_after_a_kill(
  policy, tmp_path
):
  path, copy = tmp_path / 'a.db', tmp_path / 'b.db'
  with served(policy, path) as (address, lines):
    assert f'{path} is in use by another process' in refused('nothing', path)
    links = [re.search(r'link of the (.*): .*/join/(\w+)', x) for x in lines]
    [admin, worker] = [x for x in links if x]
    assert (admin[1], worker[1]) == ('admin', 'first worker')
    client = Client(address)
    client.join(worker[2])
    _, home = client.get('/')
    task = client.post('/next', **forms(home)['/next'])
    uid = task.rpartition('/')[2]
    said = client.state(uid)
    client.post(f'{task}/say', nonce=said['nonce'], text='what is 2 + 2?')
  # Killed while it wrote, or before, or after: all are one.
  with contextlib.closing(connect(path)) as db:
    before = db.execute('SELECT COUNT(*) FROM replies').fetchone()[0]
    with contextlib.closing(connect(copy, create=True)) as other:
      db.backup(other)
      other.execute(
        'UPDATE replies SET text = NULL, token_ids = NULL, finished = NULL'
      )
    assert before == 2
  found = []
  for file in (path, copy):
    with (
      served(policy, file) as (address, lines),
      contextlib.closing(connect(file)) as db,
    ):
      assert len(lines) == 1  # no link is made a second time
      found.append(replies(db))
      client = Client(address)
      client.join(worker[2])
      said = client.state(uid)
      assert said['step'] == 'choose' and said['messages'][0]['role'] == 'human'
      client.post(f'{task}/choose', nonce=said['nonce'], box='6')
      assert [item.box for item in comparisons(db)] == [6]
  assert found[0] == found[1]


def test_a_policy_that_is_not_there_is_said_in_one_line(tmp_path):
  assert 'no model' in refused('nothing', tmp_path / 'x.db')
  with contextlib.closing(connect(tmp_path / 'x.db')) as db:
    assert db.execute('SELECT COUNT(*) FROM people').fetchone()[0] == 0
