"""The table of runs on a terminal, and the lines elsewhere."""

import io
import sys

import pytest
from rich.console import Console

from experiments.studies import board, clock
from experiments.studies.board import Row, row_of, shortened
from experiments.studies.job import Job
from rlhf_jax.train.progress import time_text


def row(found='begun', /, **said):
  return row_of('x', found, said, time_text)


def test_a_run_is_what_its_files_say():
  assert row('done', state='running') == Row('x', 'done')
  assert row('failed') == Row('x', 'failed')
  assert row('begun', state='failed', why='y') == Row('x', 'failed')
  assert row('to do') == row('begun') == Row('x', 'to do')
  assert row(state='running') == Row('x', 'running')
  told = ['pm', 7, 150, 95.0]
  assert row(state='running', progress=told) == (
    Row('x', 'running', '7/150', '95 s')
  )
  first = ['pm', 1, 150, None]
  assert row(state='running', progress=first).left == ''


def test_a_long_table_shows_what_fails_and_runs_first_in_its_order():
  states = ['done', 'to do', 'running', 'done', 'failed', 'to do', 'running']
  rows = [Row(str(i), state) for i, state in enumerate(states)]
  shown, words = shortened(rows, 4)
  assert [x.name for x in shown] == ['1', '2', '4', '6']
  assert words == '7 runs: 2 done, 2 to do, 2 running, 1 failed'
  assert shortened(rows, 9)[0] == rows


def jobs():
  weights = {'a': 1, 'b': 2, 'c': 1}
  return [Job(name, 'm', {}, weight=w) for name, w in weights.items()]


def test_time_left_goes_by_what_was_done_since_the_start(monkeypatch):
  """a was done before; b is reckoned as 40 s, c as 20, of both the tenth 6.

  After 10 s b is done: c should take 20 (10 + 6) / (40 + 6).
  """
  ticks, done = iter([0.0, 10.0, 10.0]), {'a'}
  monkeypatch.setattr(board.time, 'monotonic', lambda: next(ticks))
  state_of = lambda job: 'done' if job.name in done else 'to do'
  tools = clock.by_weight, clock.remaining, time_text
  look = board.Looker(jobs(), state_of, lambda job: {}, *tools)
  done.add('b')
  rows, left = look()
  assert [x.state for x in rows] == ['done', 'done', 'to do']
  assert left == pytest.approx(20 * 16 / 46)
  done.add('c')
  assert look()[1] is None


def test_what_is_done_is_not_looked_at_again():
  asked = []

  def state_of(job):
    asked.append(job.name)
    return 'done' if job.name != 'c' else 'to do'

  tools = clock.by_weight, clock.remaining, time_text
  look = board.Looker(jobs(), state_of, lambda job: {}, *tools)
  look()
  look()
  assert ''.join(asked) == 'abccc'


def test_the_table_of_a_terminal_is_drawn_with_lines_above_it():
  file = io.StringIO()
  console = Console(file=file, force_terminal=True, width=80, height=20)
  rows = [Row('a1 (seed=0)', 'running', '7/9', '3 s'), Row('[b]', 'to do')]
  with board.Board(lambda: (rows, 65.0), time_text, console) as shown:
    shown.live.update(shown.table(*shown.look()), refresh=True)
    shown.report('  failed: [a] (see x.log)')
    shown.report('  [a]: 7/9', passing=True)
  text = file.getvalue()
  for words in ('a1 (seed=0)', '7/9', '[b]', '2 runs: 1 to do, 1 running'):
    assert words in text
  assert 'about 65 s left' in text and 'failed: [a] (see x.log)' in text
  assert '[a]: 7/9' not in text


def test_elsewhere_there_are_plain_lines(monkeypatch, capsys):
  monkeypatch.setattr(sys.stderr, 'isatty', lambda: False)
  with board.shown(None, time_text, True) as say:
    say('one')
    say('two', passing=True)
  assert capsys.readouterr().err == 'one\ntwo\n'
