"""Who says which of two replies is better: the label sources of a round.

A label source has one function,

    label(asked, rng, most) -> Labelled

of pairs of replies that are to be compared. The simulated crowd and a
preference model answer at once. People answer in their own time, in files that
grow: what they have not answered yet is waited for by running the same command
again. People who talk with the policies themselves are no label source: what
they said is a tranche as it is (`queued`).
"""

import dataclasses
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np

from experiments.shared import sources
from rlhf_jax.crowd import workers
from rlhf_jax.data.growing import read_new
from rlhf_jax.data.jsonl import write_comparisons
from rlhf_jax.data.records import Comparison, make_comparison
from rlhf_jax.train.about import RunError

SOURCES = ('crowd', 'judge', 'people')


class Asked(NamedTuple):
  """Two replies to compare.

  Attributes:
    text: the prompt.
    kind: 'helpful' or 'harmless', the question that is asked.
    first: reply shown first.
    second: reply shown second; another one.
  """

  text: str
  kind: str
  first: str
  second: str


class Labelled(NamedTuple):
  """What a label source answered.

  Attributes:
    comparisons: list of Comparison, at most as many as were wanted.
    position: of `growing.read_new`, {} of a source that has none.
  """

  comparisons: list[Comparison]
  position: dict


class Crowd:
  """The simulated workers of a world."""

  def __init__(self, world, source):
    self._world, self._source = world, source

  def label(self, asked, rng, most) -> Labelled:
    """One worker's choice of each pair."""
    found = [
      workers.compare(
        self._world, rng, item, item.first, item.second, source=self._source
      )
      for item in asked[:most]
    ]
    return Labelled(found, {})


class Judge:
  """A preference model: P(first is chosen) = sigmoid(difference of scores).

  Its choices are drawn, so that they have the noise that it claims to have; of
  red-team prompts too the better reply is chosen.
  """

  def __init__(self, score, source):
    """Takes score: (texts, replies) -> score_N, in log-odds."""
    self._score, self._source = score, source

  def label(self, asked, rng, most) -> Labelled:
    """A choice of each pair, with the judge's own probability of it."""
    asked = asked[:most]
    texts = [item.text for item in asked]
    first_N = self._score(texts, [item.first for item in asked])
    second_N = self._score(texts, [item.second for item in asked])
    p_N = 1 / (1 + np.exp(second_N - first_N))
    found = []
    for item, p in zip(asked, p_N.tolist(), strict=True):
      sides = item.text + item.first, item.text + item.second
      if rng.random() >= p:
        sides, p = sides[::-1], 1 - p
      found.append(make_comparison(*sides, self._source, p, item.kind))
    return Labelled(found, {})


class People:
  """Answers that people give, in files of the format of the HH release."""

  def __init__(self, queue, position, offered, source, on_error):
    """Makes a source.

    Args:
      queue: file or folder of `growing.read_new` that the answers come in.
      position: where the round before stopped; {} of the first.
      offered: file to write the pairs to that are to be compared.
      source: of every record.
      on_error: of `growing.read_new`.
    """
    self._queue, self._position = queue, position
    self._offered, self._on_error = Path(offered), on_error
    self._source = source

  def label(self, asked, rng, most) -> Labelled:
    """The answers that are there, if they are enough.

    The pairs are offered first: as comparisons whose order says nothing. No
    odds stand beside them, and none of an answer is taken: a choice that was
    made is not drawn anew (`comparisons.redraw_labels`).

    Raises:
      RunError: while there are too few.
    """
    del rng
    if not self._offered.exists():
      rows = [
        make_comparison(
          x.text + x.first, x.text + x.second, 'open', kind=x.kind
        )
        for x in asked
      ]
      write_comparisons(self._offered, rows)
    args = self._queue, self._position, most, self._source
    found = read_new(*args, self._on_error)
    if len(found.comparisons) < most:
      raise RunError(
        f'{self._queue} has {len(found.comparisons)} new comparisons, wanted '
        f'{most}: have the pairs of {self._offered} compared, and give the '
        'same command again'
      )
    said = [dataclasses.replace(x, p_label=math.nan) for x in found.comparisons]
    return Labelled(said, found.position)


def source_of(config, path, position, open_judge):
  """The label source that a config names.

  Args:
    config: labels ('crowd', 'judge' or 'people'), source, data; world or
      queue.
    path: folder of the run, where people find what to compare.
    position: where the round before stopped in the queue.
    open_judge: () -> score, as `Judge` takes it.

  Raises:
    ValueError: if there is no such source, or no world to ask.
  """
  kind, name = config['labels'], config['source']
  if kind == 'crowd':
    if config['data']['source'] != 'simulated':
      raise ValueError(
        "labels='crowd' wants data.source='simulated', got "
        f'{config["data"]["source"]!r}: ask a judge or people'
      )
    return Crowd(sources.world_of(config['world']), name)
  if kind == 'judge':
    return Judge(open_judge(), name)
  if kind == 'people':
    offered = Path(path) / 'asked.jsonl'
    on_error = config['data']['on_error']
    return People(config['queue'], position, offered, name, on_error)
  raise ValueError(f'wanted labels of {", ".join(SOURCES)}, got {kind!r}')
