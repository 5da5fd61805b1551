"""The forms of a row that holds two dialogues, and rows of every format."""

import datetime
import gzip
import json
import tracemalloc

import pyarrow
import pytest
from pyarrow import parquet

from rlhf_jax.data import file_rows, json_array
from rlhf_jax.data.jsonl import (
  DataError,
  iter_comparisons,
  read_comparisons,
  read_red_team,
)

PROMPT = '\n\nHuman: Hi\n\nAssistant:'
WANTED = (f'{PROMPT} Hello.', f'{PROMPT} No.')
user = lambda text: {'role': 'user', 'content': text}
reply = lambda text: {'role': 'assistant', 'content': text}
system = lambda text: {'role': 'system', 'content': text}
SPLIT = {'chosen': [reply('Hello.')], 'rejected': [reply('No.')]}
WHOLE = {
  'chosen': [user('Hi'), reply('Hello.')],
  'rejected': [user('Hi'), reply('No.')],
}
TEXTS = {'chosen': 'Hello.', 'rejected': 'No.'}


def sides(tmp_path, **row):
  """The two transcripts of one row."""
  file = tmp_path / 'row.jsonl'
  file.write_text(json.dumps(row) + '\n')
  (record,), _ = read_comparisons(file)
  return record.chosen, record.rejected


def fault(tmp_path, **row):
  with pytest.raises(DataError) as caught:
    sides(tmp_path, **row)
  return str(caught.value)


@pytest.mark.parametrize(
  'row',
  [
    {'prompt': [user('Hi')], **SPLIT},  # TRL, conversational
    {'prompt': 'Hi', **TEXTS},  # TRL, standard
    {'prompt': 'Hi', **SPLIT},
    {'prompt': [user('Hi')], **TEXTS},
    {'prompt': 'Hi', **WHOLE},  # UltraFeedback
    {'prompt': [user('Hi')], **WHOLE},
    {'prompt': PROMPT, 'chosen': ' Hello.', 'rejected': ' No.'},
    {'prompt': '\n\nHuman: Hi', **TEXTS},
    {'prompt': PROMPT + ' ', **SPLIT},
    {'prompt': PROMPT, 'chosen': WANTED[0], 'rejected': WANTED[1]},
    {'prompt': None, 'system': None, **WHOLE},
  ],
)
def test_every_form_of_a_row_is_the_same_two_dialogues(tmp_path, row):
  assert sides(tmp_path, **row) == WANTED
  file = tmp_path / 'row.parquet'
  parquet.write_table(pyarrow.Table.from_pylist([row]), file)
  (record,), _ = read_comparisons(file)
  assert (record.chosen, record.rejected) == WANTED


@pytest.mark.parametrize(
  'row',
  [
    {'system': 'Be kind.', **WHOLE},
    {'system': 'Be kind.', 'prompt': 'Hi', **TEXTS},
    {'system': 'Be kind.', 'chosen': WANTED[0], 'rejected': WANTED[1]},
    {'prompt': [system('Be kind.'), user('Hi')], **SPLIT},
    {key: [system('Be kind.'), *said] for key, said in WHOLE.items()},
    {'system': 'Be kind.'}
    | {key: [system('Be kind.'), *said] for key, said in WHOLE.items()},
  ],
)
def test_a_system_prompt_opens_the_first_human_turn(tmp_path, row):
  """Transcripts know no third role: its words go before what was asked."""
  kind = '\n\nHuman: Be kind.\n\nHi\n\nAssistant:'
  assert sides(tmp_path, **row) == (f'{kind} Hello.', f'{kind} No.')


def test_a_long_prompt_keeps_its_turns(tmp_path):
  asked = [user('Hi'), reply('Hello?'), user('Again')]
  text = '\n\nHuman: Hi\n\nAssistant: Hello?\n\nHuman: Again\n\nAssistant:'
  wanted = f'{text} Hello.', f'{text} No.'
  assert sides(tmp_path, prompt=asked, **SPLIT) == wanted
  assert sides(tmp_path, prompt=text, **TEXTS) == wanted


@pytest.mark.parametrize(
  ('row', 'words'),
  [
    ({'prompt': [user('Hi'), reply('x')], **SPLIT}, 'ends with a user turn'),
    ({'prompt': 'Bye', **WHOLE}, "a dialogue without 'Bye'"),
    ({'prompt': 5, **SPLIT}, 'prompt as str or list'),
    ({'prompt': 'a\n\nAssistant: b', **TEXTS}, 'marker inside a turn'),
    ({'system': 'x\n\nHuman: y', **WHOLE}, 'marker inside a turn'),
    ({'system': ['x'], **WHOLE}, 'system as str'),
    (
      {'system': 'a', 'prompt': [system('b'), user('Hi')], **SPLIT},
      "got 'a' and 'b'; keep one",
    ),
    (
      {'prompt': [user('Hi'), system('x'), user('Ho')], **SPLIT},
      'the system message before all others, got one in place 2',
    ),
    ({'prompt': [{'role': 'tool', 'content': 'x'}], **SPLIT}, 'user turn'),
    (SPLIT, 'does not start with Human'),
  ],
)
def test_what_is_no_dialogue_is_named(tmp_path, row, words):
  message = fault(tmp_path, **row)
  assert 'row.jsonl:1: wanted ' in message and words in message


