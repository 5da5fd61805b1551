"""Public rankings as comparisons, from small files in the dumps' formats."""

import bz2
import gzip
import html
import json

import numpy as np
import pytest

from rlhf_jax.data.faults import DataError
from rlhf_jax.data.public import (
  ranked,
  reddit,
  replies,
  stackexchange,
  wikipedia,
  xml_rows,
)
from rlhf_jax.text.dialogue import parse_dialogue, split_reply


@pytest.mark.parametrize(
  ('votes', 'accepted', 'score'),
  [
    (0, False, 0),
    (1, False, 1),
    (2, False, 2),  # log2 3 = 1.58
    (4, False, 2),  # log2 5 = 2.32
    (5, False, 3),  # log2 6 = 2.58
    (1023, False, 10),
    (0, True, 1),
    (5, True, 4),
    (-1, False, -1),
    (-7, True, -1),
  ],
)
def test_scores_of_answers_by_hand(votes, accepted, score):
  assert stackexchange.score_of(votes, accepted) == score


ANSWERS = ((3, 2, '<p>Use a <b>net</b>.</p><p>Or wait.</p>'), (4, 9, 'Wait.'))


def posts_xml(more=''):
  """A Posts.xml with one question, two answers, an answer of nobody."""
  rows = [
    '<row Id="1" PostTypeId="1" AcceptedAnswerId="3" Score="5" '
    f'Title="Fish &amp; chips" Body="{html.escape("<p>How?</p>")}" />'
  ]
  for number, votes, body in ANSWERS:
    rows.append(
      f'<row Id="{number}" PostTypeId="2" ParentId="1" Score="{votes}" '
      f'Body="{html.escape(body)}" />'
    )
  rows.append('<row Id="5" PostTypeId="2" ParentId="99" Score="1" Body="x" />')
  rows.append('<row Id="6" PostTypeId="4" Body="a wiki of a tag" />')
  head = '<?xml version="1.0" encoding="utf-8"?>\n<posts>\n'
  return head + '\n'.join([*rows, more]) + '\n</posts>\n'


PACKED = {
  'plain': lambda data: data,
  'gzip': gzip.compress,
  'bzip2': bz2.compress,
}


@pytest.mark.parametrize('packing', PACKED)
def test_a_dump_of_stack_exchange_becomes_threads(tmp_path, packing):
  file = tmp_path / 'Posts.xml'
  file.write_bytes(PACKED[packing](posts_xml().encode()))
  (thread,) = stackexchange.read_dump(file, 'cooking')
  assert thread.prompt == 'Fish & chips\nHow?'
  # Two votes and accepted: 2 + 1; nine votes: log2 10 = 3.3.
  assert thread.texts == [('Use a net.\nOr wait.', 3), ('Wait.', 3)]
  assert thread.source == 'cooking'


@pytest.mark.parametrize(
  ('more', 'message'),
  [
    ('<row Id="7" PostTypeId="2" ParentId="1" Score="a" Body="x"/>', 'Id=7'),
    ('<row Id="8" PostTypeId="2" Score="1" Body="x"/>', 'no good .ParentId.'),
    ('<row Id="8" Post', 'wanted XML'),
  ],
)
def test_a_broken_dump_is_named(tmp_path, more, message):
  file = tmp_path / 'Posts.xml'
  file.write_text(posts_xml(more))
  with pytest.raises(DataError, match=message):
    list(stackexchange.read_dump(file))


def test_a_dump_with_entities_of_its_own_is_refused(tmp_path):
  file = tmp_path / 'Posts.xml'
  file.write_text('<!DOCTYPE x [<!ENTITY a "b">]>\n<posts/>')
  with pytest.raises(DataError, match='without a DOCTYPE'):
    list(xml_rows.elements(file, 'row'))


def write_lines(file, rows):
  file.write_text(''.join(json.dumps(row) + '\n' for row in rows))
  return file


def test_questions_with_their_answers_in_them(tmp_path):
  answers = [
    {'score': 7, 'accepted': False, 'text': 'one'},
    {'score': -2, 'accepted': False, 'text': 'two'},
  ]
  row = {'site': 's', 'title': 't', 'question': 'q', 'answers': answers}
  file = write_lines(tmp_path / 'q.jsonl', [row])
  (thread,) = stackexchange.read_questions(file)
  assert thread == ('t\nq', [('one', 3), ('two', -1)], 's')
  write_lines(file, [row, {'title': 't'}])
  with pytest.raises(DataError, match='q.jsonl:2: wanted title, question'):
    list(stackexchange.read_questions(file))


POSTS = [
  {'id': 'a', 'subreddit': 'x', 'title': 'T', 'selftext': 'S', 'score': 3},
  {'id': 'b', 'subreddit': 'x', 'title': 'U', 'selftext': '', 'score': 1},
  {'id': 'c', 'subreddit': 'y', 'title': 'V', 'selftext': 'W', 'score': 1},
]


