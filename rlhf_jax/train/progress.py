"""Progress on anything longer than a few seconds."""

import contextlib
import sys
import time

from tqdm import tqdm

_listener = None


@contextlib.contextmanager
def listen(callback):
  """Sends progress to callback(label, done, total) instead of the terminal."""
  global _listener
  previous, _listener = _listener, callback
  try:
    yield
  finally:
    _listener = previous


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

  def _line(self, label, done, total):
    print(f'{label}: {done}/{total}', file=sys.stderr, flush=True)

  def _reported(self, steps, report):
    last = time.time()
    for step in steps:
      yield step
      if time.time() - last > 5:
        last = time.time()
        report(self.label, step + 1, self.total)
