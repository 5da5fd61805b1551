"""Work in parts: what a killed run has done is not done again."""

import pytest

from experiments.shared.kept import in_parts


class KilledError(Exception):
  pass


def worker(calls, last=99):
  def work(items, first, label):
    assert first == items[0] - items[0] % 3
    if len(calls) == last:
      raise KilledError
    calls.append(label)
    return [[item / 3, str(item)] for item in items]

  return work


def test_a_killed_run_goes_on_with_the_part_it_was_in(tmp_path):
  path, calls = tmp_path / 'parts.jsonl', []
  with pytest.raises(KilledError):
    in_parts(worker(calls, 2), list(range(7)), path, 3, 'test')
  assert calls == ['test 1/3', 'test 2/3']
  path.write_text(path.read_text() + '[[2.0')  # killed while it wrote
  found = in_parts(worker(calls), list(range(7)), path, 3, 'test')
  assert calls == ['test 1/3', 'test 2/3', 'test 3/3']
  assert found == [[i / 3, str(i)] for i in range(7)]
  assert in_parts(worker(calls), list(range(7)), path, 3, 'test') == found
  assert len(calls) == 3


def test_one_part_has_the_label_alone(tmp_path):
  calls = []
  assert len(in_parts(worker(calls), [0, 1], tmp_path / 'p', 3, 'all')) == 2
  assert calls == ['all']
