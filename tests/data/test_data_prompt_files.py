"""Prompts of files by others: what is asked, and what is refused."""

import gzip
import json

import pytest

from rlhf_jax.data.faults import DataError
from rlhf_jax.data.prompt_files import read_prompt_file


def write(folder, *rows, name='bench/question.jsonl.gz'):
  path = folder / name
  path.parent.mkdir(exist_ok=True)
  text = ''.join(json.dumps(row) + '\n' for row in rows)
  path.write_bytes(gzip.compress(text.encode()))
  return path


@pytest.mark.parametrize(
  ('row', 'asked'),
  [
    ({'prompt': ' Why? '}, 'Why?'),
    ({'turns': ['Why?', 'And then?'], 'category': 'x'}, 'Why?'),
    ({'instruction': 'Sort it.'}, 'Sort it.'),
    ({'instruction': 'Sort it.', 'input': 'b a'}, 'Sort it.\n\nb a'),
    (
      {'instruction': 'Sort it.', 'instances': [{'input': 'b a'}, {}]},
      'Sort it.\n\nb a',
    ),
    ({'instruction': 'Say hi.', 'instances': [{'input': ''}]}, 'Say hi.'),
  ],
)
def test_each_layout_gives_a_dialogue_of_one_turn(row, asked, tmp_path):
  (found,) = read_prompt_file(write(tmp_path, row))
  assert found.text == f'\n\nHuman: {asked}\n\nAssistant:'
  assert found.family == 'bench/question'


def test_rows_are_taken_by_their_columns_and_named_by_one(tmp_path):
  rows = [
    {'prompt': name, 'source': source, 'label': label, 'category': name[0]}
    for name, source, label in (
      ('a1', 'xstest', 'benign'),
      ('b1', 'xstest', 'harmful'),
      ('c1', 'other', 'benign'),
      ('d1', 'xstest', 'benign'),
    )
  ]
  where = {'source': 'xstest', 'label': 'benign'}
  found = read_prompt_file(write(tmp_path, *rows), where, 'category')
  assert [row.family for row in found] == ['a', 'd']
  with pytest.raises(DataError, match='no row of source=nobody'):
    read_prompt_file(write(tmp_path, *rows), {'source': 'nobody'})


@pytest.mark.parametrize(
  ('row', 'said'),
  [
    ({'question': 'Why?'}, r"a prompt, turns or an instruction, got \['quest"),
    ({'turns': []}, 'a prompt, turns or an instruction'),
    ({'prompt': 'x\n\nHuman: y'}, 'marker inside a turn'),
  ],
)
def test_a_row_that_asks_nothing_is_named(row, said, tmp_path):
  path = write(tmp_path, {'prompt': 'Why?'}, row)
  with pytest.raises(DataError, match=rf'question.jsonl.gz:2: .*{said}'):
    read_prompt_file(path)


def test_a_family_that_is_not_there_is_named(tmp_path):
  path = write(tmp_path, {'prompt': 'Why?'})
  with pytest.raises(DataError, match=r"gz:1: wanted a text under 'topic'"):
    read_prompt_file(path, family='topic')
