"""Health of a run of RL, in plain words with the number that caused them.

    panel = Panel(off=(), stop=('nonfinite',))
    for sign in panel.note('train', row): ...

A sign is said once, when it appears; one that is in `stop` ends the run, and
the last checkpoint stays. Everything is read from rows that are logged anyway.
"""

import math
import sys
from typing import NamedTuple

from rlhf_jax.train.about import RunError, StoppedError
from rlhf_jax.train.health_rules import (
  FIRST,
  LAST,
  NAMES,
  RULES,
  History,
  bad_names,
)

KIND = 'health'  # of its rows in metrics.jsonl


class Sign(NamedTuple):
  """A sign of ill health.

  Attributes:
    name: of its rule.
    value: the number that caused it.
    message: plain words, with the number and what to do.
  """

  name: str
  value: float
  message: str


class HealthError(StoppedError):
  """A sign that the config makes a run stop at."""

  def __init__(self, where, step, sign):
    super().__init__(
      f'{where}: {sign.name} at update {step}: {sign.message}; nothing of it '
      'was saved, the last checkpoint stays (health.stop has the name)',
      reason='health',
      name=sign.name,
      value=sign.value if math.isfinite(sign.value) else None,
      step=int(step),
    )


def numbers(row):
  """The numbers of a row; text and switches are left out."""
  return {
    name: float(x)
    for name, x in row.items()
    if isinstance(x, int | float) and not isinstance(x, bool)
  }


def means(rows):
  """Means of the numbers that all rows have; {} of no rows."""
  rows = [numbers(row) for row in rows]
  names = [n for n in (rows[0] if rows else ()) if all(n in r for r in rows)]
  return {n: sum(row[n] for row in rows) / len(rows) for n in names}


def history_of(rows, checkpoints=()) -> History:
  """The History of a run's rows, in their order.

  Args:
    rows: of kind 'train'.
    checkpoints: of kind 'checkpoint'.
  """
  marks = [numbers(row) for row in checkpoints]
  return History(
    means(rows[:FIRST]),
    means(rows[-LAST:]),
    len(rows),
    marks[0] if marks else {},
    marks[-1] if len(marks) > 1 else {},
  )


def judge(history: History, off=()) -> list[Sign]:
  """The signs that a history shows, in the order of the rules.

  Args:
    history: of `history_of`.
    off: names of rules that are left out.
  """
  found = []
  for rule in RULES:
    value = None if rule.name in off else rule.value(history)
    if value is not None and value > rule.limit:
      found.append(Sign(rule.name, value, message_of(rule, value, history)))
  return found


class _Numbers(dict):
  """Metrics of a row; one that is not there is not a number."""

  def __missing__(self, name):
    return math.nan


def message_of(rule, value, history) -> str:
  """The words of a sign, its numbers filled in."""
  gain = lambda n: _Numbers(history.after)[n] - _Numbers(history.before)[n]
  bad = [*bad_names(history.now), *bad_names(history.after)]
  said = rule.says.format(
    value=value,
    limit=rule.limit,
    start=_Numbers(history.start),
    now=_Numbers(history.now),
    gain_train=gain('train_pm'),
    gain_test=gain('test_pm'),
    kl=_kl_words(history),
    bad=', '.join(bad) or 'nothing in the last rows',
    skipped=history.now.get('skipped', 0.0),
  )
  return f'{said}: {rule.advice}'


def _kl_words(history):
  """Estimates in nats a reply, in training and at the last checkpoint."""
  found = []
  for row, where in ((history.now, 'training'), (history.after, 'checkpoint')):
    names = {'exact': 'kl', 'k1': 'kl_k1', 'k3': 'kl_k3'}
    own = [f'{n} {row[key]:.3g}' for n, key in names.items() if key in row]
    if own:
      found.append(f'{", ".join(own)} in {where}')
  return '; '.join(found)


class Panel:
  """The rows of a run that the rules need, and which signs were said.

  Args:
    off: names of rules that are never said.
    stop: names of rules that end the run.

  Raises:
    RunError: if there is no rule of a name.
  """

  def __init__(self, off=(), stop=()):
    for name in (*off, *stop):
      if name not in NAMES:
        raise RunError(
          f'there is no rule of health {name!r}: wanted one of '
          f'{", ".join(NAMES)}'
        )
    self.off, self.stop = tuple(off), tuple(stop)
    self._start, self._last, self._count = [], [], 0
    self._marks, self._said = [], set()

  def note(self, kind, row) -> list[Sign]:
    """Takes a logged row in; the signs that are new with it.

    Args:
      kind: 'train' or 'checkpoint'; rows of other kinds change nothing.
      row: dict of numbers.
    """
    if not self._add(kind, row):
      return []
    history = History(
      means(self._start),
      means(self._last),
      self._count,
      self._marks[0] if self._marks else {},
      self._marks[-1] if len(self._marks) > 1 else {},
    )
    signs = judge(history, self.off)
    new = [sign for sign in signs if sign.name not in self._said]
    self._said |= {sign.name for sign in new}
    return new

  def _add(self, kind, row):
    """Keeps what the rules need of a row; whether they need anything."""
    if kind == 'train':
      self._count += 1
      if len(self._start) < FIRST:
        self._start.append(row)
      self._last = [*self._last, row][-LAST:]
    elif kind == 'checkpoint':
      self._marks = [*self._marks[:1], numbers(row)]
    return kind in ('train', 'checkpoint')

  def resume(self, rows):
    """Takes the rows of an earlier session in, in their order.

    Args:
      rows: [(kind, row)] of 'train', 'checkpoint' and 'health'.
    """
    for kind, row in rows:
      self._add(kind, row)
      if kind == KIND:
        self._said.add(row['name'])


def say(where, sign):
  """Prints a sign, for whoever watches."""
  print(f'health: {where}: {sign.name}: {sign.message}', file=sys.stderr)
