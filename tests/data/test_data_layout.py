"""JSON lines, one array or neither: told by more than the first character."""

import gzip
import io
import json

import pytest

from rlhf_jax.data.faults import BrokenFile
from rlhf_jax.data.json_layout import ARRAY, LINES, layout_of
from rlhf_jax.data.jsonl import DataError, read_comparisons

ASK = '\n\nHuman: Hi\n\nAssistant:'


def record(i):
  return json.dumps({'chosen': f'{ASK} {i}.', 'rejected': f'{ASK} No.'})


GOOD = [record(i) for i in range(3)]
BROKEN_FIRST = {
  'an empty list': '[]',
  'a list': '[1, 2]',
  'a list of records': f'[{GOOD[0]}, {GOOD[1]}]',
  'a bracket for a brace': '[' + GOOD[0][1:],
  'a bracket before it': '[' + GOOD[0],
  'an array that begins': f'[{GOOD[0]},',
  'a lone bracket': '[',
  'brackets without end': '[' * 9999,
  'a lone brace': '{',
  'an object that begins': '{"chosen": 1,',
  'a cut string': GOOD[0][:30],
  'a half': GOOD[0][30:],
  'two records': GOOD[0] + GOOD[1],
  'a word': 'nul',
}


@pytest.mark.parametrize('packed', [False, True])
@pytest.mark.parametrize('before', ['', '\ufeff', '\n \n', '\ufeff\r\n\n'])
@pytest.mark.parametrize('first', BROKEN_FIRST)
def test_a_spoiled_first_line_costs_that_line(tmp_path, first, before, packed):
  """Three records behind it: all are kept, it is counted once, and named."""
  text = before + '\n'.join([BROKEN_FIRST[first], *GOOD]) + '\n'
  file = tmp_path / 'pairs.jsonl'
  data = text.encode()
  file.write_bytes(gzip.compress(data) if packed else data)
  found, counts = read_comparisons(file, 'skip')
  assert [x.chosen for x in found] == [f'{ASK} {i}.' for i in range(3)]
  assert counts['read'] == 4 and counts['kept'] == 3
  line = before.count('\n') + 1
  with pytest.raises(DataError, match=rf'pairs\.jsonl:{line}: wanted '):
    read_comparisons(file)


def test_two_spoiled_lines_at_the_beginning_cost_two(tmp_path):
  file = tmp_path / 'pairs.jsonl'
  file.write_text('\n'.join(['[', '{"chosen":', *GOOD]) + '\n')
  found, counts = read_comparisons(file, 'skip')
  assert len(found) == 3
  assert counts == {'read': 5, 'kept': 3, 'bad JSON': 2}


@pytest.mark.parametrize(
  'text',
  [
    f'[{", ".join(GOOD)}]',
    f'[{", ".join(GOOD)}]\n\n',
    '[' + ',\n'.join(GOOD) + ']',
    '[\n' + ',\n'.join(GOOD) + '\n]\n',
    '[\n' + '\n,'.join(GOOD) + '\n]\n',
    '[\n' + '\n,\n'.join(GOOD) + '\n]\n',
    '\n\n[\n\n' + ',\n\n'.join(GOOD) + '\n]\n',
    json.dumps([json.loads(x) for x in GOOD], indent=2),
    json.dumps([json.loads(x) for x in GOOD], indent=0),
    '\ufeff' + json.dumps([json.loads(x) for x in GOOD], indent='\t'),
    ' ' * 70_000 + '\n' * 70_000 + f'[{", ".join(GOOD)}]',
    f'[{", ".join(GOOD)}' + ' ' * 200_000 + ']',
  ],
)
def test_an_array_is_one_however_it_is_set(tmp_path, text):
  file = tmp_path / 'pairs.json'
  for data in (text.encode(), gzip.compress(text.encode())):
    file.write_bytes(data)
    found, counts = read_comparisons(file)
    assert [x.chosen for x in found] == [f'{ASK} {i}.' for i in range(3)]
    assert counts == {'read': 3, 'kept': 3}


def test_an_array_of_one_is_one(tmp_path):
  file = tmp_path / 'pairs.json'
  for text in (f'[{GOOD[0]}]', f'[\n{GOOD[0]}\n]', f'[\n{GOOD[0]}]'):
    file.write_text(text)
    assert read_comparisons(file)[1] == {'read': 1, 'kept': 1}


