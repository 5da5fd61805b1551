"""Real ranked sets: where their files stand, and which texts are taken."""

import numpy as np
import pytest
import ranked_fixture
import shared_fixture as shared

from experiments.shared import ranked_sets
from rlhf_jax.data.faults import DataError


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  return ranked_fixture.write_sets(tmp_path_factory.mktemp('sets'))


def config(folder, **changes):
  return {
    'data': {'path': str(folder), 'split_seed': 0},
    'reading': {'max_prompt': 60, 'max_reply': 20},
    'sets': [*ranked_sets.FILES],
    'most_prompts': 10,
    'most_replies': 2,
    **changes,
  }


@pytest.mark.parametrize('name', ranked_sets.FILES)
def test_so_many_prompts_and_replies_are_taken_and_the_same_again(folder, name):
  words = shared.words()
  own = config(folder)
  first, again = (ranked_sets.read_set(own, name, words) for _ in range(2))
  arrays, counts = first
  assert arrays.rank_NC.shape == (10, 2)
  assert counts['there'] == 24 and counts['kept'] == 10
  assert (np.sort(arrays.rank_NC, 1) == [0, 1]).all()
  for a, b in zip(arrays, again[0], strict=True):
    np.testing.assert_array_equal(a, b)
  other = config(folder, data=own['data'] | {'split_seed': 1})
  other = ranked_sets.read_set(other, name, words)[0]
  assert (other.tokens_NCT != arrays.tokens_NCT).any()
  whole = config(folder, most_prompts=0, most_replies=9)
  whole = ranked_sets.read_set(whole, name, words)[0]
  replies = 4 if name == 'posts' else 3
  assert whole.rank_NC.shape == (24, replies)
  groups = 5 if name == 'posts' else 24  # the prompts are subreddits
  assert len(set(whole.prompt_index_N)) == groups


def test_a_set_that_is_not_there_is_named_with_what_to_do(folder, tmp_path):
  ranked_sets.require(config(folder))
  message = (
    "questions.jsonl.gz is no file: wanted the set 'stackexchange' there .*"
    "set --config.data.path to the folder, or leave 'stackexchange' out"
  )
  with pytest.raises(DataError, match=message):
    ranked_sets.require(config(tmp_path))
  ranked_sets.require(config(tmp_path, sets=[]))


def test_a_set_without_any_order_is_an_error(tmp_path):
  answers = [{'text': x, 'score': 3, 'accepted': False} for x in 'ab']
  rows = [{'title': 't', 'question': 'q', 'answers': answers}]
  file = tmp_path / ranked_sets.FILES['stackexchange']
  ranked_fixture.write(file, rows)
  with pytest.raises(ValueError, match='two replies of different ranks'):
    ranked_sets.read_set(config(tmp_path), 'stackexchange', shared.words())


def test_every_set_says_who_has_ordered_it():
  assert set(ranked_sets.LABELS) == set(ranked_sets.FILES)
  assert {*ranked_sets.THREADS, *ranked_sets.RANKED} == set(ranked_sets.FILES)
