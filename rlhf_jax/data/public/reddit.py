"""Comments of Reddit under one post, and posts of one subreddit, by score.

The public dumps (Pushshift) are JSON lines, a file of posts and one of comments
a month, packed as .zst: unpack them first.

    RS: {"id": "a1", "subreddit": "x", "title": "...", "selftext": "...",
         "score": 9}
    RC: {"id": "c1", "parent_id": "t3_a1", "link_id": "t3_a1", "body": "...",
         "score": 4, "subreddit": "x"}

Comments of one thread are those that answer the post itself (parent_id is
link_id). Where only posts are at hand (reddit_top_posts), the texts of a
"thread" are posts of one subreddit, which answer nothing: weak labels. Scores
are compared as they are; which filters Askell et al. used is not known.
"""

import collections
from collections.abc import Iterator

from rlhf_jax.data.faults import DataError, Malformed
from rlhf_jax.data.file_rows import rows_of
from rlhf_jax.data.public.ranked import Thread

SOURCE = 'reddit'
GONE = ('[deleted]', '[removed]', '')


def _rows(file, *keys):
  """Yields rows that have the keys, or raises a DataError."""
  for number, row in rows_of(file):
    if not isinstance(row, dict) or not set(keys) <= set(row):
      got = str(row) if isinstance(row, Malformed) else sorted(row)
      raise DataError(
        f'{file}:{number}: wanted {", ".join(keys)}, got {got}: mend or delete '
        'the line'
      )
    yield row


def _post_text(row):
  body = row['selftext'].strip()
  return row['title'].strip() + ('' if body in GONE else f'\n{body}')


def read_comments(comments, posts) -> Iterator[Thread]:
  """Yields posts with two comments or more, in the order of the posts' file.

  Args:
    comments: file of comments (RC).
    posts: file of posts (RS); comments on others are left out.

  Raises:
    DataError: at a line without what is needed.
  """
  asked = {
    f't3_{row["id"]}': _post_text(row)
    for row in _rows(posts, 'id', 'title', 'selftext')
  }
  found = collections.defaultdict(list)
  for row in _rows(comments, 'parent_id', 'body', 'score'):
    if row['parent_id'] in asked and row['body'].strip() not in GONE:
      found[row['parent_id']].append((row['body'], row['score']))
  for name, prompt in asked.items():
    if len(found[name]) > 1:
      yield Thread(prompt, found[name], SOURCE)


def read_posts(posts, size: int = 4) -> Iterator[Thread]:
  """Yields groups of posts of one subreddit, in the order of the file.

  Args:
    posts: file of posts with subreddit, title, selftext and score.
    size: posts of a group; the last ones of a subreddit may be fewer.

  Raises:
    DataError: at a line without what is needed.
  """
  waiting = collections.defaultdict(list)
  for row in _rows(posts, 'subreddit', 'title', 'selftext', 'score'):
    group = waiting[row['subreddit']]
    group.append((_post_text(row), row['score']))
    if len(group) == size:
      yield _group(row['subreddit'], waiting.pop(row['subreddit']))
  for name, group in waiting.items():
    if len(group) > 1:
      yield _group(name, group)


def _group(subreddit, texts):
  return Thread(f'Write a post for r/{subreddit}.', texts, SOURCE)
