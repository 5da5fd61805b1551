"""A table of runs on a terminal while they go; plain lines elsewhere.

It is drawn from the files of the runs alone, whatever runs them: what is done,
what says that it is at work, and how far that is.
"""

import contextlib
import sys
import threading
import time
from typing import NamedTuple

from rlhf_jax.train.about import RunError

EVERY = 1.0  # seconds between two looks at the files
MOST = 24  # rows


class Row(NamedTuple):
  """One run.

  Attributes:
    name: what it is called.
    state: 'running', 'failed', 'to do' or 'done'.
    progress: '7/150', or ''.
    left: '40 s', or ''.
  """

  name: str
  state: str
  progress: str = ''
  left: str = ''


ORDER = ('failed', 'running', 'to do', 'done')


def row_of(name, state, said, time_text) -> Row:
  """The Row of a run.

  Args:
    name: what it is called.
    state: by its directory: 'done', 'failed' or another.
    said: what its process said last, as of `beats.read`.
    time_text: seconds in words.
  """
  if state in ('done', 'failed'):
    return Row(name, state)
  if said.get('state') == 'failed':
    return Row(name, 'failed')
  if said.get('state') != 'running':
    return Row(name, 'to do')
  _, done, total, left = [*said.get('progress', ()), None, None, None, None][:4]
  progress = f'{done}/{total}' if done is not None else ''
  return Row(name, 'running', progress, '' if left is None else time_text(left))


def shortened(rows, most=MOST):
  """(rows to show, counts in words): the failed and running ones first.

  Args:
    rows: [Row] in the order of the runs.
    most: rows that there is room for.
  """
  states = [row.state for row in rows]
  counts = [(state, states.count(state)) for state in reversed(ORDER)]
  words = ', '.join(f'{count} {state}' for state, count in counts if count)
  first = sorted(rows, key=lambda row: ORDER.index(row.state))[:most]
  kept = {id(row) for row in first}
  shown = [row for row in rows if id(row) in kept]
  return shown, f'{len(rows)} runs: {words}'


class Board:
  """Draws the table beside a thread that runs the jobs; a context manager.

  Args:
    look: () -> ([Row], seconds left or None).
    time_text: seconds in words.
    console: of rich; None: that of stderr.
  """

  def __init__(self, look, time_text, console=None):
    from rich.console import Console
    from rich.live import Live

    self.look, self.time_text = look, time_text
    self.console = console or Console(stderr=True)
    self.live = Live(console=self.console, auto_refresh=False, transient=True)
    self.end = threading.Event()

  def __enter__(self):
    self.live.start()
    self.thread = threading.Thread(target=self._run, daemon=True)
    self.thread.start()
    return self

  def __exit__(self, *_):
    self.end.set()
    self.thread.join()
    self.live.stop()

  def _run(self):
    while not self.end.wait(EVERY):
      with contextlib.suppress(OSError, RunError):  # in a moment again
        self.live.update(self.table(*self.look()), refresh=True)

  def table(self, rows, left):
    """The table of rich, with the counts above and the time left."""
    from rich.table import Table
    from rich.text import Text

    room = max(3, min(MOST, self.console.size.height - 6))
    shown, title = shortened(rows, room)
    if left is not None:
      title += f', about {self.time_text(left)} left'
    table = Table('run', 'state', 'progress', 'left', title=title)
    for row in shown:
      table.add_row(*(Text(cell) for cell in row))
    return table

  def report(self, text, passing=False):
    """A line above the table; none of what passes, which the table shows."""
    if not passing:
      self.console.print(text, markup=False, highlight=False, soft_wrap=True)


def report(text, passing=False):
  """Prints one line of progress, at once."""
  del passing  # there is no table that says so
  print(text, file=sys.stderr, flush=True)


@contextlib.contextmanager
def shown(look, time_text, wanted):
  """The report to use: of a table if it is wanted, and stderr a terminal."""
  if wanted and sys.stderr.isatty():
    with Board(look, time_text) as board:
      yield board.report
  else:
    yield report


class Looker:
  """Looks at the files of many runs, at those that are done only once.

  Args:
    jobs: [Job].
    state_of: (job) -> 'done', 'failed' or another.
    said_of: (job) -> what its process said last.
    reckoned: job -> seconds that it should take.
    remaining: (elapsed, finished, rest) -> seconds or None.
    time_text: seconds in words.
  """

  def __init__(self, jobs, state_of, said_of, reckoned, remaining, time_text):
    self.jobs, self.state_of, self.said_of = jobs, state_of, said_of
    self.reckoned, self.remaining = reckoned, remaining
    self.time_text = time_text
    self.done = {job.name for job in jobs if state_of(job) == 'done'}
    self.before, self.started = set(self.done), time.monotonic()

  def __call__(self):
    """([Row], seconds left or None), by what the jobs should take."""
    rows = [self._row(job) for job in self.jobs]
    finished = rest = 0.0
    for job in self.jobs:
      weight = self.reckoned(job)
      finished += weight * (job.name in self.done - self.before)
      rest += weight * (job.name not in self.done)
    elapsed = time.monotonic() - self.started
    return rows, self.remaining(elapsed, finished, rest)

  def _row(self, job):
    if job.name in self.done:
      return Row(job.shown, 'done')
    row = row_of(
      job.shown, self.state_of(job), self.said_of(job), self.time_text
    )
    if row.state == 'done':
      self.done.add(job.name)
    return row
