r"""Base of the tokenizers of imported models.

They have the attributes and methods of `rlhf_jax.text.tokenizer.Tokenizer`, and
four more: `encode_prompt` and `encode_reply`, which `rlhf_jax.text.encode`
prefers, `encode_document` and `opening`. A dialogue in the HH format becomes
turns of the model's chat template; where the model has none, the markers are
text, tokenised apart from what is said between them.

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
  DialogueError,
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
      eos_id: as the attribute.
      pad_id: as the attribute.
      bos_id: as the attribute.
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

  @property
  def has_template(self) -> bool:
    """Whether dialogues are written in a chat template of the model."""
    return bool(self._template)

  def _ids(self, text: str) -> list[int]:
    """Ids of text in which nothing is special."""
    raise NotImplementedError

  def _text(self, ids: list[int]) -> str:
    """Text of ids of which none is special."""
    raise NotImplementedError

  def _first_space(self, text: str) -> str:
    """' ' where the model saw one before a text that begins so, else ''."""
    return ''

  def _layout(self, turns: Sequence[Turn]) -> Layout:
    """A prompt without a template: each marker, then each text, by itself."""
    ids = [] if self.bos_id is None else [self.bos_id]
    turn_of = [None] * len(ids)
    for i, turn in enumerate(turns):
      marker = MARKERS[turn.role]
      marker = self._ids((self._first_space(marker) if i == 0 else '') + marker)
      said = self._ids(turn.text)
      ids += marker + said
      turn_of += [None] * len(marker) + [i] * len(said)
    return Layout(ids, turn_of)

  def _segments(self, ids):
    """Special ids as they are, and the texts between them."""
    found, run = [], []
    for i in [*ids, None]:
      if i is not None and i not in self._special_ids:
        run.append(i)
        continue
      if run:
        found.append(self._text(run))
        run = []
      if i is not None:
        found.append(i)
    return found

  def _find_marks(self):
    """(segments, marker) of what stands between turns, to read ids back by."""
    markers = (HUMAN, ASSISTANT, HUMAN, ASSISTANT)
    roles = ('human', 'assistant', 'human', 'assistant')
    said = [Turn(role, ' a') for role in roles[:-1]] + [Turn('assistant', '')]
    ids, turn_of = self._layout(said)
    runs, last = [[]], None
    for i, turn in zip(ids, turn_of, strict=True):
      if turn is None and last is not None:
        runs.append([])
      if turn is None:
        runs[-1].append(i)
      last = turn
    found = {
      tuple(self._segments(run)): marker
      for run, marker in zip(runs, markers, strict=False)
    }
    # Those without a special token in front could be somebody's words.
    found = [mark for mark in found.items() if isinstance(mark[0][0], int)]
    return sorted(found, key=lambda mark: -len(mark[0]))

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
    begin = [self.bos_id] * (self.bos_id is not None)
    return begin + self._ids(self._first_space(text) + text)

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

  def opening(self) -> list[int]:
    """Ids that stand before the first words of a dialogue, the same in all.

    A system prompt is among them, where the chat template has one.
    """
    layout = self._layout([Turn('human', ' a'), Turn('assistant', '')])
    return layout.ids[: layout.turn.index(0)]

  def refuses(self, prompt: str) -> bool:
    """Whether the template refuses a prompt, or its end from a Human turn on.

    Raises:
      DialogueError: if the text is no dialogue.
    """
    turns = parse_dialogue(prompt)
    try:
      for start, first in enumerate(turns):
        if self._template and first.role == 'human':
          self._template.pieces(turns[start:])
    except DialogueError:
      return True
    return False

  def encode_reply(self, reply: str) -> list[int]:
    """Ids of a reply, without an end token."""
    return self._ids(reply)

  def decode(self, ids: Sequence[int]) -> str:
    """Text of the ids, without special tokens; turns become HH markers.

    Bytes that are not UTF-8, which a model can emit, become U+FFFD.
    """
    left, parts, said = self._segments(map(int, ids)), [], ''

    def close():
      parts.append(' ' * bool(parts and said) + said)

    while left:
      marker, rest = next(self._marks_at(left), (None, left[1:]))
      if marker is not None:
        close()
        parts.append(marker)
        said = ''
      elif isinstance(left[0], str):
        said += left[0]
      left = rest
    close()
    text, space = ''.join(parts), self._first_space(HUMAN)
    begins = not self._template and text.startswith(space + HUMAN)
    return text.removeprefix(space) if begins else text

  def _marks_at(self, segments):
    """Yields (marker, what follows) of each mark that the segments begin with.

    What a person said may go on in the segment that a mark ends in.
    """
    for mark, marker in self._marks:
      *body, end = mark
      at = len(body)
      if segments[:at] != body or len(segments) <= at:
        continue
      if segments[at] == end:
        yield marker, segments[at + 1 :]
      elif isinstance(end, str) and str(segments[at]).startswith(end):
        yield marker, [segments[at][len(end) :], *segments[at + 1 :]]

  def decode_reply(self, ids: Sequence[int]) -> str:
    """Text of a sampled reply, without the stop token that ended it."""
    ids = list(ids)
    if ids and ids[-1] in self.stop_ids:
      ids.pop()
    return self.decode(ids)
