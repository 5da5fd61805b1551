"""Exponents of cost, on times that are made up; bytes from the compiler."""

import json
import math

import numpy as np
import pytest

from benchmarks import device_bytes, scaling, subjects
from benchmarks.shapes import SHAPES
from rlhf_jax.models.cost import parameter_counts
from rlhf_jax.models.ladder import config_for

pytestmark = pytest.mark.slow  # runs the benchmarks

TINY = SHAPES['tiny']


def test_a_power_law_gives_its_exponent_and_an_interval_of_no_width():
  x_N = np.array([1.0, 2.0, 4.0, 8.0])
  assert scaling.exponent(x_N, 3 * x_N**1.7) == pytest.approx((1.7, 1.7, 1.7))


def test_the_interval_is_that_of_the_residuals():
  """Against the textbook: slope -+ t sqrt(SS / (n - 2) / Sxx)."""
  x_N, y_N = np.array([1.0, 2.0, 4.0, 8.0]), np.array([1.0, 2.2, 3.9, 8.3])
  u_N, v_N = np.log(x_N) - np.log(x_N).mean(), np.log(y_N) - np.log(y_N).mean()
  slope = (u_N @ v_N) / (u_N @ u_N)
  error = math.sqrt(((v_N - slope * u_N) ** 2).sum() / 2 / (u_N @ u_N))
  expected = slope, slope - 4.3027 * error, slope + 4.3027 * error
  assert scaling.exponent(x_N, y_N) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
  ('axis', 'value', 'fields'),
  [
    ('batch', 8, dict(batch=8)),
    ('length', 32, dict(prompt_length=16, reply_length=16)),
    ('width', 64, dict(d_model=64, d_mlp=256, n_heads=2)),
  ],
)
def test_one_thing_changes_at_a_time(axis, value, fields):
  assert scaling.changed(TINY, axis, value) == TINY._replace(**fields)


def test_the_command_fits_made_up_times_and_bytes(tmp_path, monkeypatch):
  grids = {'batch': (4, 8, 16), 'length': (8, 16, 32), 'width': (32, 64, 96)}
  monkeypatch.setattr(scaling, 'GRIDS', grids)
  monkeypatch.setattr(scaling, 'BASES', {'pm_step': TINY, 'decode': TINY})
  path = tmp_path / 'new' / 'rows.json'

  def timer(made, rounds, warmups):
    assert (rounds, warmups) == (2, 1)
    return {value: [value**1.5, value**1.5, 1e9] for value in made}

  rows = scaling.main(
    ['--rounds', '2', '--json', str(path)],
    timer=timer,
    bytes_by_devices=lambda: {1: 800, 2: 400, 4: 200, 8: 100},
  )
  assert json.loads(path.read_text()) == rows
  value = {row['metric']: row['value'] for row in rows}
  for kind in ('pm_step', 'decode'):
    for axis in grids:
      assert value[f'{kind}_{axis}_exponent'] == pytest.approx(1.5)
    assert value[f'{kind}_batch_exponent_expected'] == pytest.approx(1)
    assert 1 < value[f'{kind}_length_exponent_expected'] < 2
    assert 1 < value[f'{kind}_width_exponent_expected'] < 2
    assert value[f'{kind}_length_16_s'] == 64
  assert value['device_bytes_exponent'] == pytest.approx(-1)
  assert value['device_bytes_exponent_expected'] == -1


def test_every_point_is_timed_as_often_as_asked():
  seconds = scaling.time_subjects({7: subjects.decode(TINY)}, 2, 1)
  assert len(seconds[7]) == 2 and min(seconds[7]) > 0


def test_eight_devices_hold_an_eighth_of_the_state_each():
  """Parameters and two moments, 12 bytes a parameter, and the batch."""
  flags = ['--size', '13K', '--vocabulary', '64', '--counts', '1', '2', '8']
  found = scaling.device_bytes(flags)
  parameters = parameter_counts(config_for('13K', 64))['total'] + 24 + 1
  rows, length = device_bytes.ROWS, device_bytes.LENGTH
  total = 12 * parameters + 2 * 4 * (rows * length + rows)
  assert found[1] == pytest.approx(total, abs=64)
  slope, _, _ = scaling.exponent(list(found), list(found.values()))
  assert slope == pytest.approx(-1, abs=0.1)
