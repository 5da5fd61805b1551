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
    callback: of (label, done, total, seconds left as far as they are known).
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
    text = f'{label}: {done}/{total}, {time_text(left)} left'
    print(text, file=sys.stderr, flush=True)

  def _reported(self, steps, report):
    last, first = time.time(), None
    for step in steps:
      yield step
      now, done = time.time(), step + 1
      if first is None:  # compiles, so the others are timed without it
        first, each = now, now - last
      else:
        each = (now - first) / (step - self.start)
      if now - last > 5:
        last = now
        report(self.label, done, self.total, each * (self.total - done))
