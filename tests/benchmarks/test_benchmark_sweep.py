"""Runs one after the other share one program; no speed is asserted."""

import json

import pytest

from benchmarks import common, sweep

pytestmark = pytest.mark.slow  # runs the benchmarks


def test_runs_of_other_seeds_and_coefficients_compile_nothing_more(
  tmp_path, monkeypatch
):
  monkeypatch.setattr(sweep, 'RUNS', 3)
  monkeypatch.setattr(sweep, 'ITERATIONS', 2)
  path = tmp_path / 'rows.json'
  common.main('sweep', sweep.measure, ['--shape', 'tiny', '--json', str(path)])
  value = {row['metric']: row['value'] for row in json.loads(path.read_text())}
  assert value['sweep_programs'] == 1
  assert value['sweep_steady_s'] > 0
  assert value['sweep_ratio'] > 0


def test_the_ratio_leaves_out_one_compilation():
  """10 s to compile, 8 iterations of 2 s, and 1.6 s between the runs."""
  lines = sweep.ratio_lines(27.6, [12.0] + [2.0] * 7, 8)
  assert {metric: value for metric, value, _ in lines} == pytest.approx(
    {'sweep_compile_s': 10.0, 'sweep_steady_s': 2.0, 'sweep_ratio': 1.1}
  )
