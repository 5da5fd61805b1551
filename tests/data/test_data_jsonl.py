import gzip
import json
import os
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from rlhf_jax.data.jsonl import (
  DataError,
  read_comparisons,
  read_red_team,
  write_comparisons,
)
from rlhf_jax.data.records import RedTeam

CHOSEN = '\n\nHuman: Hi\n\nAssistant: Hello.'
REJECTED = '\n\nHuman: Hi\n\nAssistant: No.'
GOOD = json.dumps({'chosen': CHOSEN, 'rejected': REJECTED}).encode()
MESSAGES = {
  'chosen': [
    {'role': 'user', 'content': 'Hi'},
    {'role': 'assistant', 'content': 'Hello.'},
  ],
  'rejected': [
    {'role': 'user', 'content': 'Hi'},
    {'role': 'assistant', 'content': 'No.'},
  ],
}


def line(**fields):
  return json.dumps({'chosen': CHOSEN, 'rejected': REJECTED, **fields}).encode()


MALFORMED = {
  'bad JSON': b'{"chosen": "\\n\\nHuman',
  'missing key': json.dumps({'chosen': CHOSEN}).encode(),
  'no Assistant turn': line(chosen='\n\nHuman: Hi'),
  'does not start with Human': line(rejected='Hi'),
  'last turn is not Assistant': line(chosen=CHOSEN + '\n\nHuman: more'),
  'not UTF-8': GOOD.replace(b'Hello', b'H\xe9llo'),
  'not Unicode': GOOD.replace(b'Hello', b'\\ud800'),
  'not an object': b'[1, 2]',
  'wrong type': line(chosen=5),
  'bad message': line(chosen=[{'role': 'user'}]),
  'unknown role': line(chosen=[{'role': 'tool', 'content': 'x'}]),
  'marker inside a turn': line(
    chosen=[{'role': 'user', 'content': 'x\n\nAssistant: y'}]
  ),
  'bad p_label': line(p_label=1.5),
  'bad kind': line(kind='honest'),
}


@pytest.mark.parametrize(
  'name', ['a.jsonl', 'a.jsonl.gz', 'deeper/still/a.jsonl.gz']
)
def test_records_come_back_as_they_were_written(comparisons, tmp_path, name):
  write_comparisons(tmp_path / name, comparisons)
  back, counts = read_comparisons(tmp_path)
  assert repr(back) == repr(comparisons)  # NaN is not equal to itself
  assert counts == {'read': 4, 'kept': 4}


def test_the_same_records_give_the_same_bytes_and_no_other_file(
  comparisons, tmp_path
):
  for name in ('a.jsonl.gz', 'b.jsonl.gz'):
    write_comparisons(tmp_path / name, comparisons)
  data = (tmp_path / 'a.jsonl.gz').read_bytes()
  assert data == (tmp_path / 'b.jsonl.gz').read_bytes()
  assert data[4:8] == bytes(4)  # no time in the header
  assert len(list(tmp_path.iterdir())) == 2
  with pytest.raises(DataError, match='rename it'):
    write_comparisons(tmp_path / 'a.txt', comparisons)


@pytest.mark.parametrize('reason', MALFORMED)
def test_a_malformed_line_is_named_or_counted(tmp_path, reason):
  file = tmp_path / 'x.jsonl'
  file.write_bytes(b'\n'.join([GOOD, MALFORMED[reason], GOOD, b'']))
  with pytest.raises(DataError) as caught:
    read_comparisons(file)
  message = str(caught.value)
  assert message.startswith(f'{file}:2: wanted ')
  assert ', got ' in message and '; ' in message and '\n' not in message
  records, counts = read_comparisons(file, on_error='skip')
  assert len(records) == 2
  assert counts == {'read': 3, 'kept': 2, reason: 1}


BROKEN = 'skip-broken-files'


