"""Public files to pairs that our own reader takes."""

import json

import pytest

from experiments import import_public
from rlhf_jax.data.jsonl import read_comparisons
from rlhf_jax.data.rankings import read_rankings

OPTIONS = {'kind': 'questions', 'posts': '', 'most': 0, 'seed': 0}
OPTIONS |= {'rankings': False, 'replies': 9}


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


def judged(tmp_path, **changed):
  """A file of one instruction with five replies, and what comes of it."""
  prefs = (0.1, 0.9, 0.5, 0.5, 0.0)
  answers = [{'text': f'text {i}', 'pref': p} for i, p in enumerate(prefs)]
  file, out = tmp_path / 'kwise.jsonl', tmp_path / 'out.jsonl.gz'
  file.write_text(json.dumps({'instruction': 'q', 'responses': answers}) + '\n')
  options = OPTIONS | {'kind': 'alpaca_eval', 'binary': False} | changed
  import_public.run(options | {'path': str(file), 'out': str(out)})
  return out


def test_rankings_are_written_whole_or_of_some_replies(tmp_path):
  (whole,) = read_rankings(judged(tmp_path, rankings=True))
  assert whole.ranks == (2, 0, 1, 1, 3) and whole.source == 'alpaca_eval'
  assert whole.replies[1] == ' text 1'
  (some,) = read_rankings(judged(tmp_path, rankings=True, replies=3))
  assert len(some.replies) == 3 and min(some.ranks) == 0
  order = [whole.ranks[whole.replies.index(text)] for text in some.replies]
  assert sorted(zip(order, some.ranks, strict=True)) == sorted(
    zip(order, [sorted({*order}).index(x) for x in order], strict=True)
  )


def test_pairs_of_a_ranking_leave_out_ties(tmp_path):
  pairs, _ = read_comparisons(judged(tmp_path))
  assert len(pairs) == 10 - 1
  best = [pair for pair in pairs if pair.chosen.endswith(' text 1')]
  assert len(best) == 4
  few, _ = read_comparisons(judged(tmp_path, most=2))
  assert len(few) == 2


def test_threads_become_rankings_too(tmp_path):
  answers = [
    {'score': votes, 'accepted': False, 'text': f'text {votes}'}
    for votes in (0, 1, 3)
  ]
  row = {'title': 't', 'question': 'q', 'site': 's', 'answers': answers}
  file, out = tmp_path / 'in.jsonl', tmp_path / 'out.jsonl'
  file.write_text(json.dumps(row) + '\n')
  options = OPTIONS | {'path': str(file), 'out': str(out), 'binary': False}
  import_public.run(options | {'rankings': True})
  (found,) = read_rankings(out)
  assert found.ranks == (2, 1, 0)
  assert found.prompt == '\n\nHuman: t\nq\n\nAssistant:'
  with pytest.raises(ValueError, match='--binary tags pairs'):
    import_public.run(options | {'rankings': True, 'binary': True})
