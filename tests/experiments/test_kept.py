"""Work in parts: what a killed run has done is not done again."""

import pytest

from experiments.shared.kept import Journal, claim, in_parts


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


def test_a_journal_holds_what_was_written_whole(tmp_path):
  path = tmp_path / 'rows.jsonl'
  Journal(path).add([{'a': 1}, {'a': 'é'}])
  whole = path.read_bytes()
  path.write_bytes(whole + b'{"a": 3')
  again = Journal(path)
  assert again.rows == [{'a': 1}, {'a': 'é'}] and path.read_bytes() == whole
  again.add([{'a': 4}])
  assert Journal(path).rows == again.rows and len(again.rows) == 3
  path.write_bytes(whole + b'odd\n')
  with pytest.raises(ValueError, match='rows.jsonl:3: wanted JSON'):
    Journal(path)


def test_what_is_kept_belongs_to_one_key(tmp_path):
  path = tmp_path / 'x' / 'key.json'
  claim(path, {'model': 'a', 'tasks': ('t',)})
  claim(path, {'model': 'a', 'tasks': ('t',)})
  with pytest.raises(ValueError, match="model 'a', wanted 'b': do this"):
    claim(path, {'model': 'b'}, 'do this')
  # What a file of before does not have is believed, where that is said.
  claim(path, {'model': 'a', 'more': 1}, later=('more',))
  with pytest.raises(ValueError, match='more None, wanted 1: give another'):
    claim(path, {'model': 'a', 'more': 1})
  # While nothing is kept, nothing is held to it.
  claim(path, {'model': 'b'}, kept=tmp_path / 'none')
  with pytest.raises(ValueError, match="model 'b', wanted 'a'"):
    claim(path, {'model': 'a'}, kept=tmp_path / 'x')
