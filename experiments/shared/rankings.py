"""Rankings of a run: from the stage before, or a file of records."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from rlhf_jax import digests
from rlhf_jax.data.demonstrations import read_demonstrations
from rlhf_jax.data.faults import DataError
from rlhf_jax.data.pairs import PairArrays, split_by_prompt
from rlhf_jax.data.rankings import (
  RankedPairs,
  RankingArrays,
  encode_rankings,
  make_ranking,
  of_conversation,
  pairs_of,
  read_rankings,
)
from rlhf_jax.train import about

PAIRS = 'pairs'  # the loss that reads no rankings
SOURCE = 'rankings'  # of `data`, where a file of records is read
DEMONSTRATIONS = 'demonstrations.jsonl.gz'


class Ranked(NamedTuple):
  """Rankings of a run, tokenised, and their comparisons.

  Attributes:
    train: PairArrays of all comparisons; as of `comparisons.Pairs`.
    test: PairArrays.
    counts: {side: counts of `encode_rankings`}.
    sides: {side: (RankingArrays, RankedPairs)}.
    demonstrations: RankingArrays of one reply each; None: there are none.
  """

  train: PairArrays
  test: PairArrays
  counts: dict
  sides: dict[str, tuple[RankingArrays, RankedPairs]]
  demonstrations: RankingArrays | None


def reads(config) -> bool:
  """Whether a config of train_pm wants rankings.

  Raises:
    ValueError: if it wants something of them that there is not.
    DataError: if they are not there.
  """
  loss, own = config.get('loss', PAIRS), config.get('demonstrations_path', '')
  if own and (loss == PAIRS or config['comparisons_dir']):
    raise ValueError(
      f'demonstrations_path={own!r} shifts a model of rankings of data.path: '
      'a run of make_rankings has its own, and one of pairs is not shifted'
    )
  if loss == PAIRS:
    return False
  plain = {'read': 'tokens', 'pairs': 0, 'score_at': 'end_of_context'}
  for key, value in plain.items():
    if config.get(key, value) != value:
      raise ValueError(
        f'wanted {key}={value!r} with loss={loss!r}, got {config[key]!r}: '
        'rankings are read whole'
      )
  folder, data = config['comparisons_dir'], config['data']
  file = Path(folder) / 'train.jsonl.gz' if folder else Path(data['path'])
  if not folder and data['source'] != SOURCE or not file.is_file():
    raise DataError(
      f'loss={loss!r} wants comparisons_dir, a run of make_rankings, or '
      f"data.source '{SOURCE}' and data.path, a file of rankings; got "
      f'{file}'
    )
  return True


def encoded(found, tokenizer, size) -> dict:
  """{side: (RankingArrays, counts)} of {side: [Ranking]}, of one C.

  Args:
    found: the records.
    tokenizer: the tokenizer.
    size: (most tokens of a prompt, most tokens of a reply).
  """
  most = max(len(x.replies) for own in found.values() for x in own)
  encode = lambda own: encode_rankings(
    own, tokenizer, sum(size), size[1], candidates=most
  )
  arrays = {side: encode(own) for side, own in found.items()}
  return {side: (own, dict(counts)) for side, (own, counts) in arrays.items()}


def tied_share(rankings: RankingArrays) -> float:
  """Share of the pairs of replies, of rankings with an order, that are ties."""
  count_N = (rankings.rank_NC >= 0).sum(1)
  total = (count_N * (count_N - 1) // 2).sum()
  return 1 - len(pairs_of(rankings).weight_M) / max(int(total), 1)


def split_records(data, reading):
  """[rankings to train on, those held out] of a file, by conversation.

  Args:
    data: path, split_seed.
    reading: test_fraction.
  """
  held = reading['test_fraction']
  records = map(of_conversation, read_rankings(data['path']))
  return split_by_prompt(records, [1 - held, held], data['split_seed'])


def demonstrations_of_people(config, tokenizer, size):
  """(RankingArrays of one reply each, counts) of a file of demonstrations.

  Args:
    config: demonstrations_path; demonstrations_count, so many are drawn of it;
      seed; data.
    tokenizer: the tokenizer.
    size: (most tokens of a prompt, most tokens of a reply).

  Returns:
    (None, {}) where the config names no file.

  Raises:
    DataError: if there is no demonstration in it.
  """
  path = config.get('demonstrations_path', '')
  if not path:
    return None, {}
  on_error = config['data'].get('on_error', 'raise')
  found, counts = read_demonstrations(path, on_error)
  order = np.random.default_rng([config['seed'], 7]).permutation(len(found))
  items = [
    make_ranking(found[i].prompt, [found[i].reply], [0], 'demonstration')
    for i in order[: config['demonstrations_count']]
  ]
  arrays, _ = encode_rankings(
    items, tokenizer, sum(size), size[1], ordered=False
  )
  return arrays, {'demonstrations': counts | {'scored': len(arrays.kind_N)}}


def read_pairs(config, base) -> Ranked:
  """The Ranked of a config: of its `comparisons_dir`, or of `data.path`.

  Rankings of one conversation stay on one side, as pairs of people do.
  """
  folder, more = config['comparisons_dir'], {}
  if folder:
    names = ('train.jsonl.gz', 'test.jsonl.gz', DEMONSTRATIONS)
    digests.check(folder, *names)
    made = about.read(folder).config
    size = made['max_prompt'], made['max_reply']
    train, test, shown = (read_rankings(f'{folder}/{name}') for name in names)
    demonstrations, _ = encode_rankings(
      shown, base.tokenizer, sum(size), size[1], ordered=False
    )
  else:
    reading = config['reading']
    size = reading['max_prompt'], reading['max_reply']
    train, test = split_records(config['data'], reading)
    demonstrations, more = demonstrations_of_people(
      config, base.tokenizer, size
    )
  found = encoded({'train': train, 'test': test}, base.tokenizer, size)
  sides = {side: (own, pairs_of(own)) for side, (own, _) in found.items()}
  counts = {side: own for side, (_, own) in found.items()} | more
  both = [sides[side][1].pairs for side in ('train', 'test')]
  return Ranked(*both, counts if not folder else {}, sides, demonstrations)
