"""Comparisons and prompts of a run: from the stage before, or as released.

Which of them a run trains on is drawn here too: subset, half, labels, number.
"""

import functools
import hashlib
import json
from typing import NamedTuple

import numpy as np

from experiments.shared import sources
from experiments.shared.files import read_arrays, read_json
from rlhf_jax.data.pairs import PairArrays, encode_pairs, pairs_of


class Pairs(NamedTuple):
  """The comparisons of a run, tokenised.

  Attributes:
    train: PairArrays.
    test: PairArrays; shares no conversation with `train`.
    counts: rows read, kept and dropped, by file and side; {} of a stage's.
  """

  train: PairArrays
  test: PairArrays
  counts: dict


def read_pairs(config, base) -> Pairs:
  """The Pairs of a config: of its `comparisons_dir`, or the released ones.

  Raises:
    ValueError: if neither is named.
    DataError: if the folder of the released pairs is missing or malformed.
  """
  folder = config['comparisons_dir']
  if folder:
    return Pairs(*(load_pairs(folder, side) for side in ('train', 'test')), {})
  return _released(config, base)[0]


def read_prompts(config, base):
  """The prompts to train on and to hold out, {side: [(text, kind)]}."""
  folder = config['comparisons_dir']
  if folder:
    return read_json(f'{folder}/prompts.json')
  return _released(config, base)[1]


def write_splits(path, splits, tokenizer, seed, size, coin_flip_labels=False):
  """Writes SPLIT.npz, shuffled, and prompts.json; returns counts by split.

  Args:
    path: the directory.
    splits: {split: [Comparison]}.
    tokenizer: ours or an imported one.
    seed: of the order.
    size: (most tokens of a prompt, most tokens of a reply).
    coin_flip_labels: whether every judgement is a coin flip.
  """
  shuffle, summary = np.random.default_rng(seed), {}
  for split, items in splits.items():
    items = [items[i] for i in shuffle.permutation(len(items))]
    pairs, counts = encode_pairs(items, tokenizer, sum(size), size[1])
    if coin_flip_labels:
      pairs = coin_flips(pairs)
    np.savez(path / f'{split}.npz', **pairs._asdict())
    summary[split] = dict(counts)
  prompts = {s: sources.prompts_of(items) for s, items in splits.items()}
  (path / 'prompts.json').write_text(json.dumps(prompts))
  return summary


def load_pairs(workdir, side):
  """The PairArrays of a finished stage."""
  needed = set(PairArrays._fields) - {'source_N'}
  return pairs_of(read_arrays(f'{workdir}/{side}.npz', *sorted(needed)))


def _released(config, base):
  """(Pairs, prompts) of the released pairs; read once a process."""
  data, reading = config['data'], config['reading']
  if data['source'] != 'hh':
    raise ValueError(
      f"wanted comparisons_dir, or data.source 'hh' and data.path, got source "
      f'{data["source"]!r}: run experiments.make_comparisons first'
    )
  settings = json.dumps([data, reading])
  return _read_released(base, settings, str(config['feature_folder']))


@functools.lru_cache(maxsize=1)
def _read_released(base, settings, folder):
  data, reading = json.loads(settings)
  train, test = sources.real_comparisons(
    data['path'],
    f'{folder}/tfds',
    data['on_error'],
    reading['test_fraction'],
    data['split_seed'],
  )
  order = np.random.default_rng(data['split_seed']).permutation(len(train))
  kept = order[: reading['train_pairs'] or None]
  sides = {'train': [train[i] for i in kept], 'test': test}
  encode = lambda items: encode_pairs(
    items,
    base.tokenizer,
    reading['max_prompt'] + reading['max_reply'],
    reading['max_reply'],
    data['on_error'],
  )
  arrays = {side: encode(items) for side, items in sides.items()}
  if reading['coin_flip_labels']:
    arrays = {side: (coin_flips(x), n) for side, (x, n) in arrays.items()}
  files = sources.read_counts(data['path'], data['on_error'])
  counts = {side: dict(n) for side, (_, n) in arrays.items()}
  prompts = {side: sources.prompts_of(items) for side, items in sides.items()}
  if data['on_error'] == 'skip':
    prompts = {side: accepted(x, base.tokenizer) for side, x in prompts.items()}
  pairs = Pairs(
    arrays['train'][0], arrays['test'][0], counts | {'files': files}
  )
  return pairs, prompts


