"""Two modes of arithmetic by turns, with drivers that are made up."""

import json

import pytest

from benchmarks import modes
from benchmarks.peers import turns
from benchmarks.shapes import SHAPES
from scripts.where_tables import modes_table


def reports(seconds, samples=64):
  return [
    {'metric': 'pm_pairs_per_s', 'version': 'c', 'samples': samples}
    | {'seconds': s}
    for s in seconds
  ]


@pytest.fixture
def started(monkeypatch):
  """Flags of the drivers; the rounded mode takes half as long."""
  seen = []

  class Player:
    def __init__(self, python, module, flags, cores, stack):
      seen.append((module, flags))
      self.reports, self.own = [], 1.0 if flags[-1].endswith('bf16') else 2.0

    def turn(self):
      self.reports += reports([self.own])

  monkeypatch.setattr(turns, 'Player', Player)
  return seen


def test_both_modes_have_every_shape_and_the_ratio_is_of_the_rounded(
  started, tmp_path
):
  path = tmp_path / 'rows.json'
  rows = modes.main(['--rounds', '6', '--json', str(path)])
  assert rows == json.loads(path.read_text())
  assert len(rows) == len(modes.SHAPES) * len(modes.METRICS)
  assert {(row['ratio'], row['rounds']) for row in rows} == {(2.0, 6)}
  assert [flags[-1] for _, flags in started[:2]] == ['S-bf16', 'S']
  assert all(module == 'ours' for module, _ in started)
  assert '**2.00** [2.00, 2.00]' in modes_table(rows)


def test_shapes_of_a_pair_differ_in_their_products_alone():
  for name in modes.SHAPES:
    plain, rounded = SHAPES[name], SHAPES[f'{name}-bf16']
    assert rounded._replace(matmul=plain.matmul) == plain
    assert (plain.matmul, rounded.matmul) == ('float32', 'bf16_f32')


def test_a_driver_that_fails_is_one_line_and_rows_before_it_stay(
  started, tmp_path, monkeypatch
):
  measure, path = modes.measure, tmp_path / 'rows.json'

  def fails(shape, *args):
    if shape == '197K':
      raise turns.DriverError('out of memory')
    return measure(shape, *args)

  monkeypatch.setattr(modes, 'measure', fails)
  with pytest.raises(SystemExit, match='modes: .*197K: out of memory'):
    modes.main(['--rounds', '6', '--json', str(path)])
  assert len(json.loads(path.read_text())) == len(modes.METRICS)


def test_other_work_is_not_compared():
  with pytest.raises(ValueError, match='not the same work'):
    modes.row_of('S', 'pm_pairs_per_s', reports([1.0]), reports([1.0], 32))
