"""Byte-pair encoding with sentencepiece, fitted to the dialogue format.

- Any Unicode text comes back unchanged: `decode(encode(text)) == text`.
- The two turn markers are one token each and no piece grows across them, so
  `encode(prompt + reply) == encode(prompt) + encode(reply)` whenever the
  prompt ends with a marker: training and sampling see the same tokens.
- Padding, end and end-of-context are control tokens, which no text encodes to:
  a user who types '<|end|>' gets ordinary pieces.
"""

import io
import itertools
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import sentencepiece

from rlhf_jax.text.dialogue import ASSISTANT, HUMAN

PAD = '<|pad|>'
END = '<|end|>'
END_OF_CONTEXT = '<|context_end|>'

# sentencepiece writes a space as this character, so a real one would be decoded
# to a space. It is encoded as its three bytes instead.
_SPACE = '\u2581'

# Two characters that sentencepiece reserves: it skips every training sentence
# that holds one. The markers are cut out because they are tokens of their own.
_TRAINING_CUTS = re.compile(
  '|'.join([re.escape(HUMAN), re.escape(ASSISTANT), '[\t\x05]'])
)


class Tokenizer:
  r"""A trained tokenizer; make one with `Tokenizer.train` or `Tokenizer.load`.

  Attributes:
    pad_id: id of padding.
    eos_id: id of the end of a reply.
    end_of_context_id: id of the token where a preference model is read.
    human_id: id of '\n\nHuman:'.
    assistant_id: id of '\n\nAssistant:'.
    stop_ids: ids that end a sampled reply: the end, or the human's next turn.
    vocab_size: number of ids.
  """

  def __init__(self, model: bytes):
    """Wraps a serialised sentencepiece model.

    Raises:
      ValueError: if the bytes are no sentencepiece model, or one that lacks
        the special tokens.
    """
    self._model = model
    try:
      self._processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    except RuntimeError as error:
      raise ValueError(
        'wanted a sentencepiece model, got other bytes; train a tokenizer anew'
      ) from error
    self.vocab_size = self._processor.get_piece_size()
    self.pad_id = self._special(PAD)
    self.eos_id = self._special(END)
    self.end_of_context_id = self._special(END_OF_CONTEXT)
    self.human_id = self._special(HUMAN)
    self.assistant_id = self._special(ASSISTANT)
    self.stop_ids = (self.eos_id, self.human_id)
    self._control_ids = {self.pad_id, self.eos_id, self.end_of_context_id}
    self._space_ids = [
      self._special(f'<0x{byte:02X}>') for byte in _SPACE.encode()
    ]

  def _special(self, piece: str) -> int:
    index = self._processor.piece_to_id(piece)
    if self._processor.id_to_piece(index) != piece:
      raise ValueError(
        f'wanted a tokenizer with the piece {piece!r}, got one without; '
        'train it with Tokenizer.train'
      )
    return index

  @classmethod
  def train(
    cls,
    texts: Iterable[str],
    vocab_size: int,
    seed_sentence_limit: int | None = None,
  ) -> 'Tokenizer':
    """Learns the pieces; the same texts in the same order give the same bytes.

    Args:
      texts: transcripts or plain texts.
      vocab_size: number of ids, at least 256 bytes and 6 specials and the
        characters of the texts.
      seed_sentence_limit: learn from the first so many texts only.

    Raises:
      ValueError: if the texts cannot fill, or do not fit, the vocabulary.
    """
    sentences = (
      part
      for text in itertools.islice(texts, seed_sentence_limit)
      for part in _TRAINING_CUTS.split(text)
      if part
    )
    model = io.BytesIO()
    try:
      sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=sentences,
        model_writer=model,
        model_type='bpe',
        vocab_size=vocab_size,
        byte_fallback=True,
        split_digits=True,
        normalization_rule_name='identity',
        add_dummy_prefix=False,
        remove_extra_whitespaces=False,
        max_sentence_length=2**30,  # longer ones are skipped; default 4192
        pad_id=0,
        pad_piece=PAD,
        unk_id=1,
        eos_id=2,
        eos_piece=END,
        bos_id=-1,
        control_symbols=[END_OF_CONTEXT],
        user_defined_symbols=[HUMAN, ASSISTANT],
        num_threads=1,
        minloglevel=2,
      )
    except RuntimeError as error:
      raise ValueError(
        f'could not train {vocab_size} pieces on these texts: '
        f'{error}; change vocab_size or give other texts'
      ) from error
    return cls(model.getvalue())

  def encode(self, text: str) -> list[int]:
    """Ids of the text, with no special token but the markers in it.

    Raises:
      UnicodeEncodeError: if the text holds half of a surrogate pair.
    """
    first, *rest = text.split(_SPACE)
    ids = self._processor.encode(first.encode())
    for part in rest:
      ids = ids + self._space_ids + self._processor.encode(part.encode())
    return ids

  def encode_batch(self, texts: Iterable[str]) -> list[list[int]]:
    """`encode` of each text."""
    return [self.encode(text) for text in texts]

  def decode(self, ids: Sequence[int]) -> str:
    """Text of the ids, without padding, end and end-of-context tokens.

    Bytes that are not UTF-8, which a model can emit, become U+FFFD.
    """
    kept = [int(i) for i in ids if int(i) not in self._control_ids]
    return self._processor.decode(kept)

  def decode_reply(self, ids: Sequence[int]) -> str:
    """Text of a sampled reply, without the stop token that ended it."""
    ids = list(ids)
    if ids and ids[-1] in self.stop_ids:
      ids.pop()
    return self.decode(ids)

  def save(self, path) -> None:
    """Writes the model file, whole or not at all."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f'.{path.name}.{os.getpid()}')
    partial.write_bytes(self._model)
    partial.replace(path)

  @classmethod
  def load(cls, path) -> 'Tokenizer':
    """Reads what `save` wrote.

    Raises:
      FileNotFoundError: if there is no such file.
      ValueError: if it is not a tokenizer of this class.
    """
    try:
      return cls(Path(path).read_bytes())
    except ValueError as error:
      raise ValueError(f'{path}: {error}') from error
