"""Comparisons and prompts of a run: from the stage before, or as released.

Which of them a run trains on is drawn here too: subset, half, labels, number.
"""

import functools
import hashlib
import json
from typing import NamedTuple

import numpy as np

from experiments.shared import people, sources
from experiments.shared.files import read_arrays, read_json, write_csv
from rlhf_jax.data.pairs import PairArrays, encode_pairs, pairs_of
from rlhf_jax.data.records import KINDS
from rlhf_jax.data.subsets import draw_rows, subset_of
from rlhf_jax.train import hosts

END_OF_CONTEXT = 'end_of_context'


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
  """The Pairs of a config: of its `comparisons_dir`, or those of `data`.

  They end where the score is read (`ended`).

  Raises:
    ValueError: if neither is named.
    DataError: if the folder of the released pairs is missing or malformed.
  """
  folder = config['comparisons_dir']
  if folder:
    both = (load_pairs(folder, side) for side in ('train', 'test'))
    return ended(config, Pairs(*both, {}), base)
  return ended(config, _released(config, base)[0], base)


def require_data(config):
  """Raises a DataError if the pairs of `data` are to be read and not there.

  Asked before a run has a directory, so that another path may be given next.
  """
  if not config['comparisons_dir'] and config['data']['source'] in people.REAL:
    people.require_path(config['data'])


def read_prompts(config, base):
  """The prompts to train on and to hold out, {side: [(text, kind)]}.

  Args:
    config: comparisons_dir, or what says which pairs are read; and, where there
      is one, prompt_kind, 'helpful' or 'harmless', of all the prompts.
    base: Base.

  Raises:
    ValueError: if a side has no prompt of that kind.
  """
  folder, kind = config['comparisons_dir'], config.get('prompt_kind', 'mix')
  path = f'{folder}/prompts.json'
  found = read_json(path) if folder else _released(config, base)[1]
  if kind == 'mix':
    return found
  sides = {
    side: [pair for pair in pairs if pair[1] == kind]
    for side, pairs in found.items()
  }
  if not all(sides.values()):
    counts = {side: len(pairs) for side, pairs in sides.items()}
    raise ValueError(
      f'prompt_kind={kind}: wanted prompts of it on both sides, got {counts}: '
      'take another kind or other pairs'
    )
  return sides


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
      pairs = coin_flips(pairs, np.random.default_rng([seed, len(items)]))
    np.savez(path / f'{split}.npz', **pairs._asdict())
    summary[split] = dict(counts)
  prompts = {s: sources.prompts_of(items) for s, items in splits.items()}
  (path / 'prompts.json').write_text(json.dumps(prompts))
  return summary


def load_pairs(workdir, side):
  """The PairArrays of a finished stage."""
  needed = set(PairArrays._fields) - {'source_N'}
  return pairs_of(read_arrays(f'{workdir}/{side}.npz', *sorted(needed)))


def read_counts(config, base):
  """Counts of the Pairs of a config; {} of a stage's."""
  return {} if config['comparisons_dir'] else _released(config, base)[0].counts


def _released(config, base):
  """(Pairs, prompts) of the pairs of `data`; read once a process."""
  data, reading = config['data'], config['reading']
  if data['source'] not in people.REAL:
    raise ValueError(
      f"wanted comparisons_dir, or data.source 'hh' or 'pairs' and data.path, "
      f'got source {data["source"]!r}: run experiments.make_comparisons first'
    )
  if data['source'] == 'hh' and config.get('train_subset'):
    people.require_kinds(data['path'], config['train_subset'])
  settings = json.dumps([data, reading])
  return _read_released(base, settings, str(config['feature_folder']))


@functools.lru_cache(maxsize=1)
def _read_released(base, settings, folder):
  data, reading = json.loads(settings)
  read = lambda: people.read_people(
    data,
    f'{folder}/tfds',
    reading['test_fraction'],
    (reading['train_pairs'], reading['test_pairs']),
    reading['held_out'],
  )
  found = hosts.in_turn(read)  # the first builds what the others read
  sides = {'train': found.train, 'test': found.test}
  encode = lambda items: encode_pairs(
    items,
    base.tokenizer,
    reading['max_prompt'] + reading['max_reply'],
    reading['max_reply'],
    data['on_error'],
  )
  arrays = {side: encode(items) for side, items in sides.items()}
  if reading['coin_flip_labels']:
    rng = np.random.default_rng(data['split_seed'])
    arrays = {side: (coin_flips(x, rng), n) for side, (x, n) in arrays.items()}
  counts = {side: dict(n) for side, (_, n) in arrays.items()}
  prompts = {side: sources.prompts_of(items) for side, items in sides.items()}
  if data['on_error'] != 'raise':
    prompts = {side: accepted(x, base.tokenizer) for side, x in prompts.items()}
  pairs = Pairs(arrays['train'][0], arrays['test'][0], found.counts | counts)
  return pairs, prompts


def accepted(prompts, tokenizer):
  """The prompts, (text, kind), that the tokenizer's template takes."""
  refuses = getattr(tokenizer, 'refuses', lambda text: False)
  return [(text, kind) for text, kind in prompts if not refuses(text)]


