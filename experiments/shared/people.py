"""Comparisons and texts that people made: HH, as released, or one's own.

Changing `data.source` in the config is all that separates them from those of
the simulated worlds (`sources`).
"""

import collections
from pathlib import Path
from typing import NamedTuple

import numpy as np
from absl import logging

from rlhf_jax.data import own_pairs
from rlhf_jax.data.faults import DataError
from rlhf_jax.data.jsonl import iter_comparisons, read_comparisons
from rlhf_jax.data.pairs import split_by_prompt
from rlhf_jax.data.plain_texts import read_plain_texts
from rlhf_jax.data.records import TRANCHES, Comparison, of_conversation
from rlhf_jax.data.subsets import subset_of
from rlhf_jax.text.dialogue import format_dialogue, parse_dialogue

REAL = ('hh', 'pairs')  # sources of pairs that people made


class Read(NamedTuple):
  """Comparisons that people made, or were given.

  Attributes:
    train: list of Comparison.
    test: those held out; of no conversation that `train` has.
    counts: what was read, kept and left out: {part: {count: rows}}, and
      {'files': {file: {count: rows}}}.
  """

  train: list[Comparison]
  test: list[Comparison]
  counts: dict


def require_path(data):
  """Raises a DataError if `data.path` is missing; `data` is of a config."""
  path = data['path']
  if not path:
    raise DataError('--config.data.path is required: a file or a folder')
  if data['source'] == 'hh' and not Path(path).is_dir():
    raise DataError(
      f'{path} is not a directory: set --config.data.path to the data folder'
    )
  if not Path(path).exists():
    raise DataError(
      f'{path} is not there: set --config.data.path to your file or folder'
    )


def read_people(
  data, data_dir, test_fraction, limits=None, held_out='test', counted=True
):
  """The Read of a config's section `data`: HH, or pairs of one's own.

  Args:
    data: source ('hh' or 'pairs'), path, on_error, split_seed.
    data_dir: where the HH pairs are built.
    test_fraction: of the conversations, where one split is made.
    limits: most (training pairs, held-out pairs), 0: all; those of HH are then
      drawn and put in an order of the seed.
    held_out: of `own_pairs.read_own_pairs`.
    counted: whether the counts are wanted, which cost a pass over HH.

  Raises:
    DataError: if the source is another, or is missing or malformed.
  """
  if data['source'] not in REAL:
    raise DataError(
      "data.source must be 'simulated', 'hh' or 'pairs', got "
      f'{data["source"]!r}'
    )
  path, on_error, seed = (data[k] for k in ('path', 'on_error', 'split_seed'))
  if data['source'] == 'pairs':
    require_path(data)
    most = own_pairs.Limits(*limits or (0, 0))
    found = own_pairs.read_own_pairs(
      path, on_error, test_fraction, seed, most, held_out
    )
    print(found.said, flush=True)
    return Read(*found[:3])
  train, test = real_comparisons(path, data_dir, on_error, test_fraction, seed)
  if limits:
    train = _drawn(train, limits[0], seed)
    if 0 < limits[1] < len(test):
      test = _drawn(test, limits[1], [seed, 1])
  counts = {'files': read_counts(path, on_error)} if counted else {}
  return Read(train, test, counts)


def _drawn(items, most, seed):
  """The items in the order of a seed, `most` of them or all."""
  order = np.random.default_rng(seed).permutation(len(items))
  return [items[i] for i in order[: most or None]]


def _builder():
  """The module `tfds_builder`, imported when released data is read."""
  from rlhf_jax.data import tfds_builder

  return tfds_builder


def tranches_at(path):
  """{kind: tranche} of the HH pairs that are there.

  Raises:
    DataError: if the folder is missing, or holds neither.
  """
  require_path({'source': 'hh', 'path': path})
  found, missing = {}, []
  for kind, tranche in TRANCHES.items():
    try:
      _builder().source_files(path, tranche)
      found[kind] = tranche
    except _builder().MissingTrancheError as error:
      missing.append(error)
  if not found:
    raise missing[0]
  for error in missing:
    logging.warning('%s', error)
  return found


def require_kinds(path, subset):
  """Raises a DataError if the HH pairs of a subset to train on are not there.

  Args:
    path: folder of `tfds_builder.source_files`.
    subset: of `data.subsets.subset_of`.
  """
  kinds, found = list(TRANCHES), tranches_at(path)
  missing = [kinds[i] for i in subset_of(subset).kinds if kinds[i] not in found]
  if missing:
    raise DataError(
      f'{path}: wanted the {" and ".join(missing)} pairs of train_subset '
      f'{subset!r}, got {", ".join(found.values())}: set '
      f'--config.train_subset={next(iter(found))}, or add the other tranche'
    )


def real_comparisons(path, data_dir, on_error, test_fraction, seed):
  """The HH pairs under `path`, split so that no conversation is on two sides.

  The split goes by the first human turn, since the release holds several
  comparisons of one conversation. A tranche that is not there is said.

  Returns:
    (train, test): lists of Comparison.

  Raises:
    DataError: if the folder is missing or malformed.
  """
  records = []
  for tranche in tranches_at(path).values():
    for split in _builder().source_files(path, tranche):
      records += _builder().load(path, tranche, split, data_dir, on_error)
  fractions = [1 - test_fraction, test_fraction]
  return split_by_prompt(by_first_turn(records), fractions, seed)


def by_first_turn(records):
  """The records, their prompt being the first human turn."""
  return [of_conversation(item) for item in records]


def released_comparisons(path, tranches, on_error):
  """The release as it is split: its train files and its test files.

  Of the training pairs those of a conversation that the test files hold too are
  left out.

  Args:
    path: folder of `tfds_builder.source_files`.
    tranches: names such as helpful-base.
    on_error: of `read_comparisons`.

  Returns:
    ({'train': [Comparison], 'test': [...]}, {file: counts of its rows}).

  Raises:
    DataError: if a file is missing or malformed.
  """
  found, counts = {'train': [], 'test': []}, {}
  for tranche in tranches:
    files = _builder().source_files(path, tranche)
    for split, records in found.items():
      if split not in files:
        raise DataError(
          f'{path}: {tranche} has no {split} file, got '
          f'{", ".join(map(str, files.values()))}: add it, or leave the '
          'tranche out of --config.data.tranches'
        )
      kept, rows = read_comparisons(files[split], on_error, source=tranche)
      records += by_first_turn(kept)
      counts[f'{tranche}/{split}'] = dict(rows)
  held = {item.prompt_id for item in found['test']}
  fresh = [item for item in found['train'] if item.prompt_id not in held]
  counts['train pairs of a test conversation'] = len(found['train']) - len(
    fresh
  )
  return found | {'train': fresh}, counts


def read_counts(path, on_error):
  """{file: rows read, kept, and skipped by reason} of the HH pairs."""
  found = {}
  for tranche in tranches_at(path).values():
    for file in _builder().source_files(path, tranche).values():
      counts = collections.Counter()
      collections.deque(iter_comparisons(file, on_error, counts=counts), 0)
      found[f'{file.parent.name}/{file.name}'] = dict(counts)
  return found


def real_texts(path, dialogues):
  """(plain texts of the folder, dialogues of the given comparisons)."""
  return read_plain_texts(path), spoken(dialogues)


def spoken(comparisons):
  """Every dialogue up to each reply of the assistant, of given comparisons."""
  talk = []
  for item in comparisons:
    turns = parse_dialogue(item.chosen)
    talk += [
      format_dialogue(turns[: i + 1])
      for i, turn in enumerate(turns)
      if turn.role == 'assistant' and turn.text.strip()
    ]
  return talk
