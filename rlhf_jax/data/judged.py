r"""Pairs of replies that people, or a model, have judged. For evaluation only.

    DIR/pandalm_testset/pairs.jsonl.gz    three people a pair, ties
    DIR/webgpt_test/pairs.jsonl.gz        one score a reply; equal ones: a tie
    DIR/llmbar/pairs.jsonl.gz             one label a pair, no ties
    DIR/alpaca_eval_kwise/kwise.jsonl.gz  labelled by a model, not by people

A vote is 0 (first reply), 1 (second) or 2 (tie).
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from rlhf_jax.data.held_out_rows import read_rows

FIRST, SECOND, TIE = 0, 1, 2
ROW = 'a row as docs/judges.md says'
_PANDALM = {0: TIE, 1: FIRST, 2: SECOND}
_HUMAN, _ASSISTANT = '## Human:\n', '\n\n## Assistant:\n'


def text(value) -> str:
  """A text that may have been read as a number or a truth value."""
  return value if isinstance(value, str) else str(value)


class JudgedPair(NamedTuple):
  """A prompt with two replies and what was thought of them.

  Attributes:
    prompt: words of the human, or of several turns as the file has them.
    first: a reply.
    second: the other.
    votes: of each person, in the order of the file.
  """

  prompt: str
  first: str
  second: str
  votes: tuple[int, ...]


def read_pandalm(folder) -> list[JudgedPair]:
  """Pairs of PandaLM's test set, three votes each."""
  people = ('annotator1', 'annotator2', 'annotator3')

  def make(row):
    prompt = '\n\n'.join(
      x for x in map(text, (row['instruction'], row['input'])) if x
    )
    votes = tuple(_PANDALM[row[name]] for name in people)
    sides = (text(row[name]) for name in ('response1', 'response2'))
    return JudgedPair(prompt, *sides, votes)

  keys = ('instruction', 'input', 'response1', 'response2', *people)
  return read_rows(_file(folder, 'pandalm_testset', 'pairs'), ROW, make, keys)


def read_webgpt(folder) -> list[JudgedPair]:
  """Pairs of WebGPT's comparisons, a vote each."""

  def make(row):
    (prompt, first), (other, second) = map(_webgpt_sides, row['text'])
    if prompt != other:
      raise ValueError('two prompts')
    a, b = row['score']
    vote = TIE if a == b else FIRST if a > b else SECOND
    return JudgedPair(prompt, first, second, (vote,))

  return read_rows(
    _file(folder, 'webgpt_test', 'pairs'), ROW, make, ('text', 'score')
  )


def _webgpt_sides(text):
  head, found, reply = text.removeprefix(_HUMAN).partition(_ASSISTANT)
  if not (text.startswith(_HUMAN) and found):
    raise ValueError('no turn of Human and Assistant')
  return head, reply


def read_llmbar(folder, subset='') -> list[JudgedPair]:
  """Pairs of LLMBar, a vote each.

  Args:
    folder: of the data.
    subset: of the file, such as 'Processed/MT-Bench'; '': all.
  """

  def make(row):
    vote = {1: FIRST, 2: SECOND}[int(row['label'])]
    sides = (text(row[name]) for name in ('input', 'output_1', 'output_2'))
    pair = JudgedPair(*sides, (vote,))
    return row['subset'], pair

  keys = ('subset', 'input', 'output_1', 'output_2', 'label')
  rows = read_rows(_file(folder, 'llmbar', 'pairs'), ROW, make, keys)
  return [pair for own, pair in rows if subset in ('', own)]


class Rated(NamedTuple):
  """A prompt with the replies of many models, rated by a model.

  Attributes:
    prompt: the instruction.
    replies: {model: (text, probability that it beats the reference)}.
  """

  prompt: str
  replies: dict[str, tuple[str, float]]


def read_kwise(folder) -> list[Rated]:
  """Prompts of AlpacaEval; the two entries made to fool its judge are out."""

  def make(row):
    replies = {
      item['model']: (item['text'], float(item['pref']))
      for item in row['responses']
    }
    return Rated(row['instruction'], replies)

  path = _file(folder, 'alpaca_eval_kwise', 'kwise')
  return read_rows(path, ROW, make, ('instruction', 'responses'))


def kwise_pairs(rated, count: int, seed: int = 0) -> list[JudgedPair]:
  """Pairs of replies to each prompt whose ratings differ, drawn at random.

  Args:
    rated: of `read_kwise`.
    count: pairs of each prompt.
    seed: of the draw.
  """
  rng, found = np.random.default_rng(seed), []
  for item in rated:
    replies = [item.replies[name] for name in sorted(item.replies)]
    for _ in range(count):
      a, b = rng.choice(len(replies), 2, replace=False)
      (first, p), (second, q) = replies[a], replies[b]
      if p != q:
        vote = (FIRST if p > q else SECOND,)
        found.append(JudgedPair(item.prompt, first, second, vote))
  return found


def _file(folder, name, stem):
  return Path(folder) / name / f'{stem}.jsonl.gz'