def test_a_gzip_cut_in_half_is_an_error_unless_it_is_asked_for_by_name(
  tmp_path,
):
  """A broken file costs nobody knows how many rows: `skip` is not enough."""
  data = gzip.compress(b'\n'.join([GOOD] * 500), compresslevel=0)
  file = tmp_path / 'a.jsonl.gz'
  file.write_bytes(data[: len(data) // 2])
  (tmp_path / 'b.jsonl').write_bytes(GOOD)
  for on_error in ('raise', 'skip'):
    with pytest.raises(DataError, match=r'a\.jsonl\.gz:\d+: wanted a whole gz'):
      read_comparisons(tmp_path, on_error)
  with pytest.raises(DataError, match=f"with on_error '{BROKEN}'"):
    read_comparisons(tmp_path, 'skip')
  records, counts = read_comparisons(tmp_path, BROKEN)
  assert 200 < counts['kept'] == len(records) < 260
  assert counts['broken gzip'] == 1
  assert counts['read'] == counts['kept'] + 1
  assert records[-1].source.endswith('/b')


def test_a_gzip_that_lost_only_its_check_sum_is_broken_too(tmp_path):
  file = tmp_path / 'a.jsonl.gz'
  file.write_bytes(gzip.compress(GOOD + b'\n' + GOOD + b'\n')[:-4])
  with pytest.raises(DataError, match='wanted a whole gzip'):
    read_comparisons(file, 'skip')
  records, counts = read_comparisons(file, BROKEN)
  assert counts == {'read': 3, 'kept': 2, 'broken gzip': 1}
  assert len(records) == 2


def test_lines_that_break_off_are_a_broken_file(tmp_path):
  """Half of a line at the end: the same fault without a gzip around it."""
  file = tmp_path / 'a.jsonl'
  file.write_bytes(GOOD + b'\n' + GOOD[:30])
  with pytest.raises(DataError, match=r'a\.jsonl:2: wanted a whole file'):
    read_comparisons(file, 'skip')
  _, counts = read_comparisons(file, BROKEN)
  assert counts == {'read': 2, 'kept': 1, 'cut off': 1}
  file.write_bytes(GOOD + b'\n' + GOOD)  # no end of line, and a whole record
  assert read_comparisons(file)[1] == {'read': 2, 'kept': 2}


def test_every_row_is_kept_or_counted(tmp_path):
  rows = [GOOD, *MALFORMED.values(), b'', GOOD]
  (tmp_path / 'a.jsonl').write_bytes(b'\n'.join(rows))
  (tmp_path / 'b.jsonl.gz').write_bytes(b'')
  records, counts = read_comparisons(tmp_path, on_error=BROKEN)
  assert counts['read'] == len(MALFORMED) + 3  # the blank line is no row
  assert counts['kept'] == len(records) == 2
  assert counts['empty file'] == 1
  assert sum(counts.values()) == 2 * counts['read']


def test_nothing_to_read_is_one_clear_line(tmp_path):
  with pytest.raises(DataError, match='got nothing there; check the path'):
    read_comparisons(tmp_path / 'absent.jsonl')
  with pytest.raises(DataError, match='directory with none'):
    read_comparisons(tmp_path)
  with pytest.raises(ValueError, match="'raise' or 'skip' or 'skip-broken"):
    read_comparisons(__file__, on_error='ignore')


def test_message_lists_read_as_transcripts(tmp_path):
  (tmp_path / 'm.jsonl').write_text(json.dumps(MESSAGES))
  (record,), _ = read_comparisons(tmp_path)
  assert (record.chosen, record.rejected) == (CHOSEN, REJECTED)


def test_parquet_reads_as_json_lines_do(comparisons, tmp_path):
  write_comparisons(tmp_path / 'a.jsonl', comparisons)
  rows = [
    json.loads(text) for text in (tmp_path / 'a.jsonl').read_text().splitlines()
  ]
  file = tmp_path / 'p' / 'a.parquet'
  file.parent.mkdir()
  parquet.write_table(pyarrow.Table.from_pylist(rows), file)
  assert repr(read_comparisons(file)[0]) == repr(comparisons)
  parquet.write_table(pyarrow.Table.from_pylist([MESSAGES, MESSAGES]), file)
  records, _ = read_comparisons(file)
  assert [record.chosen for record in records] == [CHOSEN, CHOSEN]


def test_a_bad_parquet_row_or_file_is_named_or_counted(tmp_path):
  rows = [json.loads(GOOD), {'chosen': CHOSEN, 'rejected': 'Hi'}]
  file = tmp_path / 'a.parquet'
  parquet.write_table(pyarrow.Table.from_pylist(rows), file)
  with pytest.raises(DataError, match=r'a\.parquet:2: wanted rejected'):
    read_comparisons(file)
  file.write_bytes(file.read_bytes()[:-20])
  with pytest.raises(DataError, match=r'a\.parquet:1: wanted a whole Parquet'):
    read_comparisons(file)
  with pytest.raises(DataError, match='wanted a whole Parquet'):
    read_comparisons(file, on_error='skip')
  _, counts = read_comparisons(file, on_error=BROKEN)
  assert counts == {'read': 1, 'kept': 0, 'broken parquet': 1}


def test_source_and_kind_come_from_argument_row_or_path_in_this_order(tmp_path):
  file = tmp_path / 'harmless-base' / 'test.jsonl'
  file.parent.mkdir()
  file.write_bytes(GOOD + b'\n' + line(source='mine', p_label=0.25))
  plain, named = read_comparisons(file)[0]
  assert (plain.source, plain.kind) == ('harmless-base/test', 'harmless')
  assert (named.source, named.kind, named.p_label) == ('mine', 'helpful', 0.25)
  plain, named = read_comparisons(file, source='theirs')[0]
  assert (plain.source, plain.kind) == ('theirs', 'helpful')
  assert named.source == 'theirs'


ATTEMPT = {
  'transcript': '\n\nHuman: x\n\nAssistant: y',
  'rating': 3.0,
  'model_type': 'rlhf',
  'num_params': '52B',
  'task_description': 'try x',
  'tags': None,
  'is_upworker': False,
}


def test_red_team_attempts_read_from_lines_and_from_one_array(tmp_path):
  rows = [ATTEMPT, {**ATTEMPT, 'tags': ['theft', 'fraud']}]
  first = RedTeam(ATTEMPT['transcript'], 3.0, 'rlhf', '52B', 'try x', ())
  for number, text in enumerate(
    [
      '\n'.join(json.dumps(row) for row in rows),
      json.dumps(rows),
      json.dumps(rows, indent=1),
    ]
  ):
    file = tmp_path / f'{number}.jsonl.gz'
    file.write_bytes(gzip.compress(text.encode()))
    records, counts = read_red_team(file)
    assert records[0] == first
    assert records[1].tags == ('theft', 'fraud')
    assert counts == {'read': 2, 'kept': 2}


def test_a_malformed_attempt_is_named_or_counted(tmp_path):
  file = tmp_path / 'r.jsonl'
  file.write_text(json.dumps([ATTEMPT, {**ATTEMPT, 'rating': 'high'}, 5]))
  with pytest.raises(DataError, match=r'r\.jsonl:2: wanted rating'):
    read_red_team(file)
  _, counts = read_red_team(file, on_error='skip')
  assert counts == {'read': 3, 'kept': 1, 'wrong type': 1, 'not an object': 1}


def test_the_real_files_read_without_a_malformed_line():
  here = Path(__file__).resolve().parents[2]
  data = Path(os.environ.get('RLHF_JAX_DATA', here.parent / 'shared' / 'data'))
  for kind in ('helpful', 'harmless'):
    path = data / f'hh_{kind}_base_test'
    if not path.is_dir():
      pytest.skip(f'no real data at {path}; set RLHF_JAX_DATA')
    records, counts = read_comparisons(path)
    assert counts['kept'] == counts['read'] == len(records) > 1000
    assert {record.kind for record in records} == {kind}
