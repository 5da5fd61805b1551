"""Times of a run: phases, rates, memory, and what the page makes of them."""

import json
import time

import pytest

from rlhf_jax.analysis import speed as page
from rlhf_jax.train import ledger, speed
from rlhf_jax.train.run import Run


class Time:
  """A clock that goes on by what it is told."""

  def __init__(self, monkeypatch):
    self.now, self.compiled = 100.0, 3.0
    monkeypatch.setattr(time, 'perf_counter', lambda: self.now)
    monkeypatch.setattr(ledger, 'seconds', lambda: self.compiled)

  def passes(self, seconds):
    self.now += seconds

  def compiles(self, seconds):
    self.now, self.compiled = self.now + seconds, self.compiled + seconds


@pytest.fixture
def clock(monkeypatch):
  return Time(monkeypatch)


def rows(folder):
  return page.read_speed(folder)


def test_seconds_are_those_of_the_phases_and_of_updates(tmp_path, clock):
  """By hand: 20 s, 4 of compiling, 3 of measuring, 1 of logging; 2 updates."""
  waited = []
  own = speed.Clock(tmp_path, True, lambda: waited.append(clock.now))
  own.start(0)
  own.says(speed.Work(tokens=lambda row: row['length'] * 10, flops=None))
  clock.compiles(1)
  clock.passes(10)
  with own.phase('data'):
    clock.passes(2)
  with own.phase('measure'):
    clock.compiles(3)
    clock.passes(2)
    with own.phase('log'):  # inside: part of it
      clock.passes(1)
  with own.phase('log'):
    clock.passes(1)
  own.write(2, {'length': 6.0})
  clock.passes(5)
  own.write(3, {'length': 6.0})
  own.write(3, {'length': 6.0})  # no update since
  first, second = rows(tmp_path)
  wanted = {
    'seconds': 20.0,
    'compile_s': 4.0,
    'data_s': 2.0,
    'measure_s': 3.0,
    'log_s': 1.0,
    'save_s': 0.0,
    'update_s': 6.0,
    'tokens_per_s': 10.0,
    'mfu': None,
    'updates': 2,
  }
  assert {name: first[name] for name in wanted} == pytest.approx(wanted)
  assert (second['update_s'], second['step']) == (5.0, 3)
  assert first['host_bytes'] > 1e6 and first['device_bytes'] is None
  # Before a phase apart from updates those are waited for; not before data.
  assert waited == [113.0, 119.0]


def test_mfu_is_model_flops_over_the_peak(tmp_path, clock, monkeypatch):
  monkeypatch.setattr(speed, 'peak_flops', lambda: 1e9)
  own = speed.Clock(tmp_path, True, lambda: None)
  own.start(0)
  own.says(speed.Work(flops=2e8))
  clock.passes(4)
  own.write(8, {})
  assert rows(tmp_path)[0]['mfu'] == pytest.approx(8 * 2e8 / 4 / 1e9)


def test_a_cpu_s_peak_is_a_product_of_its_own():
  assert 1e8 < speed.peak_flops() < 1e14


@pytest.mark.parametrize(
  ('kind', 'flops'),
  [
    ('NVIDIA H200', 989e12),
    ('TPU v5 lite', 197e12),
    ('TPU v5p', 459e12),
    ('Abacus', None),
  ],
)
def test_the_peak_of_a_device_is_what_is_published(kind, flops, monkeypatch):
  device = type('Device', (), {'platform': 'x', 'device_kind': kind})()
  monkeypatch.setattr(speed.jax, 'devices', lambda: [device])
  monkeypatch.setattr(speed.jax, 'device_count', lambda: 1)
  assert speed.peak_flops() == flops


def test_a_run_writes_its_speed_and_keeps_no_digest_of_it(tmp_path):
  """Two sessions; the page leaves the first stretch of each out."""
  for at in (0, 4):
    with Run(tmp_path, {'seed': 0}, {'size': '3K'}) as run:
      run.restore(None)
      run.clock.start(at)
      run.works(tokens=64.0)
      for step in range(at + 1, at + 5):
        run.log(step, {'loss': 1.0})
      if at:
        run.finish()
  found = rows(tmp_path)
  assert [row['step'] for row in found] == [*range(1, 9)]
  assert [row['session'] for row in found] == [1] * 4 + [2] * 4
  done = json.loads((tmp_path / 'done.json').read_text())
  assert 'speed.jsonl' not in done['digests']
  [row] = page.table(tmp_path)
  assert set(row) == set(page.COLUMNS)
  assert (row['runs'], row['updates'], row['size']) == (1, 8, '3K')


def test_the_page_s_numbers_are_medians_of_later_stretches():
  keys = ('data', *page.PHASES)
  line = lambda session, step, update, seconds=10.0: {
    'session': session,
    'step': step,
    'seconds': seconds,
    'update_s': update,
    'tokens_per_s': None,
    'mfu': 0.1 * update,
    'host_bytes': 2e9 + step,
    'device_bytes': None,
    **{f'{key}_s': 1.0 for key in keys},
  }
  found = page.summary(
    [line(1, 1, 90.0), line(1, 2, 3.0), line(2, 2, 80.0), line(2, 3, 5.0)]
  )
  assert found['update_s'] == 4.0 and found['updates'] == 3
  assert found['seconds'] == 40 and found['updating'] == pytest.approx(0.6)
  assert found['mfu'] == pytest.approx(0.4)
  assert found['tokens_per_s'] is None and found['device_gb'] is None
  assert found['host_gb'] == pytest.approx(2.0)
  alone = page.summary([line(1, 1, 90.0)])
  assert alone['update_s'] == 90.0


def test_a_damaged_line_is_named_and_half_a_line_is_left_out(tmp_path):
  (tmp_path / 'speed.jsonl').write_text('{"update_s": 1}\n{"upd')
  assert len(page.read_speed(tmp_path)) == 1
  (tmp_path / 'speed.jsonl').write_text('{"update_s": 1}\nx\n')
  with pytest.raises(ValueError, match=r'speed\.jsonl:2: no row of speeds'):
    page.read_speed(tmp_path)


def test_signs_of_health_are_found_in_the_rows_of_runs(tmp_path):
  with Run(tmp_path / 'rl', {'seed': 0}) as run:
    run.restore(None)
    run.log(1, {'score': 0.5})
    sign = {'name': 'length', 'value': 3.0, 'message': 'replies grew'}
    run.log(2, sign, kind='health')
    run.finish()
  assert page.signs(tmp_path) == [
    {'run': 'rl', 'step': 2, 'name': 'length', 'message': 'replies grew'}
  ]
  assert page.signs(tmp_path / 'rl')[0]['run'] == 'rl'
