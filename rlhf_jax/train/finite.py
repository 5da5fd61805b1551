"""Watch over what is not finite: NaN and infinity in metrics and states.

The step says on the device which of its metrics are not finite, one integer;
the run reads these where it reads metrics anyway, so that no step waits for
the host. Before anything is saved the whole state is looked at.
"""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from rlhf_jax.train.about import RunError, StoppedError

STOP, SKIP = 'stop', 'skip'
FLAGS = 'nonfinite'  # bit i: the i-th metric by name is not finite
LAST_BIT = 30  # stands for all metrics from there on
ROW_COUNT, FIRST_ROW = 'nonfinite_rows', 'nonfinite_row'
OWN = (FLAGS, ROW_COUNT, FIRST_ROW)
SHOWN = 8  # row numbers in a message
MOST_UNREAD = 1000  # updates, of a loop that logs nothing
ALL_SKIPPED = 20  # batches one after the other, after which a run stops


class NonFiniteError(StoppedError):
  """A number that is not finite; the run stops and keeps what it had saved.

  Attributes:
    record: dict of quantities, step, rows and message, for failed.json.
  """

  def __init__(self, message, **record):
    super().__init__(message, reason='nonfinite', **record)


def require_numbers(config, path=''):
  """Refuses a config with a number that is not finite.

  Raises:
    RunError: naming the key.
  """
  for key, value in config.items():
    name = f'{path}{key}'
    if isinstance(value, dict):
      require_numbers(value, f'{name}.')
    for item in value if isinstance(value, list | tuple) else [value]:
      if isinstance(item, float) and not math.isfinite(item):
        raise RunError(f'config.{name} is {item}: wanted a finite number')


def row_flags(value_B):
  """Number of the rows that are not finite, and the first, as metrics."""
  bad_B = ~jnp.isfinite(value_B)
  return {ROW_COUNT: bad_B.sum(), FIRST_ROW: jnp.argmax(bad_B)}


def flags_of(metrics):
  """Bits of the metrics that are not finite, int32; 0: all of them are."""
  bits = jnp.int32(0)
  for i, name in enumerate(_names(metrics)):
    bad = ~jnp.all(jnp.isfinite(metrics[name]))
    bits |= bad.astype(jnp.int32) << min(i, LAST_BIT)
  return bits


def _names(metrics):
  return [name for name in sorted(metrics) if name not in OWN]


def with_guard(step, on_nonfinite):
  """The step whose metrics say which of them are not finite.

  With 'skip' an update with such a metric is not applied: parameters, moments
  and averages stay, the number of updates goes on, and with it data and keys.
  The old state is kept beside the new one for that, so it is not overwritten.

  Args:
    step: (state, ...) -> (state, metrics); a step, or PPO's iteration, whose
      updates are skipped together.
    on_nonfinite: 'stop' or 'skip'.

  Raises:
    ValueError: if it is neither.
  """
  if on_nonfinite not in (STOP, SKIP):
    raise ValueError(
      f"on_nonfinite must be 'stop' or 'skip', got {on_nonfinite!r}"
    )

  @functools.wraps(step)  # whose names of arguments a ledger reads
  def guarded(state, *args):
    after, metrics = step(state, *args)
    flags = flags_of(metrics)
    if on_nonfinite == SKIP:
      kept = jax.tree.map(
        lambda old, new: jnp.where(flags > 0, old, new), state, after
      )
      after = _at_step(kept, after.step)
    return after, {**metrics, FLAGS: flags}

  return guarded


def _at_step(state, step):
  """A TrainState, or one inside others, at another step."""
  if hasattr(state, 'state'):
    return state._replace(state=_at_step(state.state, step))
  return state._replace(step=step)


def finite_leaves(leaves):
  """Whether each array of a list is finite throughout, bool [N]."""
  return jnp.stack([jnp.isfinite(x).all() for x in leaves])


@functools.cache
def _jitted(everywhere):
  return jax.jit(finite_leaves, out_shardings=everywhere)