def write_table(file, columns, schema=None):
  parquet.write_table(pyarrow.table(columns, schema=schema), file)


def test_one_row_of_bad_utf8_in_parquet_costs_no_other_row(tmp_path):
  """Row 301 of 600, in the second batch: 599 are kept, and it is named."""
  chosen = [f'{PROMPT} Hello {i}.'.encode() for i in range(600)]
  chosen[300] = chosen[300].replace(b'Hello', b'H\xe9llo')
  texts = pyarrow.array(chosen, pyarrow.binary()).view(pyarrow.string())
  file = tmp_path / 'a.parquet'
  write_table(file, {'chosen': texts, 'rejected': [WANTED[1]] * 600})
  records, counts = read_comparisons(file, 'skip')
  assert counts == {'read': 600, 'kept': 599, 'not UTF-8': 1}
  kept = [i for i in range(600) if i != 300]
  assert [x.chosen for x in records] == [f'{PROMPT} Hello {i}.' for i in kept]
  with pytest.raises(DataError, match=r'a\.parquet:301: wanted UTF-8.*0xe9'):
    read_comparisons(file)


FAR = pyarrow.array(
  [10**15] * 2, pyarrow.timestamp('s')
)  # in the year 31,690,000


def test_a_time_that_python_has_not_is_nothing_to_a_column_of_words(tmp_path):
  """In a column of its own and inside of messages, where nobody asks for it."""
  file = tmp_path / 'a.parquet'
  texts = {key: [text] * 2 for key, text in zip(TEXTS, WANTED, strict=True)}
  write_table(file, {**texts, 'created': FAR})
  with pytest.raises((OverflowError, ValueError)):
    parquet.read_table(file).to_pylist()
  assert read_comparisons(file)[1] == {'read': 2, 'kept': 2}
  message = pyarrow.struct(
    {
      'role': pyarrow.string(),
      'at': pyarrow.timestamp('s'),
      'content': pyarrow.string(),
    }
  )
  talk = lambda key: [
    x | {'at': datetime.datetime(2026, 1, 1)} for x in WHOLE[key]
  ]
  columns = {key: [talk(key)] * 2 for key in WHOLE}
  schema = pyarrow.schema({key: pyarrow.list_(message) for key in WHOLE})
  write_table(file, columns, schema)
  leaves = file_rows._leaves(parquet.ParquetFile(file).schema, set(WHOLE))
  assert [leaf.split('.')[-1] for leaf in leaves] == ['role', 'content'] * 2
  (record, _), _ = read_comparisons(file)
  assert (record.chosen, record.rejected) == WANTED


def test_a_missing_column_is_named_beside_those_that_are_there(tmp_path):
  file = tmp_path / 'a.parquet'
  write_table(file, {'chosen': [WANTED[0]], 'worse': [WANTED[1]]})
  with pytest.raises(DataError, match=r"'rejected', got \['chosen', 'worse'\]"):
    read_comparisons(file)


def test_a_parquet_file_with_a_column_twice_is_refused(tmp_path):
  """A dict of its row keeps the last: the rejected reply as the chosen one."""
  file = tmp_path / 'a.parquet'
  columns = [pyarrow.array([text] * 3) for text in (*WANTED, WANTED[1])]
  names = ['chosen', 'rejected', 'chosen']
  parquet.write_table(pyarrow.Table.from_arrays(columns, names), file)
  for on_error in ('raise', 'skip'):
    with pytest.raises(DataError, match=r"a\.parquet:1: .*got 'chosen' twice"):
      read_comparisons(file, on_error)


def test_a_record_with_a_key_twice_is_malformed(tmp_path):
  good = json.dumps({'prompt': 'Hi', **TEXTS})
  bad = good.replace('{', '{"chosen": "Worse.", ')
  inner = '{"x": [{"y": 1, "y": 2}], ' + good[1:]
  file = tmp_path / 'a.jsonl'
  file.write_text('\n'.join([good, bad, inner, good]) + '\n')
  assert read_comparisons(file, 'skip')[1] == (
    {'read': 4, 'kept': 2, 'bad JSON': 2}
  )
  with pytest.raises(DataError, match=r"a\.jsonl:2: .*the key 'chosen' twice"):
    read_comparisons(file)
  file.write_text(f'[{good}, {bad}]')
  with pytest.raises(DataError, match="the key 'chosen' twice"):
    read_comparisons(file, 'skip')


