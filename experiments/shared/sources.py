"""Where texts, comparisons and judgements come from: simulated or real.

Changing `data.source` in the config is all that separates the two.
"""

import dataclasses
import functools
import gzip
import json
import re
from pathlib import Path

import numpy as np

from rlhf_jax.crowd import tasks, workers, writers
from rlhf_jax.crowd.world import World, WorldConfig
from rlhf_jax.data import tfds_builder
from rlhf_jax.data.jsonl import DataError, read_comparisons
from rlhf_jax.data.pairs import split_by_prompt
from rlhf_jax.data.records import prompt_hash
from rlhf_jax.text.dialogue import (
  format_dialogue,
  parse_dialogue,
  split_reply,
)

TRANCHES = {'helpful': 'helpful-base', 'harmless': 'harmless-base'}
# Kinds of pairs that a preference model is trained or tested on.
SUBSETS = {'mix': (0, 1), 'helpful': (0,), 'harmless': (1,)}


def world_of(settings):
  """The World of a dict of WorldConfig fields, cached; lists are tuples."""
  plain = lambda value: tuple(value) if isinstance(value, list) else value
  return _world(tuple(sorted((k, plain(v)) for k, v in settings.items())))


@functools.cache
def _world(items):
  return World(WorldConfig(**dict(items)))


def simulated_texts(world, rng, dialogues, plain_texts):
  """Dialogues by authors of mixed quality, and plain text of the world."""
  texts = [writers.dialogue(world, rng) for _ in range(dialogues)]
  texts += [writers.plain_text(world, rng) for _ in range(plain_texts)]
  return texts


def real_comparisons(path, data_dir, on_error, test_fraction, seed):
  """The HH pairs under `path`, split so that no conversation is on two sides.

  The split goes by the first human turn, since the release holds several
  comparisons of one conversation.

  Returns:
    (train, test): lists of Comparison.

  Raises:
    DataError: if the folder is missing or malformed.
  """
  if not Path(path).is_dir():
    raise DataError(
      f'{path} is not a directory: set --config.data.path to the data folder'
    )
  records = []
  for tranche in TRANCHES.values():
    for split in tfds_builder.source_files(path, tranche):
      records += tfds_builder.load(path, tranche, split, data_dir, on_error)
  fractions = [1 - test_fraction, test_fraction]
  return split_by_prompt(by_first_turn(records), fractions, seed)


def by_first_turn(records):
  """The records, their prompt being the first human turn."""
  return [
    dataclasses.replace(
      item, prompt_id=prompt_hash(parse_dialogue(item.chosen)[0].text)
    )
    for item in records
  ]


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
    files = tfds_builder.source_files(path, tranche)
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
  for tranche in TRANCHES.values():
    for file in tfds_builder.source_files(path, tranche).values():
      found[f'{file.parent.name}/{file.name}'] = dict(
        read_comparisons(file, on_error)[1]
      )
  return found


def real_texts(path, dialogues):
  """(plain texts of the folder, dialogues of the given comparisons)."""
  path = Path(path)
  plain = []
  files = sorted(path.glob('text_*/*.txt.gz'))
  if not files:
    raise DataError(f'{path} holds no text_*/*.txt.gz for the language model')
  for file in files:
    with gzip.open(file, 'rt', encoding='utf-8') as stream:
      plain.append(re.sub(r'(?<!\n)\n(?!\n)', ' ', stream.read()))
  for file in sorted(path.glob('reddit_top_posts/*.jsonl.gz')):
    with gzip.open(file, 'rt', encoding='utf-8') as stream:
      for line in stream:
        row = json.loads(line)
        plain.append(row['title'] + '\n' + row['selftext'])
  return plain, spoken(dialogues)


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


def sample_prompts(world, rng, count):
  """Simulated prompts, as they are asked: popular ones come often."""
  return [tasks.sample_prompt(world, rng) for _ in range(count)]


def compare_replies(world, rng, prompts, replies):
  """Simulated workers compare two replies to each prompt.

  Args:
    world: the World.
    rng: numpy Generator.
    prompts: list of tasks.Prompt.
    replies: list of (first, second).
  """
  return [
    workers.compare(
      world,
      rng,
      prompt,
      first,
      second,
      source=TRANCHES['helpful' if prompt.kind == 'helpful' else 'harmless'],
    )
    for prompt, (first, second) in zip(prompts, replies, strict=True)
  ]


def gold_scores(world, prompts, kinds, replies):
  """The gold score that the labels use, of each reply; NaN on real data."""
  if world is None:
    return np.full(len(replies), np.nan)
  return np.array(
    [
      workers.score_reply(world, prompt, reply, kind)
      for prompt, kind, reply in zip(prompts, kinds, replies, strict=True)
    ]
  )


def win_probability(world, kinds, gold_N, reference_NC):
  """P(a worker prefers each reply to pi_0's on the same prompt), over C.

  Half of the workers see the reply first and half see it second, so a bias
  for either place cancels.
  """
  if world is None:
    return np.full(len(gold_N), np.nan)
  out = np.zeros(len(gold_N))
  kinds = np.asarray(kinds)
  for kind in np.unique(kinds):
    rows = kinds == kind
    ours, theirs = gold_N[rows][:, None], reference_NC[rows]
    first = workers.label_probability(world, str(kind), ours, theirs)
    second = 1 - workers.label_probability(world, str(kind), theirs, ours)
    out[rows] = (first + second).mean(axis=1) / 2
  return out


def prompts_of(comparisons):
  """[(prompt, kind)], one for each comparison whose two prompts are equal.

  A prompt that was asked often stands there often, so that RL sees the mixture
  of prompts that the comparisons have.
  """
  both = [
    (split_reply(item.chosen)[0], split_reply(item.rejected)[0], item.kind)
    for item in comparisons
  ]
  return [(prompt, kind) for prompt, other, kind in both if prompt == other]