def comment(parent, body, score):
  return {'id': 'c', 'parent_id': parent, 'body': body, 'score': score}


def test_comments_of_one_post_become_a_thread(tmp_path):
  """Answers to comments, to unknown posts and deleted ones are left out."""
  comments = [
    comment('t3_a', 'one', 5),
    comment('t3_zz', 'elsewhere', 5),
    comment('t1_c', 'an answer to a comment', 8),
    comment('t3_a', '[deleted]', 9),
    comment('t3_a', 'two', -1),
    comment('t3_b', 'alone', 2),
  ]
  threads = reddit.read_comments(
    write_lines(tmp_path / 'RC.jsonl', comments),
    write_lines(tmp_path / 'RS.jsonl', POSTS),
  )
  assert list(threads) == [('T\nS', [('one', 5), ('two', -1)], 'reddit')]


def test_posts_are_grouped_by_subreddit(tmp_path):
  file = write_lines(tmp_path / 'posts.jsonl', POSTS)
  (thread,) = reddit.read_posts(file)
  assert thread.prompt == 'Write a post for r/x.'
  assert thread.texts == [('T\nS', 3), ('U', 1)]
  write_lines(file, [{'id': 'a'}])
  with pytest.raises(DataError, match='posts.jsonl:1: wanted subreddit, title'):
    list(reddit.read_posts(file))


def history(*texts):
  """A dump of one page whose revisions have these texts."""
  revisions = ''.join(
    f'<revision><id>{i}</id><text>{html.escape(text)}</text></revision>'
    for i, text in enumerate(texts)
  )
  name = 'http://www.mediawiki.org/xml/export-0.11/'
  return (
    f'<mediawiki xmlns="{name}"><siteinfo/><page><title>Newts</title>'
    f'{revisions}</page></mediawiki>'
  )


LINES = 'Newts are small.\nThey swim.\nThey eat worms.\nThey sleep.'


def test_a_reverted_edit_is_a_pair_of_what_differs(tmp_path):
  bad = LINES.replace('They swim.', 'NEWTS SMELL')
  file = tmp_path / 'history.xml.bz2'
  data = history('start', LINES, bad, LINES, LINES + '\nThe end.')
  file.write_bytes(bz2.compress(data.encode()))
  (thread,) = wikipedia.read_history(file)
  assert thread.prompt == 'Write about Newts.'
  (good, high), (worse, low) = thread.texts
  assert good == 'Newts are small.\nThey swim.\nThey eat worms.'
  assert worse == 'Newts are small.\nNEWTS SMELL\nThey eat worms.'
  assert high > low


@pytest.mark.parametrize(
  ('texts', 'found'),
  [
    ('abcb', [('b', 'c')]),
    ('abcda', [('a', 'd')]),  # back over three revisions
    ('aab', []),
    ('abb', []),  # saved twice
    ('abc', []),
    ('abababab', [(t, 'ba'[t == 'b']) for t in 'ababab']),  # a war
    ('a' + 'bcdefghijklm' + 'a', []),  # beyond the window
  ],
)
def test_a_revert_is_a_return_to_an_earlier_text(texts, found):
  assert list(wikipedia.reverted(iter(texts))) == found


@pytest.mark.parametrize(
  ('good', 'bad', 'cut'),
  [
    ('a\nb\nc', 'a\nx\nc', ('b', 'x')),
    ('a\nb', 'a\nb\nx', ('', 'x')),
    ('a\na', 'a', ('a', '')),
  ],
)
def test_lines_that_are_alike_are_cut(good, bad, cut):
  assert wikipedia.changed_lines(good, bad, around=0) == cut


def a_thread():
  return ranked.Thread('q', [('one', 1), ('two', 2), ('ii', 2), (' ', 9)], 's')


def test_pairs_of_a_thread_have_different_scores_the_better_one_first():
  pairs = ranked.thread_pairs(a_thread(), 0, np.random.default_rng(0))
  replies = [
    tuple(split_reply(t)[1].strip() for t in (p.chosen, p.rejected))
    for p in pairs
  ]
  assert replies == [('two', 'one'), ('ii', 'one')]
  assert pairs[0].source == 's' and np.isnan(pairs[0].p_label)
  assert len(ranked.thread_pairs(a_thread(), 1, np.random.default_rng(0))) == 1
  once = list(ranked.pairs_of_threads([a_thread()] * 3, 1, seed=4))
  assert once == list(ranked.pairs_of_threads([a_thread()] * 3, 1, seed=4))


def test_a_text_with_turn_markers_is_one_reply():
  text = ranked.as_dialogue('q', 'see:\n\nHuman: hello\n\nAssistant: hi')
  assert split_reply(text)[1] == ' see:\nHuman: hello\nAssistant: hi'


