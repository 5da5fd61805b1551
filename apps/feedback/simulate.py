"""The crowd of a simulated world in front of the page, through HTTP.

    python -m apps.feedback.invite --db=FILE --count=20 --kind=simulated > LINKS
    python -m apps.feedback.simulate --study=DIR --links=LINKS

DIR is the run or the study of what is served, and says which world its workers
are of. A worker a link, all at once: each joins, talks, compares `--each` pairs
of replies and ends. A server that is away is waited for. The same command goes
on where it stopped: how many pairs a worker has compared, the page says. It
plays people in tests and demonstrations; what it says is marked as simulated.
"""

import argparse
import collections
import sys
import threading
import time
import traceback
from pathlib import Path

from apps.feedback.client import Client, ClientError, OutOfDateError, forms
from apps.feedback.crowd import Simulated
from experiments.shared import sources
from rlhf_jax.train import about

POLL, LONGEST_POLL = 0.05, 0.5  # seconds between looks at unfinished replies


class Counter:
  """Counts what all workers have compared, and prints it now and then."""

  def __init__(self, total, out=sys.stderr):
    self.total, self._done, self._out = total, collections.Counter(), out
    self._lock, self._told, self._start = threading.Lock(), 0.0, None

  def set(self, worker, done):
    """Says how many pairs a worker has compared."""
    with self._lock:
      now = time.monotonic()
      self._done[worker] = done
      if self._start is None:
        self._start = now, sum(self._done.values())
      if now - self._told > 2 or self.done == self.total:
        self._told = now
        print(self._line(now), file=self._out, flush=True)

  @property
  def done(self):
    """Pairs that all workers have compared."""
    return sum(self._done.values())

  def of(self, worker):
    """Pairs that one has compared."""
    return self._done[worker]

  def _line(self, now):
    since, before = self._start
    rate = (self.done - before) / max(now - since, 1e-9)
    return f'simulated workers: {self.done}/{self.total} pairs, {rate:.1f}/s'


class Session:
  """A worker at the page until they have compared enough."""

  def __init__(self, client, worker, each, tell=lambda done: None):
    """Makes a session.

    Args:
      client: Client that has joined.
      worker: Simulated.
      each: pairs to compare in all.
      tell: called with how many there are.
    """
    self._client, self._worker, self._each = client, worker, each
    self._tell, self.compared, self._wait = tell, 0, POLL

  def run(self) -> int:
    """Works; the number of pairs that the worker has compared in all.

    It is less than wanted where there is nothing left to do.
    """
    while True:
      task = self._next_task()
      if task is None:
        return self.compared
      try:
        while self._step(task):
          pass
      except OutOfDateError:
        continue  # another step by now, or a lease that has ended
      if self.compared >= self._each:
        return self.compared

  def _next_task(self):
    """Uid of the open task, of a new one, or None if there is none."""
    status, said = self._client.get('/')
    if status not in (200, 303):
      raise ClientError(f'/ answered {status}: {said[:200]}')
    if status != 303:
      own = forms(said).get('/next')
      if own is None:
        return None
      said = self._client.post('/next', nonce=own['nonce'])
    _, found, task = said.rpartition('/tasks/')
    return task if found else None

  def _step(self, task) -> bool:
    """One step of a task; whether it goes on."""
    state = self._client.state(task)
    self.compared = state['compared']
    self._tell(self.compared)
    step, post = state['step'], self._client.post
    if step in ('done', 'expired'):
      return False
    enough = self.compared >= self._each
    ends = enough or not self._worker.wants_more(state, self.compared)
    if state['finish_nonce'] and (step != 'say' or ends):
      nonce = state['finish_nonce']
      own = self._worker.ending(state, self.compared)
      post(f'/tasks/{task}/finish', nonce=nonce, **own)
    elif enough:
      if state['skip_nonce']:
        post(f'/tasks/{task}/skip', nonce=state['skip_nonce'])
      return False
    elif step == 'wait':
      time.sleep(self._wait)
      self._wait = min(2 * self._wait, LONGEST_POLL)
    elif step == 'say':
      text = self._worker.message(state, self.compared)
      post(f'/tasks/{task}/say', nonce=state['nonce'], text=text)
    elif step == 'choose':
      own = self._worker.choice(state, self.compared)
      post(f'/tasks/{task}/choose', nonce=state['nonce'], **own)
      self._wait = POLL
    else:  # replies that failed
      post(f'/tasks/{task}/skip', nonce=state['skip_nonce'])
    return True


