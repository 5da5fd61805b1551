"""Readers of judged pairs and of labelled prompts and replies."""

import collections
import json

import pytest

from rlhf_jax.data import harm, judged
from rlhf_jax.data.faults import DataError
from rlhf_jax.data.jsonl import write_rows
from tests.pretrained_files import data_folder

PANDALM = {'instruction': 'Do', 'input': 'this', 'response1': 'a'}
PANDALM |= {'response2': 'b', 'annotator1': 0, 'annotator2': 1, 'annotator3': 2}
WEBGPT = {
  'text': [f'## Human:\nWhy?\n\n## Assistant:\n{x}' for x in ('one', 'two')],
  'score': [0.5, 1.5],
}
LLMBAR = {'subset': 'Processed/MT-Bench', 'input': 'Why?', 'label': 2}
LLMBAR |= {'output_1': 'a', 'output_2': 'b'}
KWISE = {
  'instruction': 'Why?',
  'responses': [
    {'model': name, 'text': f'by {name}', 'pref': p}
    for name, p in (('x', 0.9), ('y', 0.5), ('z', 0.5))
  ],
}
JAILBREAK = {'goal': 'g', 'prompt': 'p', 'target_response': 'r'}
JAILBREAK |= {'human1': 1, 'human2': 1, 'human3': 0, 'human_majority': 1}
JAILBREAK |= {f'{name}_cf': 0 for name in harm.JUDGES}
REFUSAL = {'source': 's', 'prompt': 'p', 'response': 'r', 'refusal': '1'}


def put(folder, name, *rows):
  write_rows(folder / f'{name}.jsonl.gz', rows)
  return folder


def test_votes_of_pandalm_are_first_second_tie(tmp_path):
  put(tmp_path, 'pandalm_testset/pairs', PANDALM, PANDALM | {'input': ''})
  found = judged.read_pandalm(tmp_path)
  assert found[0] == ('Do\n\nthis', 'a', 'b', (judged.TIE, 0, 1))
  assert found[1].prompt == 'Do'


@pytest.mark.parametrize(
  ('score', 'vote'), [([1.5, 0.5], 0), ([0.0, 2.0], 1), ([1.0, 1.0], 2)]
)
def test_votes_of_webgpt_are_by_score(score, vote, tmp_path):
  put(tmp_path, 'webgpt_test/pairs', WEBGPT | {'score': score})
  assert judged.read_webgpt(tmp_path) == [('Why?', 'one', 'two', (vote,))]


def test_a_subset_of_llmbar_is_read_alone(tmp_path):
  other = LLMBAR | {'subset': 'LLMBar/Natural', 'label': 1}
  put(tmp_path, 'llmbar/pairs', LLMBAR, other)
  assert [pair.votes for pair in judged.read_llmbar(tmp_path)] == [(1,), (0,)]
  (found,) = judged.read_llmbar(tmp_path, 'Processed/MT-Bench')
  assert found == ('Why?', 'a', 'b', (1,))


def test_pairs_of_many_replies_have_no_ties_and_are_drawn_alike(tmp_path):
  put(tmp_path, 'alpaca_eval_kwise/kwise', KWISE)
  rated = judged.read_kwise(tmp_path)
  assert rated[0].replies['x'] == ('by x', 0.9)
  found = judged.kwise_pairs(rated, 30)
  assert found == judged.kwise_pairs(rated, 30)
  sides = collections.Counter()
  for pair in found:
    best = (pair.first, pair.second)[pair.votes[0]]
    assert best == 'by x'
    sides[pair.votes[0]] += 1
  assert 10 < len(found) < 30 and min(sides.values()) > 2


def test_refusals_of_all_kinds_of_label_are_read(tmp_path):
  labels = ['0', 1, '1_full_compliance', '2_full_refusal', '3_partial_refusal']
  rows = [REFUSAL | {'refusal': label} for label in labels]
  put(tmp_path, 'refusal_labels/responses', *rows)
  found = [row.label for row in harm.read_refusal_labels(tmp_path)]
  assert found == ['complied', 'refused', 'complied', 'refused', 'in part']


def test_a_judged_reply_has_its_majority_and_judges(tmp_path):
  put(tmp_path, 'jailbreak_judge/rows', JAILBREAK)
  (found,) = harm.read_jailbreaks(tmp_path)
  assert found.people == (1, 1, 0) and found.majority == 1
  assert found.judges == dict.fromkeys(harm.JUDGES, 0)


@pytest.mark.parametrize(
  ('name', 'row', 'read', 'message'),
  [
    (
      'pandalm_testset/pairs',
      PANDALM | {'annotator1': 5},
      judged.read_pandalm,
      ':1: wanted a row as docs/judges.md says',
    ),
    (
      'webgpt_test/pairs',
      WEBGPT | {'text': ['Why?', 'Why?']},
      judged.read_webgpt,
      'no turn of Human',
    ),
    ('llmbar/pairs', {'input': 'x'}, judged.read_llmbar, 'none of the name'),
    (
      'jailbreak_judge/rows',
      JAILBREAK | {'human_majority': 0},
      harm.read_jailbreaks,
      'a majority that is none',
    ),
    (
      'safety_prompts/prompts',
      {'source': 's', 'label': 'odd', 'prompt': 'p'},
      harm.read_safety_prompts,
      "label 'odd'",
    ),
  ],
)
def test_a_row_of_another_form_names_its_line(
  name, row, read, message, tmp_path
):
  put(tmp_path, name, row)
  with pytest.raises(DataError, match=message):
    read(tmp_path)


@pytest.mark.parametrize(
  'read', [judged.read_pandalm, judged.read_kwise, harm.read_refusal_labels]
)
def test_a_missing_file_says_where_it_belongs(read, tmp_path):
  with pytest.raises(
    DataError, match='is missing: wanted the folder that hold'
  ):
    read(tmp_path)


def test_a_broken_line_names_its_line(tmp_path):
  (tmp_path / 'llmbar').mkdir()
  path = tmp_path / 'llmbar' / 'pairs.jsonl.gz'
  path.write_text(json.dumps(LLMBAR) + '\n{"input": \n')
  with pytest.raises(DataError, match='pairs.jsonl.gz:2'):
    judged.read_llmbar(tmp_path)


def test_the_real_files_hold_what_their_readme_says():
  folder = data_folder()
  if not (folder / 'pandalm_testset').is_dir():
    pytest.skip(f'no data at {folder}; set RLHF_JAX_DATA')
  assert len(judged.read_pandalm(folder)) == 665
  ties = [pair.votes == (2,) for pair in judged.read_webgpt(folder)]
  assert (len(ties), sum(ties)) == (628, 176)
  assert len(judged.read_llmbar(folder, 'Processed/MT-Bench')) == 121
  assert len(harm.read_refusal_labels(folder)) == 1694
  assert len(harm.read_safety_prompts(folder)) == 2994
  rows = harm.read_jailbreaks(folder)
  assert (len(rows), sum(row.majority for row in rows)) == (200, 79)