def write_reading(path, counts):
  """Writes reading.csv, a row a count: what was read, kept and left out.

  Args:
    path: the directory.
    counts: {part: {count: rows}}, nested as deep as it is; without any,
      nothing is written.
  """
  rows = list(_count_rows(counts))
  if rows:
    write_csv(path / 'reading.csv', rows)


def _count_rows(counts, *parts):
  """Yields rows of reading; a count of 0 is one of what is not there."""
  for name, value in counts.items():
    if isinstance(value, dict):
      yield from _count_rows(value, *parts, name)
    elif value or name in ('read', 'kept'):
      yield {'part': ' '.join(parts), 'count': name, 'rows': value}


def coin_flips(pairs, rng):
  """The pairs with rates of preference that have nothing to do with them.

  The rates are those of the pairs, dealt out anew and turned round by a fair
  coin: as far from one half as before, so that labels are sampled from them as
  everywhere else and expected accuracies can differ from one half by chance.
  Where none are known (real pairs) they are uniform on [0, 1].

  Args:
    pairs: of which only `p_label_N` changes.
    rng: NumPy generator.
  """
  p_N = pairs.p_label_N[rng.permutation(len(pairs.p_label_N))]
  p_N = np.where(np.isnan(p_N), rng.random(len(p_N)), p_N)
  p_N = np.where(rng.random(len(p_N)) < 0.5, p_N, 1 - p_N)
  return pairs._replace(p_label_N=p_N.astype(np.float32))


def ended(config, pairs, base):
  """The Pairs as a model reads them whose score is read at `score_at`.

  At 'end_of_context' they are as they were. At 'last_token' that token is
  taken away, and so is the end token of a reply, so that the last token is one
  of its text (Bai et al. 2022, appendix A.2, append a token to every sample).

  Args:
    config: `score_at`; without it: 'end_of_context'.
    pairs: Pairs.
    base: Base, whose tokens they are.
  """
  if config.get('score_at', END_OF_CONTEXT) == END_OF_CONTEXT:
    return pairs
  ids = base.tokenizer
  cut = lambda side: at_last_token(side, ids.eos_id, ids.pad_id)
  return pairs._replace(train=cut(pairs.train), test=cut(pairs.test))


def at_last_token(pairs, eos_id, pad_id):
  """PairArrays without their end-of-context and end tokens.

  Args:
    pairs: PairArrays, both sides of which end in end-of-context.
    eos_id: end token of a reply; one that was cut has none.
    pad_id: takes their place.
  """
  found = {}
  for side in ('chosen', 'rejected'):
    tokens_NT = getattr(pairs, f'{side}_tokens_NT')
    length_N = getattr(pairs, f'{side}_length_N') - 1
    last_N = np.take_along_axis(tokens_NT, length_N[:, None] - 1, 1)[:, 0]
    length_N = length_N - (last_N == eos_id)
    inside_NT = np.arange(tokens_NT.shape[1]) < length_N[:, None]
    found[f'{side}_tokens_NT'] = np.where(inside_NT, tokens_NT, pad_id)
    found[f'{side}_length_N'] = length_N.astype(np.int32)
  return pairs._replace(**found)


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


def asked_subset(config):
  """The Subset of a config's train_subset."""
  return subset_of(config['train_subset'])


def drawn_pairs(config, pairs) -> tuple[PairArrays, PairArrays, np.ndarray]:
  """(train, test, numbers of the training pairs) of a run.

  Both sides with the seed's labels; the numbers are those of its subset and
  half, in the order of the seed, at most `pairs` of them (0: all).

  Raises:
    ValueError: if a side has no pair of its subset, or the simulated
      comparisons are too few.
  """
  seed, count = config['seed'], config['pairs']
  rng, subset = np.random.default_rng([seed, 1]), asked_subset(config)
  train = redraw_labels(pairs.train, rng)
  wanted = np.isin(train.kind_N, subset.kinds)
  wanted &= in_half(train, config['half'], seed)
  if not wanted.any():
    kinds = ', '.join(KINDS[kind] for kind in np.unique(train.kind_N))
    raise ValueError(
      f'wanted training pairs of train_subset {config["train_subset"]!r} and '
      f'half {config["half"]!r}, got none among {len(train.kind_N)} pairs '
      f'({kinds or "of no kind"}): choose another subset or half'
    )
  rows = draw_rows(train.kind_N, subset.shares, rng, wanted)
  if count > len(rows) and config['data']['source'] == 'simulated':
    raise ValueError(
      f'{count} pairs wanted for half {config["half"]} '
      f'({config["train_subset"]}), {len(rows)} there: lower pm.pairs or raise '
      'comparisons.pairs'
    )
  if not np.isin(pairs.test.kind_N, subset.kinds).any():
    raise ValueError(
      f'wanted held-out pairs of train_subset {config["train_subset"]!r}, got '
      f'none among {len(pairs.test.kind_N)}: hold some out, or choose another '
      'subset'
    )
  test = redraw_labels(pairs.test, np.random.default_rng([seed, 2]))
  return train, test, rows[: count or None]
