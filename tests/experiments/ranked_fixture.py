"""Small files of public rankings, where ../shared/data has the real ones."""

import gzip
import json

import numpy as np

WORDS = 'the cat and dog say user system be good'.split()


def talk(rng, n=2):
  return ' '.join(rng.choice(WORDS, n))


def write(file, rows):
  file.parent.mkdir(parents=True, exist_ok=True)
  text = ''.join(json.dumps(row) + '\n' for row in rows)
  file.write_bytes(gzip.compress(text.encode()))


def write_sets(folder, count=24):
  """All four sets, so many prompts each; the better reply says hello."""
  rng = np.random.default_rng(0)
  texts = lambda: [f'{w} {talk(rng)}' for w in ('hello', 'dog', 'dog cat')]
  questions, posts, prefs, trees = [], [], [], []
  for i in range(count):
    votes = zip(texts(), (7, 1, -2), strict=True)
    answers = [{'text': t, 'score': v, 'accepted': False} for t, v in votes]
    asked = {'title': f'{i} {talk(rng)}', 'question': talk(rng), 'site': 's'}
    questions.append(asked | {'answers': answers})
    posts += [
      {'subreddit': f'r{i % 5}', 'title': t, 'selftext': '', 'score': v}
      for t, v in zip([*texts(), f'cat {talk(rng)}'], (9, 3, 2, 1), strict=True)
    ]
    own = zip(texts(), (0.9, 0.5, 0.1), strict=True)
    replies = [{'model': 'm', 'text': t, 'pref': p} for t, p in own]
    prefs.append({'instruction': f'{i} {talk(rng)}', 'responses': replies})
    said = [
      {'text': t, 'role': 'assistant', 'rank': r, 'replies': []}
      for r, t in enumerate(texts())
    ]
    first = {'text': f'{i} {talk(rng)}', 'role': 'prompter', 'replies': said}
    trees.append({'prompt': first})
  write(folder / 'stackexchange_kwise' / 'questions.jsonl.gz', questions)
  write(folder / 'reddit_top_posts' / 'posts.jsonl.gz', posts)
  write(folder / 'alpaca_eval_kwise' / 'kwise.jsonl.gz', prefs)
  write(folder / 'oasst_en100_trees' / 'trees.jsonl.gz', trees)
  return folder
