"""Public files to pairs that our own reader takes."""

import json

import pytest

from experiments import import_public
from rlhf_jax.data.jsonl import read_comparisons

OPTIONS = {'kind': 'questions', 'posts': '', 'most': 0, 'seed': 0}


def written(tmp_path, **changed):
  """Comparisons that come of a file with one question and three answers."""
  answers = [
    {'score': votes, 'accepted': False, 'text': f'text {votes}'}
    for votes in (0, 1, 1)
  ]
  row = {'title': 't', 'question': 'q', 'site': 's', 'answers': answers}
  file, out = tmp_path / 'in.jsonl', tmp_path / 'deep' / 'out.jsonl.gz'
  file.write_text(json.dumps(row) + '\n')
  options = OPTIONS | {'path': str(file), 'out': str(out), 'binary': False}
  import_public.run(options | changed)
  return read_comparisons(out)[0]


def test_pairs_are_read_back_as_they_were_written(tmp_path):
  found = written(tmp_path)
  assert len(found) == 2 and {item.source for item in found} == {'s'}
  assert all(item.chosen.endswith(' text 1') for item in found)
  assert all(item.rejected.endswith(' text 0') for item in found)


def test_of_each_pair_two_tagged_ones_may_be_written(tmp_path):
  found = written(tmp_path, binary=True)
  assert len(found) == 4
  assert found[0].chosen.endswith(' GOOD: text 1')
  assert found[1].chosen.endswith(' BAD: text 0')


@pytest.mark.parametrize(
  'changed', [{'kind': 'comments'}, {'posts': 'posts.jsonl'}]
)
def test_posts_go_with_comments_and_with_nothing_else(tmp_path, changed):
  with pytest.raises(ValueError, match='wanted with --kind=comments'):
    written(tmp_path, **changed)


def test_a_file_without_a_pair_is_a_clear_error(tmp_path):
  file = tmp_path / 'in.jsonl'
  row = {'subreddit': 'x', 'title': 't', 'selftext': 's', 'score': 1}
  file.write_text(json.dumps(row) + '\n')
  options = OPTIONS | {'kind': 'posts', 'path': str(file), 'binary': False}
  with pytest.raises(ValueError, match='in.jsonl: wanted threads of two texts'):
    import_public.run(options | {'out': str(tmp_path / 'out.jsonl')})
