"""Microbatches by processor: what is measured, and who takes it."""

import json

import pytest

from benchmarks import common, microbatches
from benchmarks.peers import ours
from benchmarks.shapes import SHAPES

TINY = SHAPES['tiny']


@pytest.fixture
def results(tmp_path, monkeypatch):
  """A folder of results in which this device is fastest with two rows."""
  folder = tmp_path / common.device_name()
  folder.mkdir()
  rows = [
    {'shape': 'S', 'metric': 'pm_step_rows', 'value': 32.0},
    {'shape': 'tiny', 'metric': 'pm_step_2_s', 'value': 0.1},
    {'shape': 'tiny', 'metric': 'pm_step_rows', 'value': 2.0},
    {'shape': 'gone', 'metric': 'pm_step_rows', 'value': 1.0},
  ]
  (folder / 'microbatches.json').write_text(json.dumps(rows))
  return tmp_path


def test_a_shape_has_the_microbatch_of_its_device(results):
  found = common.for_device('pm_step', TINY, results)
  assert found == TINY._replace(microbatch_rows=2)


def test_what_was_not_measured_here_stays(results, tmp_path):
  assert common.for_device('ppo_iteration', TINY, results) == TINY
  other = TINY._replace(batch=8)
  assert common.for_device('pm_step', other, results) == other
  assert common.for_device('pm_step', TINY, tmp_path / 'none') == TINY


@pytest.mark.slow  # compiles each size
def test_sizes_are_measured_and_the_best_is_named(tmp_path):
  file = tmp_path / 'rows.json'
  words = ['--shape', 'tiny', '--rows', '2', '8', '--rounds', '1']
  rows = microbatches.main([*words, '--json', str(file)])
  assert json.loads(file.read_text()) == rows
  found = {row['metric']: row['value'] for row in rows}
  for name in microbatches.SUBJECTS:
    seconds = {n: found[f'{name}_{n}_s'] for n in (2, 4, 8)}
    best = min(seconds, key=seconds.get)
    assert found[f'{name}_rows'] == best
    assert found[f'{name}_gain'] == seconds[4] / seconds[best] >= 1


@pytest.mark.slow  # builds the steps
@pytest.mark.parametrize(
  ('metric', 'samples'),
  [
    ('pm_pairs_per_s', 4),
    ('pm_pairs_per_s_read_whole', 4),
    ('decode_tokens_per_s', 4),
    ('ppo_samples_per_s', 4),
    ('rloo_samples_per_s', 4),
  ],
)
def test_every_metric_beside_a_peer_has_its_subject(metric, samples):
  assert ours.subject_of(metric, TINY).samples == samples
