"""Real ranked sets: replies to one prompt that people or a model have ordered.

Files stand below the config's `data.path` as FILES says (docs/public-pairs.md).
Of each set are taken at most `most_prompts` prompts, and of each at most
`most_replies` replies, drawn evenly by `data.split_seed`: runs that take as
many read the same texts, and find each other's features.
"""

from pathlib import Path

import numpy as np

from rlhf_jax.data.faults import DataError
from rlhf_jax.data.public import ranked, reddit, replies, stackexchange
from rlhf_jax.data.rankings import encode_rankings, of_conversation

FILES = {
  'stackexchange': 'stackexchange_kwise/questions.jsonl.gz',
  'posts': 'reddit_top_posts/posts.jsonl.gz',
  'alpaca_eval': 'alpaca_eval_kwise/kwise.jsonl.gz',
  'oasst': 'oasst_en100_trees/trees.jsonl.gz',
}
# Who put the texts of a set in order.
LABELS = {
  'stackexchange': 'votes of readers',
  'posts': 'votes of readers, posts of one subreddit',
  'alpaca_eval': 'a model',
  'oasst': 'people',
}
THREADS = {
  'stackexchange': stackexchange.read_questions,
  'posts': reddit.read_posts,
}
RANKED = {'alpaca_eval': replies.read_prefs, 'oasst': replies.read_trees}


def file_of(config, name) -> Path:
  """The file of a set."""
  return Path(config['data']['path']) / FILES[name]


def require(config):
  """Raises a DataError if the file of one of a config's `sets` is missing."""
  for name in config['sets']:
    file = file_of(config, name)
    if not file.is_file():
      raise DataError(
        f'{file} is no file: wanted the set {name!r} there '
        '(docs/public-pairs.md); set --config.data.path to the folder, or '
        f'leave {name!r} out of the setting sets'
      )


def read_set(config, name, tokenizer):
  """(RankingArrays, counts) of a set.

  Args:
    config: data.path, data.split_seed, most_prompts, most_replies, and reading.
    name: of FILES.
    tokenizer: of the model that reads.

  Raises:
    DataError: if the file is malformed.
    ValueError: if it has no prompt with two replies that differ in rank.
  """
  file = file_of(config, name)
  if name in RANKED:
    found = RANKED[name](file)
  else:
    found = map(ranked.ranking_of, THREADS[name](file))
  seed, reading = config['data']['split_seed'], config['reading']
  rng = np.random.default_rng([seed, *name.encode()])
  some = (ranked.some_replies(x, config['most_replies'], rng) for x in found)
  kept = [of_conversation(x) for x in some if len(set(x.ranks)) > 1]
  there, most = len(kept), config['most_prompts']
  if most and most < there:
    kept = [kept[i] for i in sorted(rng.permutation(there)[:most])]
  arrays, counts = encode_rankings(
    kept,
    tokenizer,
    reading['max_prompt'] + reading['max_reply'],
    reading['max_reply'],
  )
  if not len(arrays.kind_N):
    raise ValueError(
      f'{file}: wanted prompts with two replies of different ranks, got none'
    )
  return arrays, {'there': there} | dict(counts)
