"""Comparisons from files that grow while they are read."""

import json

import pytest

from rlhf_jax.data.faults import DataError
from rlhf_jax.data.growing import read_new


def line(said, end='\n', **more):
  prompt = f'\n\nHuman: {said}?\n\nAssistant:'
  row = {'chosen': f'{prompt} yes.', 'rejected': f'{prompt} no.', **more}
  return json.dumps(row) + end


def said(found):
  return [item.chosen[9:].partition('?')[0] for item in found.comparisons]


def new(path, position=None, most=100, **options):
  return read_new(path, position or {}, most, 'helpful-online', **options)


@pytest.fixture
def file(tmp_path):
  path = tmp_path / 'answers.jsonl'
  path.write_text(line('one') + line('two') + line('three', kind='harmless'))
  return path


def test_a_reader_starts_where_the_last_one_stopped(file):
  first = new(file, most=2)
  assert said(first) == ['one', 'two']
  offset = len(line('one') + line('two'))
  assert first.position['answers.jsonl']['offset'] == offset
  second = new(file, first.position)
  assert said(second) == ['three']
  assert second.comparisons[0].kind == 'harmless'
  assert second.comparisons[0].source == 'helpful-online'
  assert said(new(file, second.position)) == []
  with file.open('a') as stream:
    stream.write(line('four'))
  assert said(new(file, second.position)) == ['four']
  assert said(new(file)) == ['one', 'two', 'three', 'four']


@pytest.mark.parametrize('cut', [1, 20, len(line('four')) - 1])
def test_a_line_that_is_being_written_is_left_for_later(file, cut):
  last = new(file).position
  with file.open('a') as stream:
    stream.write(line('four')[:cut])
  half = new(file, last)
  assert said(half) == [] and half.position == last
  with file.open('a') as stream:
    stream.write(line('four')[cut:])
  assert said(new(file, half.position)) == ['four']


def test_half_a_character_is_left_for_later_too(tmp_path):
  row = json.loads(line('caf\u00e9'))
  whole = json.dumps(row, ensure_ascii=False).encode()
  file = tmp_path / 'a.jsonl'
  cut = whole.index(b'\xc3') + 1
  file.write_bytes(whole[:cut])
  assert said(new(file)) == []
  file.write_bytes(whole + b'\n')
  assert said(new(file)) == ['caf\u00e9']


def test_files_of_a_folder_are_read_in_order_of_their_names(tmp_path):
  (tmp_path / 'b.jsonl').write_text(line('later'))
  (tmp_path / 'a.jsonl').write_text(line('sooner') + '\n')
  (tmp_path / '.hidden.jsonl').write_text('nothing')
  (tmp_path / 'notes.txt').write_text('nothing')
  first = new(tmp_path)
  assert said(first) == ['sooner', 'later']
  # The blank line is behind the position, and no reason to complain.
  with (tmp_path / 'a.jsonl').open('a') as stream:
    stream.write(line('between'))
  (tmp_path / 'c.jsonl').write_text(line('last'))
  assert said(new(tmp_path, first.position)) == ['between', 'last']


def test_what_was_read_may_not_change(file, tmp_path):
  position = new(file, most=2).position
  text = file.read_text()
  file.write_text(text.replace('two', 'TWO'))
  with pytest.raises(DataError, match='has changed before byte .* append'):
    new(file, position)
  file.write_text(text[:10])
  with pytest.raises(DataError, match='has changed before byte'):
    new(file, position)
  file.unlink()
  with pytest.raises(DataError, match='wanted a folder of'):
    new(file, position)
  with pytest.raises(DataError, match='answers.jsonl is gone, of which'):
    new(tmp_path, position)


def test_a_whole_line_that_is_no_comparison_stops_or_is_counted(file):
  with file.open('a') as stream:
    stream.write('{"chosen": 3}\n[1]\nnot json\n' + line('four'))
  with pytest.raises(DataError, match='answers.jsonl, before byte'):
    new(file)
  found = new(file, on_error='skip')
  assert said(found) == ['one', 'two', 'three', 'four']
  counts = dict(found.counts)
  assert counts.pop('read') == 7 and counts.pop('kept') == 4
  assert counts.pop('not JSON') == 1 and counts.pop('not an object') == 1
  assert sum(counts.values()) == 1
