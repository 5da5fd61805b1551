"""Public rankings as pairs of records: Stack Exchange, Reddit, Wikipedia.

    python -m experiments.import_public --kind=stackexchange \
        --path=Posts.xml --out=pairs/cooking.jsonl.gz

The kinds are files as their dumps have them (`rlhf_jax/data/public`):

    stackexchange   Posts.xml of a site
    questions       JSON lines of questions with their answers in them
    comments        comments of Reddit, with --posts the file of their posts
    posts           posts of Reddit, compared within a subreddit: weak labels
    wikipedia       pages-meta-history.xml, plain or bzip2: reverted edits

Written are pairs that train_pm reads (`--config.data.source=pairs`), with
--binary two tagged ones of each. Wikisplit has sentences before and after an
edit and no word on which is better: nothing here reads it.
"""

from absl import flags

from experiments.shared import command
from rlhf_jax.data.jsonl import write_comparisons
from rlhf_jax.data.public import ranked, reddit, stackexchange, wikipedia

KINDS = {
  'stackexchange': stackexchange.read_dump,
  'questions': stackexchange.read_questions,
  'comments': reddit.read_comments,
  'posts': reddit.read_posts,
  'wikipedia': wikipedia.read_history,
}


def pairs_of(options):
  """Yields the comparisons.

  Args:
    options: kind, path, posts, most, seed, binary.

  Raises:
    ValueError: if comments come without posts, or posts with another kind.
    DataError: if a file is not what its kind says.
  """
  if (options['kind'] == 'comments') != bool(options['posts']):
    raise ValueError('--posts: wanted with --kind=comments, and only there')
  more = (options['posts'],) if options['posts'] else ()
  threads = KINDS[options['kind']](options['path'], *more)
  found = ranked.pairs_of_threads(threads, options['most'], options['seed'])
  for pair in found:
    yield from ranked.tagged(pair) if options['binary'] else (pair,)


def run(options):
  """Writes the pairs, and prints how many.

  Raises:
    ValueError: of `pairs_of`, or if there are none.
  """
  pairs = list(pairs_of(options))
  if not pairs:
    raise ValueError(
      f'{options["path"]}: wanted threads of two texts with different scores, '
      'got none'
    )
  write_comparisons(options['out'], pairs)
  print(f'{len(pairs)} pairs: {options["out"]}')


def main():
  """Parses flags; a known error ends in one line and exit code 2."""
  values = [
    flags.DEFINE_enum('kind', None, list(KINDS), 'Kind of file.'),
    flags.DEFINE_string('path', None, 'The file.'),
    flags.DEFINE_string('out', None, 'File of pairs: .jsonl or .jsonl.gz.'),
    flags.DEFINE_string('posts', '', 'Posts of --kind=comments.'),
    flags.DEFINE_integer('most', 4, 'Pairs of a thread at most; 0: all.'),
    flags.DEFINE_integer('seed', 0, 'Which of them.'),
    flags.DEFINE_boolean('binary', False, 'Tagged pairs of single texts.'),
  ]
  command.main_of_flags(run, values, ('kind', 'path', 'out'))


if __name__ == '__main__':
  main()