@pytest.mark.parametrize('packed', [False, True])
@pytest.mark.parametrize(
  'text',
  [
    '[\n' + ',\n'.join(GOOD) + '\n',
    '[' + ',\n'.join([GOOD[0][:-1], *GOOD[1:]]) + ']',
    '[' + ', '.join([GOOD[0][:30], *GOOD[1:]]) + ']',
    '[\n' + ',\n'.join([GOOD[0].replace('"', "'"), *GOOD[1:]]) + '\n]',
  ],
)
def test_a_damaged_array_is_an_error_by_name(tmp_path, text, packed):
  """Nobody knows how many records the damage costs."""
  file = tmp_path / 'pairs.json'
  file.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
  for on_error in ('raise', 'skip'):
    with pytest.raises(DataError, match=r'pairs\.json:[1-4]: wanted '):
      read_comparisons(file, on_error)


@pytest.mark.parametrize(
  ('text', 'reason'),
  [
    (json.dumps(json.loads(GOOD[0]), indent=1), 'object over several lines'),
    (
      json.dumps({'data': [json.loads(x) for x in GOOD]}, indent=1),
      'object over several lines',
    ),
    (''.join(GOOD), 'no line ends'),
    (' '.join(GOOD) + '\n', 'no line ends'),
    ('\r'.join(GOOD) + '\r', 'no line ends'),  # of a Macintosh of before 2001
    ('\r'.join(GOOD * 2000), 'no line ends'),
  ],
)
def test_records_that_have_no_line_of_their_own_are_no_one_bad_line(
  tmp_path, text, reason
):
  """Under 'skip' each would count once, and the file give nothing."""
  file = tmp_path / 'pairs.jsonl'
  file.write_text(text, newline='')
  with pytest.raises(DataError, match=r'pairs\.jsonl:1: .* one JSON object'):
    read_comparisons(file, 'skip')
  assert read_comparisons(file, 'skip-broken-files')[1][reason] == 1


def test_one_record_with_something_behind_it_is_one_bad_line(tmp_path):
  file = tmp_path / 'pairs.jsonl'
  for tail in (' x', '}', ',', ' {"a": nul'):
    file.write_text(GOOD[0] + tail + '\n')
    assert read_comparisons(file, 'skip')[1]['bad JSON'] == 1


def test_a_record_of_a_megabyte_is_a_line(tmp_path):
  """Longer than what is looked at, first or second."""
  long = json.dumps({'chosen': f'{ASK} {"x" * 2**20}', 'rejected': ASK + ' n'})
  file = tmp_path / 'pairs.jsonl'
  for lines in ([long, *GOOD], [GOOD[0], long], [long]):
    file.write_text('\n'.join(lines) + '\n')
    assert read_comparisons(file)[1]['kept'] == len(lines)
  for first in ('[]', '{', '{"chosen": 1,'):
    file.write_text('\n'.join([first, *GOOD, long]) + '\n')
    assert read_comparisons(file, 'skip')[1] == (
      {'read': 5, 'kept': 4}
      | {('not an object' if first == '[]' else 'bad JSON'): 1}
    )


def test_a_gzip_that_breaks_off_early_gives_the_rows_before(tmp_path):
  """The look ahead ends where the gzip does, and takes nothing away."""
  data = gzip.compress('\n'.join([*GOOD, 'x' * 99]).encode(), 0)
  cut = data[: data.index(GOOD[2].encode()) + 9]
  file = tmp_path / 'pairs.jsonl.gz'
  file.write_bytes(cut)
  found, counts = read_comparisons(file, 'skip-broken-files')
  assert len(found) == 2
  assert counts == {'read': 3, 'kept': 2, 'broken gzip': 1}


@pytest.mark.parametrize(
  ('text', 'layout'),
  [
    (b'', LINES),
    (b'\n\n', LINES),
    (b'x', LINES),
    (b'[', ARRAY),
    (b'[]\n', ARRAY),
    (b'[]\n{}', LINES),
    (b'[\n{}\n', ARRAY),  # an array that was cut, or a line that was
    (b'[tru\n{}\n', LINES),
    (b'["a": 1}\n{}\n', LINES),
    (b'[{},\n{}\n{}\n', LINES),
    (b'[\xff\n{}\n', LINES),
    (b'{\n{}\n', LINES),
    (b'{\n"a": 1\n}\n', BrokenFile),
    (b'{"a": [\n{}\n]}\n', BrokenFile),
  ],
)
def test_a_layout_is_told_and_the_stream_is_left_at_its_beginning(text, layout):
  stream = io.BytesIO(text)
  found = layout_of(stream)
  assert found == layout or type(found) is layout
  assert stream.tell() == 0
