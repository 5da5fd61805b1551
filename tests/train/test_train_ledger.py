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


def noting(name):
  """A jitted sum that notes its shapes under a name of its own."""

  def program(batch, scale):
    ledger.note(name, {'batch': batch, 'scale': scale})
    return scale * (batch['x'].sum() + batch['y'].sum())

  program.__name__ = program.__qualname__ = name
  return jax.jit(program)


def _shapes(name):
  (row,) = [row for row in ledger.rows() if row['program'] == name]
  return row['shapes']


def test_the_ledger_shows_the_shapes_that_caused_a_recompile():
  ledger.start()
  program = noting('noted_program')
  batch = lambda n: {'x': jnp.ones((n, 2)), 'y': jnp.ones(3, jnp.int32)}
  program(batch(4), jnp.float32(1))
  program(batch(4), jnp.float32(2))
  assert _shapes('noted_program') == ''  # compiled once
  program(batch(5), jnp.float32(2))
  differing = 'batch/x: float32[4,2] | float32[5,2]'
  assert _shapes('noted_program') == differing
  program(batch(5), 2.0)
  kinds = 'scale: float32[] | float32[] weak'
  assert _shapes('noted_program') == f'{differing}; {kinds}'
  assert ledger.count('noted_program') == 3
  with pytest.raises(RuntimeError, match=r'batch/x: .*float32\[6,2\]'):
    with ledger.no_more_than(0, 'noted_program'):
      program(batch(6), 2.0)


def test_the_ledger_shows_a_recompile_with_the_same_shapes():
  ledger.start()
  for _ in range(2):  # as a static setting that changes would do
    noting('noted_twice')({'x': jnp.ones(2), 'y': jnp.ones(2)}, 1.0)
  assert ledger.count('noted_twice') == 2
  assert _shapes('noted_twice').startswith('the same shapes')


@pytest.fixture
def clock(monkeypatch):
  """Each look at the clock finds ten seconds gone."""
  ticks = iter(range(0, 1000, 10))
  monkeypatch.setattr(progress.time, 'time', lambda: next(ticks))


def test_progress_goes_to_the_listener(clock):
  seen = []
  with listen(lambda *report: seen.append(report)):
    assert list(Progress(3, 6, 'name')) == [3, 4, 5]
  assert seen == [('name', 4, 6, None), ('name', 5, 6, 10), ('name', 6, 6, 0)]


def test_the_time_left_is_reckoned_without_the_first_step(monkeypatch):
  """It compiles: 100 s, then a second a step, of which two are left."""
  ticks = iter([0, 100, 101, 107, 108])
  monkeypatch.setattr(progress.time, 'time', lambda: next(ticks))
  seen = []
  with listen(lambda *report: seen.append(report[1:])):
    list(Progress(0, 4, 'name'))
  assert seen == [(1, 4, None), (3, 4, 3.5)]


@pytest.mark.parametrize(
  ('seconds', 'text'),
  [
    (0, '0 s'),
    (99, '99 s'),
    (100, '2 min'),
    (3600, '60 min'),
    (7800, '2 h 10 min'),
  ],
)
def test_time_in_words(seconds, text):
  assert progress.time_text(seconds) == text


def test_progress_prints_lines_without_a_terminal(clock, capsys):
  with pytest.raises(ZeroDivisionError), listen(lambda *_: 0):
    raise ZeroDivisionError  # and the listener is gone afterwards
  assert list(Progress(0, 2, 'name')) == [0, 1]
  assert capsys.readouterr().err == ('name: 1/2\nname: 2/2, 0 s left\n')