def tokens_of(lines) -> list[str]:
  """Tokens of the lines of `apps.feedback.invite`.

  Raises:
    ValueError: if a line has none.
  """
  found = []
  for line in lines:
    path = (line.split() or [''])[0]
    _, mark, token = path.rpartition('/join/')
    if not mark or not token:
      raise ValueError(
        f'wanted lines such as /join/TOKEN name, got {line[:40]!r}: take the '
        'output of python -m apps.feedback.invite'
      )
    found.append(token)
  return found


def world_of(study):
  """The world of a run or a study.

  Raises:
    ValueError: if it has none.
  """
  config = about.read(study).config
  if 'world' not in config:
    raise ValueError(
      f'{study} is of no simulated world: take a study that is, or a run of '
      'train_ppo in it'
    )
  return sources.world_of(config['world'])


def work(url, tokens, world, each, seed=0, rewrites=0.05, patience=600.0):
  """Lets a worker a token compare pairs, all at once.

  Args:
    url: of the page.
    tokens: of invitations.
    world: a World.
    each: pairs of a worker in all, those of before included.
    seed: of all draws.
    rewrites: of `Simulated`.
    patience: of `Client`.

  Returns:
    Pairs that all have compared.

  Raises:
    ClientError: if a worker failed; the others have ended before.
  """
  counter, failed = Counter(each * len(tokens)), []

  def one(number, token):
    try:
      client = Client(url, patience)
      client.join(token)
      worker = Simulated(world, number, seed, rewrites)
      tell = lambda done: counter.set(number, done)
      Session(client, worker, each, tell).run()
    except Exception as error:  # of a thread; raised below
      if not isinstance(error, ClientError):  # not known: where it was
        traceback.print_exc()
      failed.append(f'worker {number}: {error}')

  threads = [
    threading.Thread(target=one, args=args, daemon=True)
    for args in enumerate(tokens)
  ]
  for thread in threads:
    thread.start()
  for thread in threads:
    thread.join()
  if failed:
    raise ClientError('; '.join(failed))
  for number in range(len(tokens)):
    if counter.of(number) < each:
      print(
        f'worker {number} has compared {counter.of(number)} of {each} pairs: '
        'the page had no more for them (its --conversations)',
        file=sys.stderr,
      )
  return counter.done


def main(arguments=None) -> None:
  """Reads the flags, and works."""
  parser = argparse.ArgumentParser(
    prog='python -m apps.feedback.simulate',
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_argument('--study', required=True, help='whose world it is')
  parser.add_argument('--url', default='http://127.0.0.1:8000')
  parser.add_argument('--links', required=True, help='file of invitations')
  parser.add_argument('--each', type=int, default=50, help='pairs of a worker')
  parser.add_argument('--seed', type=int, default=0)
  parser.add_argument(
    '--rewrites', type=float, default=0.05, help='share of two bad replies'
  )
  flags = parser.parse_args(arguments)
  try:
    tokens = tokens_of(Path(flags.links).read_text().splitlines())
    world = world_of(flags.study)
    Client(flags.url)  # says what is wrong with it, once
    args = flags.url, tokens, world, flags.each, flags.seed, flags.rewrites
    done = work(*args)
  except (ClientError, OSError, ValueError, about.RunError) as error:
    sys.exit(f'error: {error}')
  print(f'{len(tokens)} workers have compared {done} pairs')


if __name__ == '__main__':
  main()
