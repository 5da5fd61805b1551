"""Memory of reading pairs, at sizes that take a second."""

import json

import pytest

from benchmarks import read_pairs


def test_a_file_is_as_large_as_asked_and_every_pair_of_it_is_read(tmp_path):
  file = tmp_path / 'a.jsonl'
  count = read_pairs.write_file(file, 1)
  assert 10**6 <= file.stat().st_size < 10**6 + 3000
  found = read_pairs.read_file(file)
  assert found['pairs'] == count and found['seconds'] > 0


def test_growth_is_the_largest_peak_over_the_smallest():
  found = {
    8: {'pairs': 30, 'seconds': 4.0, 'cpu_s': 2.0, 'peak_bytes': 300},
    1: {'pairs': 3, 'seconds': 1.0, 'cpu_s': 1.0, 'peak_bytes': 200},
  }
  rows = {(x['shape'], x['metric']): x for x in read_pairs.rows_of(found)}
  assert rows['8 MB over 1 MB', 'peak_growth']['value'] == 1.5
  assert rows['8 MB of JSON lines', 'pairs_per_cpu_s']['value'] == 15
  assert rows['1 MB of JSON lines', 'peak_bytes']['unit'] == 'bytes'


@pytest.mark.slow  # processes
def test_memory_is_flat_in_the_size_of_the_file(tmp_path, capsys):
  """Ten times the file: 36 MB more of text, and at most 5 % more of memory."""
  file = tmp_path / 'rows.json'
  rows = read_pairs.main(['--json', str(file), '--megabytes', '4', '40'])
  assert json.loads(file.read_text()) == rows
  [growth] = [x['value'] for x in rows if x['metric'] == 'peak_growth']
  assert 0.9 < growth < 1.05
  assert 'peak_growth' in capsys.readouterr().out
