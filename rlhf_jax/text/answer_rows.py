"""Answers as rows of tokens, after a dialogue or after plain text."""

from typing import NamedTuple

from rlhf_jax.text.dialogue import ASSISTANT, HUMAN, Turn, format_dialogue
from rlhf_jax.text.encode import encode_prompt, encode_reply

_ALL = 10**6  # tokens of a reply: nothing is cut off


class AskedFor(NamedTuple):
  r"""A text, and answers to it.

  Attributes:
    prompt: a dialogue from '\n\nHuman:' to '\n\nAssistant:', or plain text.
    lead: words that every answer begins with and that are not scored; ''.
    answers: texts, as they follow: a space first where there is one.
  """

  prompt: str
  lead: str
  answers: tuple[str, ...]


def dialogue_of(said: str) -> str:
  r"""A dialogue in which the human has said one thing.

  Raises:
    DialogueError: if the words hold a marker of turns.
  """
  return format_dialogue([Turn('human', f' {said}'), Turn('assistant', '')])


def is_dialogue(prompt: str) -> bool:
  """Whether a prompt has turns, which a chat template may write its own way."""
  return prompt.startswith(HUMAN) and prompt.endswith(ASSISTANT)


def ids_before(tokenizer, asked: AskedFor, most: int) -> tuple[list[int], int]:
  """Ids of prompt and lead, what a model goes on with, and tokens cut.

  There are at most `most`: what is too long loses its left.
  """
  if is_dialogue(asked.prompt):
    said = encode_reply(tokenizer, asked.lead, _ALL, end=False)[0]
    ids, cut = encode_prompt(tokenizer, asked.prompt, most - len(said))
    return ids + said, cut
  ids = _document(tokenizer, asked.prompt + asked.lead)
  return ids[-most:], max(0, len(ids) - most)


def answer_rows(tokenizer, asked: AskedFor, most: int):
  """Rows [(ids, first)] of prompt, lead and answer, and most tokens cut of one.

  `first` is the number of the answer's first token.

  Text is encoded whole, since a tokenizer may join the end of one part with the
  beginning of the next: an answer begins at the first token that differs from
  those of prompt and lead alone. What is too long loses its left.

  Args:
    tokenizer: ours or an imported one.
    asked: AskedFor.
    most: most tokens of a row.

  Raises:
    ValueError: if an answer adds no token.
  """
  if is_dialogue(asked.prompt):
    encode = lambda text: encode_reply(tokenizer, text, _ALL, end=False)[0]
    said = [encode(asked.lead + answer) for answer in asked.answers]
    room = most - max(map(len, said))
    start, cut = encode_prompt(tokenizer, asked.prompt, room)
    before = encode(asked.lead)
  else:
    encode = lambda text: _document(tokenizer, asked.prompt + text)
    said = [encode(asked.lead + answer) for answer in asked.answers]
    start, cut, before = [], 0, encode(asked.lead)
  rows, lost = [], 0
  for answer, ids in zip(asked.answers, said, strict=True):
    first = _shared(before, ids)
    if first == len(ids):
      raise ValueError(f'wanted an answer of one token or more, got {answer!r}')
    over = max(0, len(start) + len(ids) - most)
    rows.append(((start + ids)[over:], len(start) + first - over))
    lost = max(lost, cut + over)
  return rows, lost


def _document(tokenizer, text):
  return getattr(tokenizer, 'encode_document', tokenizer.encode)(text)


def _shared(before, ids):
  """Number of tokens that two lists have in common at their beginning."""
  for i, pair in enumerate(zip(before, ids, strict=False)):
    if pair[0] != pair[1]:
      return i
  return min(len(before), len(ids))
