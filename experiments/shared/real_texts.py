"""Real texts that a prompted teacher reads: generic ones, and answers.

Generic are passages of books and web pages, as words of a first human turn;
documents that are held out (`rlhf_jax/data/documents.py`) are no part of them.
Answers are those of most votes to questions of Stack Exchange. What a model
reads before the first word is the same for all of them, and no part of a text.
"""

import itertools
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rlhf_jax.data import documents
from rlhf_jax.data.faults import DataError
from rlhf_jax.data.public import stackexchange
from rlhf_jax.text.dialogue import DialogueError, Turn, format_dialogue
from rlhf_jax.text.encode import encode_example, pad_batch


class Texts(NamedTuple):
  """Texts of one side.

  Attributes:
    rows: (tokens_NT, length_N).
    kind_N: 0 generic, 1 question, in turn.
  """

  rows: tuple
  kind_N: np.ndarray


def wanted(config):
  """{side, which is a file's name: how many texts it has}."""
  return {'targets': config['texts'], 'heldout': config['heldout_texts']}


def require(config):
  """Raises a DataError if a file or folder of the texts is missing."""
  folder = config['data']['path']
  for name in (*config['generic'], config['questions']):
    if not (Path(folder) / name).exists():
      raise DataError(
        f'{folder}/{name} is not there: wanted text for the teacher; set '
        '--config.data.path to the folder, or name other text in the settings '
        'generic and questions'
      )


def read(config, tokenizer):
  """({side: Texts}, counts of what was read), half of each kind.

  Texts of one side are on no other.

  Args:
    config: data, generic, questions, seed, max_prompt, max_reply, and how many
      of each side.
    tokenizer: with a chat template.

  Raises:
    DataError: if a file is malformed.
    ValueError: if there are too few texts.
  """
  opening = tokenizer.opening()
  width = config['max_prompt'] + config['max_reply'] - len(opening)
  if width < 2:
    raise ValueError(
      f'max_prompt={config["max_prompt"]} leaves no room behind the '
      f'{len(opening)} tokens that open a dialogue: raise it'
    )
  makers, counts = (_generic, _questions), {}
  streams = [make(config, tokenizer, counts) for make in makers]
  streams = [_bare(rows, opening, width) for rows in streams]
  found = {}
  for side, N in wanted(config).items():
    rows = [
      row
      for pair in itertools.islice(zip(*streams, strict=False), -(-N // 2))
      for row in pair
    ][:N]
    if len(rows) < N:
      raise ValueError(
        f'{side}: wanted {N} texts, half of them generic and half questions, '
        f'got {len(rows)}: name more text, or take fewer'
      )
    padded = pad_batch(rows, width, tokenizer.pad_id)
    found[side] = Texts(padded, np.arange(N) % 2)
  return found, counts


def _bare(rows, opening, width):
  """Yields rows without what opens them, of at most so many tokens.

  A row that opens otherwise, or has less than two tokens, is left out.
  """
  P = len(opening)
  for ids in rows:
    if ids[:P] == opening and len(ids) > P + 1:
      yield ids[P:][:width]


def _question(text):
  """A transcript in which this is asked."""
  return format_dialogue([Turn('human', f' {text}'), Turn('assistant', '')])


def _generic(config, tokenizer, counts):
  """Yields ids of passages as a first human turn, of each path in turn."""
  parts = []
  for i, name in enumerate(config['generic']):
    sides = documents.read_sides([f'{config["data"]["path"]}/{name}'])
    counts |= {'texts': counts.get('texts', {}) | sides.counts}
    own = [x for text in sides.train for x in documents.PASSAGE.findall(text)]
    order = np.random.default_rng([config['seed'], i]).permutation(len(own))
    parts.append([own[k] for k in order])
  for group in itertools.zip_longest(*parts, fillvalue=''):
    for text in filter(None, map(str.strip, group)):
      try:
        yield tokenizer.encode_prompt(_question(text), 10**6)[0]
      except DialogueError:  # a marker of a turn in it
        continue


def _questions(config, tokenizer, counts):
  """Yields ids of questions with their best answers."""
  file = Path(config['data']['path']) / config['questions']
  threads = list(stackexchange.read_questions(file))
  rng = np.random.default_rng([config['seed'], *b'questions'])
  count = counts.setdefault('questions', {'read': len(threads)})
  room = config['max_prompt'] + config['max_reply'], config['max_reply']
  for k in rng.permutation(len(threads)):
    best, _ = max(threads[k].texts, key=lambda answer: answer[1])
    try:
      prompt = _question(threads[k].prompt.strip())
      yield encode_example(tokenizer, prompt, f' {best.strip()}', *room)[0]
    except DialogueError as error:
      count[error.reason] = count.get(error.reason, 0) + 1