def accepted(prompts, tokenizer):
  """The prompts, (text, kind), that the tokenizer's template takes."""
  refuses = getattr(tokenizer, 'refuses', lambda text: False)
  return [(text, kind) for text, kind in prompts if not refuses(text)]


def coin_flips(pairs):
  """The pairs with labels that each seed draws anew, even: nobody knows."""
  return pairs._replace(p_label_N=np.full_like(pairs.p_label_N, 0.5))


def redraw_labels(pairs, rng):
  """Draws the workers' choices anew where their probabilities are known.

  A seed redraws labels: each pair is turned round with probability
  1 - p_label. Real labels (p_label NaN) stay.
  """
  flip_N = rng.random(len(pairs.p_label_N)) > pairs.p_label_N
  flip_NT = flip_N[:, None]
  pick = lambda flip, a, b: (np.where(flip, b, a), np.where(flip, a, b))
  chosen, rejected = pick(
    flip_NT, pairs.chosen_tokens_NT, pairs.rejected_tokens_NT
  )
  chosen_length, rejected_length = pick(
    flip_N, pairs.chosen_length_N, pairs.rejected_length_N
  )
  words_chosen, words_rejected = pick(
    flip_N, pairs.words_chosen_N, pairs.words_rejected_N
  )
  return pairs._replace(
    chosen_tokens_NT=chosen,
    rejected_tokens_NT=rejected,
    chosen_length_N=chosen_length,
    rejected_length_N=rejected_length,
    words_chosen_N=words_chosen,
    words_rejected_N=words_rejected,
    p_label_N=np.where(flip_N, 1 - pairs.p_label_N, pairs.p_label_N),
  )


def in_half(pairs, half, seed):
  """Mask of the pairs in half 'a' or 'b' ('all': everything).

  The half of a prompt is a hash of (seed, prompt), so the halves share no
  prompt and every seed draws new ones.
  """
  if half == 'all':
    return np.ones(len(pairs.kind_N), bool)
  bit = lambda prompt: hashlib.sha1(f'{seed}:{prompt}'.encode()).digest()[0] & 1
  bits = np.array([bit(p) for p in range(pairs.prompt_index_N.max() + 1)])
  return bits[pairs.prompt_index_N] == (half == 'b')


def drawn_pairs(config, pairs) -> tuple[PairArrays, PairArrays, np.ndarray]:
  """(train, test, numbers of the training pairs) of a run.

  Both sides with the seed's labels; the numbers are those of its subset and
  half, in the order of the seed, at most `pairs` of them (0: all).

  Raises:
    ValueError: if the simulated comparisons are too few.
  """
  seed, count = config['seed'], config['pairs']
  rng = np.random.default_rng([seed, 1])
  train = redraw_labels(pairs.train, rng)
  wanted = np.isin(train.kind_N, sources.SUBSETS[config['train_subset']])
  wanted &= in_half(train, config['half'], seed)
  rows = rng.permutation(np.flatnonzero(wanted))
  if count > len(rows) and config['data']['source'] == 'simulated':
    raise ValueError(
      f'{count} pairs wanted for half {config["half"]} '
      f'({config["train_subset"]}), {len(rows)} there: lower pm.pairs or raise '
      'comparisons.pairs'
    )
  test = redraw_labels(pairs.test, np.random.default_rng([seed, 2]))
  return train, test, rows[: count or None]
