"""Replies of language models to questions, kept in parts, and what is compared.

A reply to a second turn comes after the model's own first one, and is compared
as a conversation: what two models are held against each other for is all that
follows the first question.
"""

import functools
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from experiments.shared import imported
from experiments.shared.kept import claim, in_parts
from rlhf_jax.data.judged import JudgedPair
from rlhf_jax.data.public.ranked import plain
from rlhf_jax.text.answer_rows import AskedFor, is_dialogue
from rlhf_jax.text.dialogue import ASSISTANT, HUMAN, split_reply

PART = 32  # questions whose replies are written before they are kept
ROWS = 32  # replies that are sampled at once


class Written(NamedTuple):
  """Replies of a model.

  Attributes:
    said: of each question, of each of its turns the replies.
    template: 'chat', its own chat template, or 'markers', those of HH.
  """

  said: list
  template: str


def asked(words) -> str:
  """A human's words, and the place of the reply."""
  return f'{HUMAN} {plain(words)}{ASSISTANT}'


def opening(words) -> str:
  """The dialogue that a question begins: words, or a dialogue already."""
  return words if is_dialogue(words) else asked(words)


def as_text(prompt, reply):
  """(prompt, reply) of HH of a conversation, as preference models read it."""
  return split_reply(f'{opening(prompt)} {reply}')


class Tools(NamedTuple):
  """What writes.

  Attributes:
    open_writer: of `models`.
    continuations: of the file of that name.
  """

  open_writer: Callable
  continuations: Callable


def written(name, model, questions, told, folder, tools) -> Written:
  """The Written of a model; what was kept before is not written again.

  Args:
    name: of the model, and of its files in the folder.
    model: as `imported.parts` reads it.
    questions: list of `questions.Question`.
    told: {'max_reply', 'temperature' (0: greedy), 'replies' (to each turn),
      'seed'}.
    folder: where NAME.jsonl and NAME.json are.
    tools: Tools.

  Raises:
    ValueError: if the folder holds replies of another model, of other questions
      or of other settings under this name.
  """
  digest = hashlib.sha256(json.dumps(questions).encode()).hexdigest()
  key = {'model': model, 'revision': imported.revision(model)}
  key |= {'questions': digest[:12], **told}
  folder = Path(folder)
  claim(folder / f'{name}.json', key)

  @functools.cache
  def opened():
    path, system = imported.parts(model)
    return tools.open_writer(path, system=system)

  def work(part, first, label):
    return [
      {'template': template_of(opened()), 'said': said}
      for said in _replies(tools, opened(), part, told, first, label)
    ]

  file = folder / f'{name}.jsonl'
  found = in_parts(work, questions, file, PART, f'replies of {name}')
  return Written([row['said'] for row in found], found[0]['template'])


def template_of(opened) -> str:
  """Name of the form in which a model reads a dialogue."""
  has = getattr(opened.tokenizer, 'has_template', False)
  return 'chat' if has else 'markers'


def _replies(tools, opened, questions, told, first, label):
  """[[replies of each turn]] of some questions, turn after turn."""
  draw = {'max_reply': told['max_reply'], 'top_p': 1.0}
  warmth = told['temperature']
  draw |= {'temperature': warmth or 1.0, 'greedy': warmth == 0}
  so_far = [opening(question.turns[0]) for question in questions]
  said = [[] for _ in questions]
  for turn in range(max(len(question.turns) for question in questions)):
    inside = [i for i, x in enumerate(questions) if len(x.turns) > turn]
    if turn:
      for i in inside:
        so_far[i] += f' {said[i][-1][0]}{asked(questions[i].turns[turn])}'
    found = tools.continuations(
      opened,
      [AskedFor(so_far[i], '', ()) for i in inside],
      label,
      replies=told['replies'],
      draw=draw,
      seed=told['seed'] + turn,
      first=first,
      rows=ROWS,
    )
    for i, texts in zip(inside, found, strict=True):
      said[i].append([plain(text) for text in texts])
  return said


def conversation(question, said, turns) -> str:
  """All that follows the first question, up to so many turns."""
  text = said[0][0]
  for i in range(1, turns):
    text += f'{asked(question.turns[i])} {said[i][0]}'
  return text


def games(questions, first, second):
  """{turns: JudgedPairs} of two models, nobody's votes in them.

  Args:
    questions: list of `questions.Question`.
    first: `said` of a model.
    second: that of the other.
  """
  found = {}
  for question, *both in zip(questions, first, second, strict=True):
    for turns in range(1, len(question.turns) + 1):
      sides = (conversation(question, said, turns) for said in both)
      pair = JudgedPair(question.turns[0], *sides, ())
      found.setdefault(turns, []).append(pair)
  return found