ATTEMPT = {
  'transcript': PROMPT + ' y',
  'rating': 3,
  'model_type': 'rlhf',
  'num_params': '52B',
  'task_description': 'try x',
}


@pytest.mark.parametrize('rating', ['9' * 400, 'NaN', 'Infinity', '-1e999'])
def test_a_rating_that_is_no_number_is_malformed(tmp_path, rating):
  """400 digits are a number to JSON, and none to a float."""
  good = json.dumps(ATTEMPT)
  bad = good.replace('"rating": 3', f'"rating": {rating}')
  assert bad != good
  file = tmp_path / 'a.jsonl'
  file.write_text(f'{good}\n{bad}\n{good}\n')
  with pytest.raises(DataError, match=r'a\.jsonl:2: wanted a finite rating'):
    read_red_team(file)
  records, counts = read_red_team(file, 'skip')
  assert counts == {'read': 3, 'kept': 2, 'bad rating': 1}
  assert [x.rating for x in records] == [3.0, 3.0]


def test_a_probability_of_400_digits_is_malformed(tmp_path):
  row = json.dumps({'chosen': WANTED[0], 'rejected': WANTED[1], 'p_label': 7})
  file = tmp_path / 'a.jsonl'
  file.write_text(row.replace('7', '9' * 400) + '\n')
  with pytest.raises(DataError, match='wanted p_label from 0 to 1') as caught:
    read_comparisons(file)
  assert len(str(caught.value)) < 300 + len(str(file))


def test_a_byte_order_mark_is_no_part_of_the_first_row(tmp_path):
  row = json.dumps({'prompt': 'Hi', **TEXTS}).encode()
  for text in (row + b'\n' + row, b'[' + row + b',\n' + row + b']'):
    file = tmp_path / 'a.jsonl'
    file.write_bytes(b'\xef\xbb\xbf' + text)
    assert read_comparisons(file)[1] == {'read': 2, 'kept': 2}


@pytest.mark.parametrize('chunk', [7, 64, 1 << 16])
@pytest.mark.parametrize('indent', [None, 1])
def test_an_array_is_read_element_by_element(
  tmp_path, monkeypatch, chunk, indent
):
  """Wherever its chunks end: in a word, an escape, a number, a blank."""
  monkeypatch.setattr(json_array, '_CHUNK', chunk)
  values = [{'n': 10**i, 'text': 'a\u2028"\\' * i} for i in range(9)]
  values.insert(4, {'deep': [[1, {'x': [None, True]}]]})
  text = json.dumps(values, indent=indent)
  for name, data in (('a', text.encode()), ('b', gzip.compress(text.encode()))):
    file = tmp_path / name
    file.write_bytes(data)
    found = list(file_rows.rows_of(file))
    assert found == list(enumerate(values, 1))


@pytest.mark.parametrize(
  ('text', 'words'),
  [
    ('[{}, {', 'one JSON value'),
    ('[{}, {}', 'the array has no end'),
    ('[{} {}]', 'wanted , or ]'),
    ('[{}, nul]', 'Expecting value'),
    ('[{}] x', 'more text after the array'),
  ],
)
def test_a_broken_array_is_a_broken_file(tmp_path, text, words):
  file = tmp_path / 'a.json'
  file.write_text(text)
  *_, (_, bad) = file_rows.rows_of(file)
  assert isinstance(bad, file_rows.BrokenFile) and words in str(bad)


def peak_of_reading(file):
  """Most bytes that Python held while the pairs of a file passed."""
  tracemalloc.start()
  for _ in iter_comparisons(file):
    pass
  peak = tracemalloc.get_traced_memory()[1]
  tracemalloc.stop()
  return peak


@pytest.mark.slow  # every allocation is traced
@pytest.mark.parametrize('form', ['lines', 'gzip', 'array'])
def test_memory_is_flat_in_the_size_of_the_file(tmp_path, form):
  """Ten times the rows: no more than a tenth more of memory."""
  file, peaks = tmp_path / 'a.jsonl', []
  for rows in (300, 3000):
    row = json.dumps({'prompt': 'Hi ' * 200, **TEXTS})
    text = '\n'.join([row] * rows) + '\n'
    if form == 'array':
      text = '[' + text.strip().replace('\n', ',') + ']'
    data = text.encode()
    file.write_bytes(gzip.compress(data) if form == 'gzip' else data)
    peaks.append(peak_of_reading(file))
  assert peaks[1] < 1.1 * peaks[0] + 20_000
  assert peaks[1] < 0.6 * len(data)  # 2 MB of text
