"""Public rankings as records: Stack Exchange, Reddit, Wikipedia, and others.

    python -m experiments.import_public --kind=stackexchange \
        --path=Posts.xml --out=pairs/cooking.jsonl.gz

The kinds are files as their dumps have them (`rlhf_jax/data/public`):

    stackexchange   Posts.xml of a site
    questions       JSON lines of questions with their answers in them
    comments        comments of Reddit, with --posts the file of their posts
    posts           posts of Reddit, compared within a subreddit: weak labels
    wikipedia       pages-meta-history.xml, plain or bzip2: reverted edits
    oasst           trees of Open-Assistant, ranked by people
    alpaca_eval     replies of models, ranked by a model

Written are pairs that train_pm reads (`--config.data.source=pairs`), with
--binary two tagged ones of each; or, with --rankings, the replies to each
prompt in their order, at most --replies of them (docs/kwise.md). Wikisplit has
sentences before and after an edit and no word on which is better: nothing here
reads it.
"""

import numpy as np
from absl import flags

from experiments.shared import command
from rlhf_jax.data.jsonl import write_comparisons
from rlhf_jax.data.public import (
  ranked,
  reddit,
  replies,
  stackexchange,
  wikipedia,
)
from rlhf_jax.data.rankings import write_rankings

KINDS = {
  'stackexchange': stackexchange.read_dump,
  'questions': stackexchange.read_questions,
  'comments': reddit.read_comments,
  'posts': reddit.read_posts,
  'wikipedia': wikipedia.read_history,
}
RANKED = {'oasst': replies.read_trees, 'alpaca_eval': replies.read_prefs}


def threads_of(options):
  """The threads of a file.

  Raises:
    ValueError: if comments come without posts, or posts with another kind.
    DataError: if the file is not what its kind says.
  """
  if (options['kind'] == 'comments') != bool(options['posts']):
    raise ValueError('--posts: wanted with --kind=comments, and only there')
  more = (options['posts'],) if options['posts'] else ()
  return KINDS[options['kind']](options['path'], *more)


def rankings_of(options):
  """Yields the rankings that have an order.

  Args:
    options: kind, path, posts, replies, seed.
  """
  if options['kind'] in RANKED:
    found = RANKED[options['kind']](options['path'])
  else:
    found = map(ranked.ranking_of, threads_of(options))
  rng = np.random.default_rng(options['seed'])
  for ranking in found:
    some = ranked.some_replies(ranking, options['replies'], rng)
    if len(set(some.ranks)) > 1:
      yield some


def pairs_of(options):
  """Yields the comparisons.

  Args:
    options: kind, path, posts, replies, most, seed, binary.
  """
  if options['kind'] in RANKED:
    rng = np.random.default_rng([options['seed'], 1])
    found = (
      pair
      for ranking in rankings_of(options)
      for pair in ranked.ranking_pairs(ranking, options['most'], rng)
    )
  else:
    found = ranked.pairs_of_threads(
      threads_of(options), options['most'], options['seed']
    )
  for pair in found:
    yield from ranked.tagged(pair) if options['binary'] else (pair,)


def run(options):
  """Writes the pairs or the rankings, and prints how many.

  Raises:
    ValueError: of `threads_of`, if rankings are to be tagged, or if there is
      nothing to write.
  """
  if options['rankings'] and options['binary']:
    raise ValueError('--binary tags pairs: leave it or --rankings out')
  make, write, said = pairs_of, write_comparisons, 'pairs'
  if options['rankings']:
    make, write, said = rankings_of, write_rankings, 'rankings'
  found = list(make(options))
  if not found:
    raise ValueError(
      f'{options["path"]}: wanted threads of two texts with different scores, '
      'got none'
    )
  write(options['out'], found)
  print(f'{len(found)} {said}: {options["out"]}')


def main():
  """Parses flags; a known error ends in one line and exit code 2."""
  values = [
    flags.DEFINE_enum('kind', None, [*KINDS, *RANKED], 'Kind of file.'),
    flags.DEFINE_string('path', None, 'The file.'),
    flags.DEFINE_string('out', None, 'File to write: .jsonl or .jsonl.gz.'),
    flags.DEFINE_string('posts', '', 'Posts of --kind=comments.'),
    flags.DEFINE_integer('most', 4, 'Pairs of a thread at most; 0: all.'),
    flags.DEFINE_integer('seed', 0, 'Which of them.'),
    flags.DEFINE_boolean('binary', False, 'Tagged pairs of single texts.'),
    flags.DEFINE_boolean('rankings', False, 'Rankings in place of pairs.'),
    flags.DEFINE_integer('replies', 9, 'Replies of a ranking at most; 0: all.'),
  ]
  command.main_of_flags(run, values, ('kind', 'path', 'out'))


if __name__ == '__main__':
  main()