def bad_leaf(tree):
  """The path of a tree's first array that is not finite; None: all are."""
  named = [
    (jax.tree_util.keystr(path, simple=True, separator='/'), x)
    for path, x in jax.tree_util.tree_leaves_with_path(tree)
    if jnp.issubdtype(x.dtype, jnp.inexact)
  ]
  if not named:
    return None
  leaves = [x for _, x in named]
  where = getattr(leaves[0], 'sharding', None)
  cut = isinstance(where, NamedSharding)
  everywhere = NamedSharding(where.mesh, PartitionSpec()) if cut else None
  finite_N = np.asarray(_jitted(everywhere)(leaves))
  bad = [n for (n, _), ok in zip(named, finite_N, strict=True) if not ok]
  return bad[0] if bad else None


class _Step(NamedTuple):
  """One update, remembered until metrics are read."""

  step: int
  metrics: dict
  rows: object


class Watch:
  """Reads what the steps of a run have said.

  Attributes:
    skipped: updates that were not applied, so far.

  Args:
    where: of the messages: the run.
    on_nonfinite: as of `with_guard`.
  """

  def __init__(self, where, on_nonfinite=STOP):
    self.where, self.on_nonfinite = where, on_nonfinite
    self.skipped, self._in_turn, self._unread = 0, 0, []

  def note(self, step, metrics, rows=None):
    """Remembers an update without waiting for it; its metrics, flags apart.

    Args:
      step: updates done with it.
      metrics: of the step.
      rows: numbers of the rows of its batch, or None.
    """
    self._unread.append(_Step(int(step), metrics, rows))
    if len(self._unread) == MOST_UNREAD:
      self.read()
    return {k: v for k, v in metrics.items() if k not in OWN}

  def wait(self):
    """Waits for the updates that were noted, without judging them."""
    if self._unread:
      jax.block_until_ready(self._unread[-1].metrics)

  def read(self):
    """Waits for the updates that were noted, and judges them.

    Raises:
      NonFiniteError: for the first with a number that is not finite; with
        'skip' for ALL_SKIPPED of them one after the other.
    """
    unread, self._unread = self._unread, []
    for found in unread:
      quantities = _quantities(found.metrics)
      self._in_turn = self._in_turn + 1 if quantities else 0
      if not quantities:
        continue
      self.skipped += 1
      if self.on_nonfinite == SKIP and self._in_turn < ALL_SKIPPED:
        continue
      self._stop(found, quantities)

  def _stop(self, found, quantities):
    rows, shown = _rows_text(found)
    verb = 'is' if len(quantities) == 1 else 'are'
    raise NonFiniteError(
      f'{self.where}: {", ".join(quantities)} {verb} not finite at update '
      f'{found.step}{shown}: nothing of it was saved, the last checkpoint '
      'stays; lower the rate, look at these rows, or set on_nonfinite to skip',
      quantities=quantities,
      step=found.step,
      rows=rows,
    )

  def require(self, tree, step):
    """Refuses a state that is not finite, before it is saved.

    Raises:
      NonFiniteError: naming the array.
    """
    self.read()
    name = bad_leaf(tree)
    if name is not None:
      raise NonFiniteError(
        f'{self.where}: {name} is not finite after update {step}: nothing of '
        'it was saved, the last checkpoint stays; lower the rate',
        quantities=[name],
        step=int(step),
        rows=[],
      )


def _quantities(metrics):
  """Names of the metrics that are not finite, by the flags of the step."""
  names = _names(metrics)
  if FLAGS in metrics:
    bits = int(metrics[FLAGS])
    seen = lambda i: bits >> min(i, LAST_BIT) & 1
    return [name for i, name in enumerate(names) if seen(i)]
  finite = lambda x: bool(np.isfinite(np.asarray(x, float)).all())
  return [name for name in names if not finite(metrics[name])]


def _rows_text(found):
  """(row numbers, ', rows 3, 9' or so) of what is not finite.

  The rows are those of the batch; where the step has looked at each, the first
  of the bad ones.
  """
  rows = [] if found.rows is None else np.asarray(found.rows).tolist()
  count = int(found.metrics.get(ROW_COUNT, 0))
  if count:
    place = int(found.metrics[FIRST_ROW])
    first = rows[place] if rows else place
    more = f' and {count - 1} more' if count > 1 else ''
    return [first], f' (row {first}{more} of {len(rows) or "its batch"})'
  if not rows:
    return [], ''
  more = ', ...' if len(rows) > SHOWN else ''
  listed = ', '.join(map(str, rows[:SHOWN]))
  return rows, f' (one of the {len(rows)} rows {listed}{more})'
