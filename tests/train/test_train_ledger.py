"""The compile ledger and the progress lines."""

import jax
import jax.numpy as jnp
import pytest

from rlhf_jax.train import ledger, progress
from rlhf_jax.train.progress import Progress, listen


def test_programs_are_counted_by_name():
  ledger.start()
  ledger.start()  # once is enough: nothing is counted twice

  def counted_program(x):
    return 2 * x + 1

  step = jax.jit(counted_program)
  for size in (3, 4, 3):
    step(jnp.ones(size))
  assert ledger.count('counted_program') == 2
  row = [r for r in ledger.rows() if 'counted_program' in r['program']]
  assert len(row) == 1 and row[0]['count'] == 2 and row[0]['seconds'] > 0
  seconds = [row['seconds'] for row in ledger.rows()]
  assert seconds == sorted(seconds, reverse=True)
  assert ledger.count('never_compiled') == 0


def test_an_extra_compile_is_an_error():
  def guarded_program(x):
    return x - 1

  step = jax.jit(guarded_program)
  with ledger.no_more_than(1, 'guarded_program'):
    step(jnp.ones(3))
    step(jnp.zeros(3))
  with ledger.no_more_than(0, 'guarded_program'):
    step(jnp.ones(3))
  with pytest.raises(
    RuntimeError, match='compiled 2 times, expected at most 1'
  ):
    with ledger.no_more_than(1, 'guarded_program'):
      step(jnp.ones(5))
      step(jnp.ones(6))


@pytest.fixture
def clock(monkeypatch):
  """Each look at the clock finds ten seconds gone."""
  ticks = iter(range(0, 1000, 10))
  monkeypatch.setattr(progress.time, 'time', lambda: next(ticks))


def test_progress_goes_to_the_listener(clock):
  seen = []
  with listen(lambda *report: seen.append(report)):
    assert list(Progress(3, 6, 'name')) == [3, 4, 5]
  assert seen == [('name', 4, 6), ('name', 5, 6), ('name', 6, 6)]


def test_progress_prints_lines_without_a_terminal(clock, capsys):
  with pytest.raises(ZeroDivisionError), listen(lambda *_: 0):
    raise ZeroDivisionError  # and the listener is gone afterwards
  assert list(Progress(0, 2, 'name')) == [0, 1]
  assert capsys.readouterr().err == 'name: 1/2\nname: 2/2\n'
