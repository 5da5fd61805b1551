"""A tranche of what people said on the page of apps/feedback.

People talk with the deployed policies themselves, so nothing is sampled for
them: a round takes the choices behind the position of the round before, as many
as it wants, and leaves the rest to the next. Everything between two positions
is in one round, and the position is written with the round: each choice is in
exactly one of them, however often a round is begun.
"""

import dataclasses
from typing import NamedTuple

from experiments.shared.files import read_json
from rlhf_jax import digests
from rlhf_jax.analysis import deployed
from rlhf_jax.data import said
from rlhf_jax.data.pairs import encode_pairs
from rlhf_jax.data.records import Comparison
from rlhf_jax.text.dialogue import parse_dialogue
from rlhf_jax.train.about import RunError

SIDES = ('train', 'test')


class Taken(NamedTuple):
  """What a round takes.

  Attributes:
    sides: {'train', 'test'}: list of Comparison.
    position: behind the last choice, of `said.read_new`.
    games: [deployed.Game] of all choices that were read.
    players: names of the snapshots, in the order in which they were deployed.
    counts: {reason: choices that are no pairs}, 'choices' of them all.
  """

  sides: dict[str, list[Comparison]]
  position: dict
  games: list[deployed.Game]
  players: list[str]
  counts: dict[str, int]


def take(config, position, tokenizer) -> Taken:
  """The first choices behind a position that are enough for a round.

  Enough are `pairs` to train on and `test_pairs` to hold out of the asked kind;
  pairs of the other kind that come between are taken too.

  Args:
    config: queue, kind, source, pairs, test_pairs, comparisons_dir,
      writer_dirs, max_prompt, max_reply.
    position: of the round before; {} of the first.
    tokenizer: pairs that are none in its tokens are left out.

  Raises:
    RunError: while there are too few.
    DataError: if the database is another, or none.
  """
  read = said.read_new(config['queue'], position)
  wanted = {'train': config['pairs'], 'test': config['test_pairs']}
  found = {side: [] for side in SIDES}
  own = {side: 0 for side in SIDES}
  side_of, used, counts = sides_of(config), [], {}
  for choice in read.choices:
    if all(own[side] >= wanted[side] for side in SIDES):
      break
    used.append(choice)
    pair = _pair(choice, config, tokenizer)
    if isinstance(pair, str):
      counts[pair] = counts.get(pair, 0) + 1
      continue
    side = side_of(pair)
    found[side].append(pair)
    own[side] += pair.kind == config['kind']
  if any(own[side] < wanted[side] for side in SIDES):
    raise RunError(_too_few(config, own, wanted))
  return Taken(
    found,
    said.position_of(used[-1]),
    games_of(used, read.names),
    list(read.names.values()),
    {'choices': len(used)} | counts,
  )


def _pair(choice, config, tokenizer):
  """The Comparison of a choice, or the reason why it is none."""
  pair = said.comparison_of(choice)
  if isinstance(pair, str):
    return pair
  pair = dataclasses.replace(pair, source=config['source'])
  return pair if stays(pair, tokenizer, config) else 'none in tokens'


def stays(pair, tokenizer, config) -> bool:
  """Whether a comparison is one in tokens too.

  Its replies differ, are not empty, and write no turn of the human.
  """
  longest = config['max_prompt'] + config['max_reply']
  _, counts = encode_pairs([pair], tokenizer, longest, config['max_reply'])
  return counts['kept'] == 1


def _too_few(config, own, wanted):
  """Says what is missing, and who is to be served."""
  return (
    f'{config["queue"]} has {own["train"]} new {config["kind"]} pairs to train '
    f'on and {own["test"]} to hold out, wanted {wanted["train"]} and '
    f'{wanted["test"]}: have people compare what python -m apps.feedback '
    f'--policies={",".join(config["writer_dirs"])} --db={config["queue"]} '
    f'--max_prompt={config["max_prompt"]} --max_reply={config["max_reply"]} '
    'serves, and give the same command again'
  )


def sides_of(config):
  """Comparison -> 'train' or 'test', by how its conversation began.

  All pairs of one conversation are on one side. One that begins as a prompt of
  the base tranche is on the side of that prompt; of the others as large a share
  is held out as the round wants.

  Args:
    config: comparisons_dir, pairs, test_pairs.
  """
  prompts = read_json(f'{config["comparisons_dir"]}/prompts.json')
  known = {
    opening(text): side for side in SIDES for text, _ in prompts.get(side, [])
  }
  share = config['test_pairs'] / (config['pairs'] + config['test_pairs'])

  def side_of(pair):
    first = opening(pair.chosen)
    if first in known:
      return known[first]
    number = int(digests.of_bytes(first.encode())[:8], 16) / 16**8
    return SIDES[number < share]

  return side_of


def opening(text) -> str:
  """What the human said first."""
  return parse_dialogue(text)[0].text.strip()


def games_of(choices, names) -> list[deployed.Game]:
  """The choices between two snapshots, by name; a rewrite is none.

  Args:
    choices: [said.Said].
    names: {uid: name}.
  """
  return [
    deployed.Game(
      choice.conversation,
      names[choice.chosen_snapshot],
      names[choice.rejected_snapshot],
      True,
    )
    for choice in choices
    if choice.chosen_snapshot and choice.rejected_snapshot
  ]
