"""Two drivers that have the machine by turns, round by round.

    A B B A A B B A ...

Both are started and warmed up one after the other, then each round is a turn;
who has none waits for a line and uses no core. A machine whose rate wanders
over minutes is as slow for one as for the other, so that the ratio of two
rounds that follow each other is steadier than that of two rates.
"""

import contextlib
import json
import os
import statistics
import subprocess
import tempfile

from scipy import stats

from benchmarks.peers import driver, environments


class DriverError(RuntimeError):
  """A driver that did not report; the message is the last line it wrote."""


def variables(cores):
  """Variables of a driver's environment: the CPU, a thread a core."""
  own = {'JAX_PLATFORMS': 'cpu', 'CUDA_VISIBLE_DEVICES': ''}
  return own | {'OMP_NUM_THREADS': str(len(cores)), 'HF_HUB_OFFLINE': '1'}


class Player:
  """A driver in a process of its own, which waits for its turns.

  Attributes:
    reports: of its rounds so far.
  """

  def __init__(self, python, module, flags, cores, stack, root=None, **more):
    """Starts it.

    Args:
      python: the interpreter.
      module: of the driver.
      flags: its arguments.
      cores: on which it runs.
      stack: ExitStack, at whose end it is gone.
      root: of the tree that it is taken from; None: of this one.
      **more: variables of its environment.
    """
    self.reports = []
    self._said = stack.enter_context(tempfile.TemporaryFile('w+'))
    self._process = subprocess.Popen(
      [str(python), '-m', f'benchmarks.peers.{module}', *flags]
      + ['--by-turns', '1'],
      cwd=root or environments.ROOT,
      env=os.environ | variables(cores) | more,
      stdin=subprocess.PIPE,
      stdout=subprocess.PIPE,
      stderr=self._said,
      text=True,
    )
    os.sched_setaffinity(self._process.pid, cores)
    stack.callback(self._end)
    self._lines = []
    self.until(driver.READY)

  def turn(self):
    """Plays a round: its report, which goes to `reports` too."""
    with contextlib.suppress(BrokenPipeError):
      self._process.stdin.write('\n')
      self._process.stdin.flush()
    self.reports.append(json.loads(self.until('{"metric"')))
    return self.reports[-1]

  def until(self, start):
    """The next line it writes that begins so.

    Raises:
      DriverError: if the driver ends first.
    """
    for line in self._process.stdout:
      if line.startswith(start):
        return line
      self._lines.append(line)
    code = self._process.wait()
    self._said.seek(0)
    lines = (''.join(self._lines) + self._said.read()).strip().splitlines()
    raise DriverError(lines[-1] if lines else f'exit code {code}')

  def _end(self):
    self._process.kill()
    self._process.communicate()


def play(first, second, rounds):
  """Rounds by turns; who begins changes after each.

  Args:
    first: Player.
    second: Player.
    rounds: of each.
  """
  for r in range(rounds):
    for player in (first, second)[:: 1 - 2 * (r % 2)]:
      player.turn()


def check_work(what, first, second):
  """Raises a ValueError if two sides did not do the same work a round.

  Args:
    what: metric and shape, for the message.
    first: reports of the rounds of one side.
    second: those of the other.
  """
  work = {report['samples'] for report in (*first, *second)}
  if len(work) > 1:
    raise ValueError(f'{what}: not the same work: {sorted(work)}')


def ratio(ours, theirs):
  """How much faster ours is: dict of ratio, low, high and rounds.

    ratio = median over rounds r of theirs_r / ours_r     (seconds)

  The interval is that of the median from order statistics, 95 % or more
  whatever the distribution; NaN for fewer than six rounds.

  Args:
    ours: reports of the rounds, in their order.
    theirs: the same of the other side.
  """
  found = [
    b['seconds'] / a['seconds'] for a, b in zip(ours, theirs, strict=True)
  ]
  test = stats.quantile_test(found, p=0.5)
  interval = test.confidence_interval(0.95)
  return {
    'ratio': statistics.median(found),
    'low': float(interval.low),
    'high': float(interval.high),
    'rounds': len(found),
  }


def rate(reports):
  """Work of a round over the median seconds of all rounds."""
  seconds = statistics.median(report['seconds'] for report in reports)
  return reports[0]['samples'] / seconds