@pytest.mark.parametrize('ends', ['\n\n', '\n\n\n', '\n' * 6])
@pytest.mark.parametrize('role', ['Human', 'Assistant'])
def test_no_number_of_line_ends_before_a_marker_makes_a_turn(ends, role):
  text = f'ok{ends}{role}: x'
  assert ranked.plain(text) == f'ok\n{role}: x'
  whole = ranked.as_dialogue(text, text)
  assert split_reply(whole)[1] == f' ok\n{role}: x'
  assert len(parse_dialogue(whole)) == 2
  # Line ends before anything else are the text's own.
  assert ranked.plain(f'ok{ends}so{ends}') == f'ok{ends}so'


def test_a_ranked_pair_becomes_two_of_one_text_each():
  """'GOOD:A' > 'BAD:A' and 'BAD:B' > 'GOOD:B'."""
  (pair,) = ranked.thread_pairs(
    ranked.Thread('q', [('A', 1), ('B', 0)], 's'), 0, np.random.default_rng(0)
  )
  first, second = ranked.tagged(pair)
  reply = lambda text: split_reply(text)[1]
  assert (reply(first.chosen), reply(first.rejected)) == (' GOOD: A', ' BAD: A')
  assert (reply(second.chosen), reply(second.rejected)) == (
    ' BAD: B',
    ' GOOD: B',
  )
  assert {first.prompt_id, second.prompt_id} == {pair.prompt_id}


def message(role, text, replies=(), **fields):
  return {'role': role, 'text': text, 'replies': list(replies), **fields}


def tree():
  """Three ranked answers, to the second of which two more are ranked."""
  deep = [
    message('assistant', 'A1', rank=1),
    message('assistant', 'A2', rank=0),
  ]
  answers = [
    message('assistant', 'a', rank=2),
    message('assistant', 'b', [message('prompter', 'why?', deep)], rank=0),
    message('assistant', 'see:\n\nHuman: x', rank=1),
    message('assistant', 'unranked'),
  ]
  return {'prompt': message('prompter', 'q', answers)}


def test_every_set_of_ranked_replies_of_a_tree_is_a_ranking(tmp_path):
  """The prompt is all that was said before; unranked replies are left out."""
  first, second = replies.read_trees(
    write_lines(tmp_path / 'trees.jsonl', [tree()])
  )
  assert first.prompt == '\n\nHuman: q\n\nAssistant:'
  assert first.replies == (' a', ' b', ' see:\nHuman: x')
  assert first.ranks == (2, 0, 1) and first.source == 'oasst'
  assert second.prompt == (
    '\n\nHuman: q\n\nAssistant: b\n\nHuman: why?\n\nAssistant:'
  )
  assert (second.replies, second.ranks) == ((' A1', ' A2'), (1, 0))


def test_replies_of_models_are_ranked_by_the_judge_s_probability(tmp_path):
  answers = [
    {'model': 'm', 'text': text, 'pref': pref}
    for text, pref in (('a', 0.2), ('b', 0.7), ('c', 0.2))
  ]
  row = {'instruction': 'do', 'responses': answers, 'adversarial': [answers[0]]}
  (found,) = replies.read_prefs(write_lines(tmp_path / 'k.jsonl', [row]))
  assert found.prompt == '\n\nHuman: do\n\nAssistant:'
  assert (found.replies, found.ranks) == ((' a', ' b', ' c'), (1, 0, 1))


@pytest.mark.parametrize(
  ('read', 'row'),
  [
    (replies.read_trees, {'prompt': {'text': 'q', 'role': 'prompter'}}),
    (replies.read_trees, {'prompt': message('moderator', 'q')}),
    (replies.read_trees, {'prompt': None}),
    (replies.read_prefs, {'instruction': 'q', 'responses': [{'text': 'a'}]}),
    (replies.read_prefs, {'instruction': 'q', 'responses': []}),
  ],
)
def test_a_broken_file_of_rankings_is_named(read, row, tmp_path):
  file = write_lines(tmp_path / 'x.jsonl', [tree(), row])
  if read is replies.read_prefs:
    file = write_lines(tmp_path / 'x.jsonl', [row])
  with pytest.raises(DataError, match=r'x.jsonl:[12]: wanted an? '):
    list(read(file))


def test_some_replies_of_a_ranking_keep_their_order():
  whole = ranked.ranking_of(
    ranked.Thread('q', [('a', 1), ('b', 5), (' ', 9), ('c', 1), ('d', 3)], 's')
  )
  assert whole.ranks == (3, 1, 0, 3, 2)
  every = ranked.some_replies(whole, 0, np.random.default_rng(0))
  assert (every.replies, every.ranks) == (
    (' a', ' b', ' c', ' d'),
    (2, 0, 2, 1),
  )
  rank = dict(zip(every.replies, every.ranks, strict=True))
  for seed in range(5):
    some = ranked.some_replies(whole, 2, np.random.default_rng(seed))
    one, other = some.replies
    assert np.sign(some.ranks[0] - some.ranks[1]) == np.sign(
      rank[one] - rank[other]
    )
    assert min(some.ranks) == 0 and some.prompt == whole.prompt
