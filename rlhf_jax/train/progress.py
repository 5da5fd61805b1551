"""Progress on anything longer than a few seconds."""

import contextlib
import sys
import time

from tqdm import tqdm

_listener = None


@contextlib.contextmanager
def listen(callback):
  """Sends progress to a callback instead of the terminal.

  Args:
    callback: of (label, done, total, seconds left); these are None after the
      first step, which compiles.
  """
  global _listener
  previous, _listener = _listener, callback
  try:
    yield
  finally:
    _listener = previous


def time_text(seconds):
  """Seconds in words, to two digits or so: 40 s, 3 min, 2 h 10 min."""
  if seconds < 99.5:
    return f'{seconds:.0f} s'
  minutes = round(seconds / 60)
  if minutes < 100:
    return f'{minutes} min'
  return f'{minutes // 60} h {minutes % 60} min'


def line(label, done, total, left):
  """One line of progress: 'lm/13K: 7/150, 40 s left'."""
  tail = '' if left is None else f', {time_text(left)} left'
  return f'{label}: {done}/{total}{tail}'


class Progress:
  """Iterates over range(start, total); a bar, plain lines, or a listener."""

  def __init__(self, start, total, label):
    self.start, self.total, self.label = start, total, label

  def __iter__(self):
    steps = range(self.start, self.total)
    if _listener is not None:
      return self._reported(steps, _listener)
    if sys.stderr.isatty():
      return iter(
        tqdm(steps, initial=self.start, total=self.total, desc=self.label)
      )
    return self._reported(steps, self._line)

  def _line(self, label, done, total, left):
    print(line(label, done, total, left), file=sys.stderr, flush=True)

  def _reported(self, steps, report):
    last, first, left = time.time(), None, None
    for step in steps:
      yield step
      now, done = time.time(), step + 1
      if first is None:  # it compiles: the others are timed without it
        first = now
      else:
        left = (now - first) / (step - self.start) * (self.total - done)
      if now - last > 5:
        last = now
        report(self.label, done, self.total, left)
