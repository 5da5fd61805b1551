r"""What the tokenizers of imported models share.

They have the attributes and methods of `rlhf_jax.text.tokenizer.Tokenizer`, and
three more: `encode_prompt` and `encode_reply`, which `rlhf_jax.text.encode`
prefers, and `encode_document`. A dialogue in the HH format becomes turns of the model's chat
template; where the model has none, the markers are text, tokenised apart from
what is said between them.

- A prompt is tokenised without its reply and a reply without its prompt, in
  training and in sampling alike: the prefix property holds by construction.
- What people wrote never becomes a special token.
- The pad id may be any id, the end token too, as SmolLM2 has it.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rlhf_jax.text.dialogue import (
  ASSISTANT,
  HUMAN,
  MARKERS,
  Turn,
  parse_dialogue,
)


class Layout(NamedTuple):
  """A prompt in tokens.

  Attributes:
    ids: the tokens.
    turn: for each token the index of the turn whose words it is part of; None
      where it belongs to the format.
  """

  ids: list[int]
  turn: list[int | None]


class ImportedTokenizer:
  """A tokenizer of an imported model; a subclass says how text is encoded.

  Attributes:
    pad_id: id of padding; may be `eos_id`.
    eos_id: id of the end of a reply.
    bos_id: id that texts without a template begin with, or None.
    end_of_context_id: the first id after the model's own, for the token where
      a preference model is read; `grow_vocabulary` gives it an embedding.
    human_id: the special token that opens a human turn, or None.
    assistant_id: the same of the Assistant; may be the same token.
    stop_ids: ids that end a sampled reply.
    vocab_size: number of ids, the end-of-context token included.
  """

  _template = None  # a ChatTemplate, where the model has one

  def _set_ids(self, *, eos_id, pad_id, bos_id, rows, special_ids, stop_ids):
    """Sets every attribute.

    Args:
      eos_id, pad_id, bos_id: as the attributes.
      rows: of the model's embedding.
      special_ids: ids that are not text.
      stop_ids: more ids that end a reply.
    """
    self.eos_id, self.pad_id, self.bos_id = eos_id, pad_id, bos_id
    self.end_of_context_id, self.vocab_size = rows, rows + 1
    self._special_ids = frozenset({*special_ids, pad_id, eos_id, rows})
    self._marks = self._find_marks() if self._template else []
    self.human_id = self._opener(HUMAN)
    self.assistant_id = self._opener(ASSISTANT)
    stops = (eos_id, *stop_ids, self.human_id)
    self.stop_ids = tuple(dict.fromkeys(i for i in stops if i is not None))

  def _ids(self, text: str) -> list[int]:
    """Ids of text in which nothing is special."""
    raise NotImplementedError

  def _text(self, ids: list[int]) -> str:
    """Text of ids of which none is special."""
    raise NotImplementedError

  def _layout(self, turns: Sequence[Turn]) -> Layout:
    """A prompt without a template: each marker, then each text, by itself."""
    ids = [] if self.bos_id is None else [self.bos_id]
    turn_of = [None] * len(ids)
    for i, turn in enumerate(turns):
      marker, said = self._ids(MARKERS[turn.role]), self._ids(turn.text)
      ids += marker + said
      turn_of += [None] * len(marker) + [i] * len(said)
    return Layout(ids, turn_of)

  def _find_marks(self):
    """(ids, marker) of what stands between turns, to read ids back by."""
    said = [
      Turn('human', ' a'),
      Turn('assistant', ' a'),
      Turn('human', ' a'),
      Turn('assistant', ''),
    ]
    ids, turn_of = self._layout(said)
    runs, last = [[]], None
    for i, turn in zip(ids, turn_of, strict=True):
      if turn is None and last is not None:
        runs.append([])
      if turn is None:
        runs[-1].append(i)
      last = turn
    markers = (HUMAN, ASSISTANT, HUMAN, ASSISTANT)
    found = [
      (tuple(run), marker)
      for run, marker in zip(runs, markers, strict=False)
      if self._special_ids & set(run)
    ]
    return sorted(set(found), key=lambda mark: -len(mark[0]))

  def _opener(self, marker):
    for run, name in self._marks:
      for i in run:
        if name == marker and i in self._special_ids and i != self.eos_id:
          return i
    return None

  def encode(self, text: str) -> list[int]:
    """Ids of plain text; special tokens and turn markers are text in it."""
    return self._ids(text)

  def encode_document(self, text: str) -> list[int]:
    """Ids of a text from its beginning, as the model was trained on texts."""
    return [self.bos_id] * (self.bos_id is not None) + self._ids(text)

  def encode_batch(self, texts: Iterable[str]) -> list[list[int]]:
    """`encode` of each text."""
    return [self.encode(text) for text in texts]

  def encode_prompt(self, prompt: str, max_prompt: int):
    r"""Ids of an HH prompt, cut on the left, and the number of tokens cut.

    An over-long prompt loses its first turns, up to the first Human turn from
    which the rest fits. If the last Human turn alone does not fit, what it
    says loses its left; the format stays whole.

    Raises:
      DialogueError: if the text is no dialogue or the template refuses it.
      ValueError: if the format alone takes more than max_prompt tokens.
    """
    turns = parse_dialogue(prompt)
    whole = None
    for start, first in enumerate(turns):
      if first.role != 'human':
        continue
      layout = self._layout(turns[start:])
      whole = len(layout.ids) if whole is None else whole
      if len(layout.ids) <= max_prompt:
        return layout.ids, whole - len(layout.ids)
    over = len(layout.ids) - max_prompt
    said = [i for i, turn in enumerate(layout.turn) if turn is not None]
    if over > len(said):
      raise ValueError(
        f'wanted room for the {len(layout.ids) - len(said)} tokens of the '
        f'chat format, got {max_prompt}; raise max_length or lower max_reply'
      )
    lost = set(said[:over])
    ids = [x for i, x in enumerate(layout.ids) if i not in lost]
    return ids, whole - max_prompt

  def encode_reply(self, reply: str) -> list[int]:
    """Ids of a reply, without an end token."""
    return self._ids(reply)

  def decode(self, ids: Sequence[int]) -> str:
    """Text of the ids, without special tokens; turns become HH markers.

    Bytes that are not UTF-8, which a model can emit, become U+FFFD.
    """
    ids, parts, said, i = [int(x) for x in ids], [], [], 0

    def close():
      text = self._text([x for x in said if x not in self._special_ids])
      parts.append(' ' * bool(parts and text) + text)
      said.clear()

    while i < len(ids):
      for run, marker in self._marks:
        if tuple(ids[i : i + len(run)]) == run:
          close()
          parts.append(marker)
          i += len(run)
          break
      else:
        said.append(ids[i])
        i += 1
    close()
    return ''.join(parts)

  def decode_reply(self, ids: Sequence[int]) -> str:
    """Text of a sampled reply, without the stop token that ended it."""
    ids = list(ids)
    if ids and ids[-1] in self.stop_ids:
      ids.pop()
    return self.decode(ids)
