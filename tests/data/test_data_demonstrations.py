"""Demonstrations of files: every form that the data here have, and faults."""

import json

import numpy as np
import pytest

from rlhf_jax.data.demonstrations import (
  Demonstration,
  read_demonstrations,
  split,
)
from rlhf_jax.data.faults import DataError

ALPACA = (
  'Below is an instruction that describes a task. Write a response that '
  'appropriately completes the request.\n\n### Instruction:\n{}\n\n'
  '### Response:\n'
)
ROWS = [
  {'instruction': 'Add.', 'input': '2 and 3', 'response': '5'},
  {'instruction': 'Sing.', 'input': '', 'output': ' la la\n'},
  {'prompt': ALPACA.format('what is\n\nwater?'), 'response': 'Wet.'},
  {
    'instruction': 'Judge.',
    'instances': [
      {'input': 'good', 'output': 'yes'},
      {'input': 'bad', 'output': 'no'},
    ],
  },
]


def asked(words):
  return f'\n\nHuman: {words}\n\nAssistant:'


def write(path, rows):
  path.write_text('\n'.join(map(json.dumps, rows)) + '\n')
  return path


def test_every_form_gives_what_was_asked_and_the_reply(tmp_path):
  """The template goes, a space stands after each marker, repeats count once."""
  file = write(tmp_path / 'x.jsonl', [*ROWS, ROWS[0]])
  found, counts = read_demonstrations(file)
  assert found == [
    Demonstration(asked('Add.\n\n2 and 3'), ' 5'),
    Demonstration(asked('Sing.'), ' la la'),
    Demonstration(asked('what is\n\nwater?'), ' Wet.'),
    Demonstration(asked('Judge.\n\ngood'), ' yes'),
    Demonstration(asked('Judge.\n\nbad'), ' no'),
  ]
  assert counts == {'read': 5, 'kept': 5, 'repeated': 1}


BAD = [
  ({'instruction': 'Add.'}, 'no reply'),
  ({'instruction': 'Add.', 'output': ' '}, 'no reply'),
  ({'instruction': 'Add.', 'output': 5}, 'no reply'),
  ({'output': '5'}, 'no prompt'),
  ({'instruction': 'a\n\nHuman: b', 'output': '5'}, 'marker inside a turn'),
  ({'instruction': 'a', 'output': 'x\n\nHuman: b'}, 'marker inside a turn'),
]


@pytest.mark.parametrize(('row', 'reason'), BAD)
def test_a_malformed_row_is_named_or_left_out_and_counted(
  tmp_path, row, reason
):
  file = write(tmp_path / 'x.jsonl', [ROWS[0], row])
  with pytest.raises(DataError, match=r'x\.jsonl:2: '):
    read_demonstrations(file)
  found, counts = read_demonstrations(file, 'skip')
  assert len(found) == 1 and counts[reason] == 1
  write(file, [row])
  with pytest.raises(DataError, match='wanted demonstrations, got none'):
    read_demonstrations(file, 'skip')


def test_no_prompt_is_on_two_sides_and_shares_are_about_right():
  items = [
    Demonstration(asked(str(i)), f' {k}') for i in range(400) for k in (0, 1)
  ]
  train, held = split(items, 0.25, 3)
  prompts = [{item.prompt for item in side} for side in (train, held)]
  assert not prompts[0] & prompts[1]
  assert len(train) == 2 * len(prompts[0])
  assert len(prompts[1]) / 400 == pytest.approx(
    0.25, abs=4 * np.sqrt(0.25 * 0.75 / 400)
  )
  assert split(items, 0.25, 4)[0] != train
