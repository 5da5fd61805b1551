"""Who says which of two replies is better: the label sources of a round.

A label source has one function,

    label(asked, rng, most) -> Labelled

of pairs of replies that are to be compared. The simulated crowd and a
preference model answer at once. People answer in their own time, in files that
grow: what they have not answered yet is waited for by running the same command
again.
"""

from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from experiments.shared import sources
from experiments.shared.models import arithmetic, open_scorer
from experiments.shared.trained import score_function
from rlhf_jax.crowd import workers
from rlhf_jax.data.growing import read_new
from rlhf_jax.data.jsonl import write_comparisons
from rlhf_jax.data.records import Comparison, make_comparison
from rlhf_jax.text.encode import (
  append_end_of_context,
  encode_prompt,
  encode_reply,
  pad_batch,
)
from rlhf_jax.train.about import RunError

SOURCES = ('crowd', 'judge', 'people')
BATCH = 256  # replies that a preference model reads at once


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

    The pairs are offered first: as comparisons whose order says nothing, with
    even odds.

    Raises:
      RunError: while there are too few.
    """
    del rng
    if not self._offered.exists():
      rows = [
        make_comparison(
          x.text + x.first, x.text + x.second, 'open', 0.5, x.kind
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
    return Labelled(found.comparisons, found.position)


def source_of(config, path, position):
  """The label source that a config names.

  Args:
    config: labels ('crowd', 'judge' or 'people'), source; world, or judge_dir
      with max_prompt, max_reply and the arithmetic, or queue and data.
    path: folder of the run, where people find what to compare.
    position: where the round before stopped in the queue.

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
    return Judge(judge_scores(config), name)
  if kind == 'people':
    offered = Path(path) / 'asked.jsonl'
    on_error = config['data']['on_error']
    return People(config['queue'], position, offered, name, on_error)
  raise ValueError(f'wanted labels of {", ".join(SOURCES)}, got {kind!r}')


def judge_scores(config):
  """(texts, replies) -> score_N of the preference model in `judge_dir`."""
  pm = open_scorer(config['judge_dir'], computes=arithmetic(config))
  words, longest = pm.tokenizer, config['max_prompt'] + config['max_reply']
  program = jax.jit(score_function(pm.functions, pm.way))

  def score(texts, replies):
    prompts = [encode_prompt(words, x, config['max_prompt'])[0] for x in texts]
    said = [encode_reply(words, x, config['max_reply'])[0] for x in replies]
    rows = [a + b for a, b in zip(prompts, said, strict=True)]
    rows = append_end_of_context(
      *pad_batch(rows, longest, words.pad_id),
      words.end_of_context_id,
      words.pad_id,
    )
    first_N = np.array([len(ids) for ids in prompts], np.int32)
    columns = rows[0], first_N, rows[1]
    parts = []
    for i in range(0, len(texts), BATCH):
      part = [x[i : i + BATCH] for x in columns]
      grow = BATCH - len(part[0])
      full = [
        np.pad(x, [(0, grow)] + [(0, 0)] * (x.ndim - 1), 'edge') for x in part
      ]
      out = np.asarray(program((pm.frozen, pm.trained), *full))
      parts.append(out[: len(part[0])])
    return np.concatenate(parts) if parts else np.zeros(0)

  return score
