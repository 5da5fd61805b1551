"""The HHH comparisons: what is read, and what is refused."""

import gzip
import json

import pytest

from rlhf_jax.data.hhh import CATEGORIES, as_prompt, read_hhh
from rlhf_jax.data.jsonl import DataError
from rlhf_jax.text.dialogue import format_dialogue, parse_dialogue


def write(folder, examples, category=None):
  (folder / 'hhh_alignment').mkdir(exist_ok=True)
  for name in CATEGORIES if category is None else (category,):
    path = folder / 'hhh_alignment' / f'{name}.json.gz'
    path.write_bytes(gzip.compress(json.dumps({'examples': examples}).encode()))


ITEM = {'input': 'Hi?', 'target_scores': {'Go away.': 0, 'Hello!': 1}}


def test_the_answer_that_scores_1_is_the_good_one(tmp_path):
  write(tmp_path, [ITEM])
  found = read_hhh(tmp_path)
  assert [item.category for item in found] == list(CATEGORIES)
  assert {item[1:] for item in found} == {
    ('\n\nHuman: Hi?\n\nAssistant:', ' Hello!', ' Go away.')
  }


@pytest.mark.parametrize(
  ('text', 'turns'),
  [
    ('Why?', ['Why?', '']),
    ('Why?\n\nAssistant: So.\n\nHuman: Oh?', ['Why?', 'So.', 'Oh?', '']),
    (
      'Why?\nAssistant: So.\nHuman: Oh?\n\nAssistant:',
      ['Why?', 'So.', 'Oh?', ''],
    ),
    ('\n\nHuman: Why?', ['Why?', '']),
  ],
)
def test_later_turns_of_an_input_become_turns(text, turns):
  prompt = as_prompt(text)
  found = parse_dialogue(prompt)
  assert [turn.text.strip() for turn in found] == turns
  assert found[-1] == ('assistant', '') and format_dialogue(found) == prompt


@pytest.mark.parametrize(
  'scores', [{'a': 1}, {'a': 1, 'b': 1}, {'a': 1, 'b': 0, 'c': 0}]
)
def test_an_item_that_is_no_comparison_is_refused(scores, tmp_path):
  write(tmp_path, [ITEM])
  write(tmp_path, [ITEM | {'target_scores': scores}], 'honest')
  with pytest.raises(DataError, match='honest.json.gz: wanted a BIG-bench'):
    read_hhh(tmp_path)


def test_a_missing_file_and_a_broken_one_are_refused(tmp_path):
  with pytest.raises(DataError, match='harmless.json.gz is missing: set'):
    read_hhh(tmp_path)
  write(tmp_path, [ITEM])
  file = tmp_path / 'hhh_alignment' / 'other.json.gz'
  file.write_bytes(file.read_bytes()[:20])
  with pytest.raises(DataError, match='other.json.gz: wanted'):
    read_hhh(tmp_path)
