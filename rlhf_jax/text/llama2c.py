"""The tokenizer of llama2.c models: merges by score, bytes where no piece fits.

Reference: https://github.com/karpathy/llama2.c, `encode` in run.c.
"""

import struct
from pathlib import Path

from rlhf_jax.text.imported import ImportedTokenizer

BOS, EOS, BYTES = 1, 2, 3  # ids; 256 ids of single bytes follow from 3 on
_UNKNOWN = 0


def read_pieces(path, vocab_size: int) -> list[tuple[bytes, float]]:
  """(bytes, score) of every id.

  The file: int32 length of the longest piece, then of each id a float32 score,
  an int32 length and as many bytes, all little-endian.

  Raises:
    FileNotFoundError: if there is no such file.
    ValueError: if it ends early or goes on after vocab_size pieces.
  """
  data, at, pieces = Path(path).read_bytes(), 4, []
  try:
    for _ in range(vocab_size):
      score, length = struct.unpack_from('<fi', data, at)
      piece = data[at + 8 : at + 8 + length]
      if length < 0 or len(piece) < length:
        raise struct.error(f'{length} bytes wanted, {len(piece)} there')
      pieces.append((piece, score))
      at += 8 + length
  except struct.error as error:
    raise ValueError(
      f'{path}: wanted a llama2.c tokenizer of {vocab_size} pieces, got '
      f'{len(pieces)} and then {error}; give the tokenizer that was trained '
      'with the model'
    ) from error
  if at != len(data):
    raise ValueError(
      f'{path}: wanted {vocab_size} pieces in {at} bytes, got {len(data)} '
      'bytes; give the tokenizer that was trained with the model'
    )
  return pieces


class Llama2cTokenizer(ImportedTokenizer):
  """A llama2.c vocabulary with the attributes of our tokenizers.

  Such models have no chat template: the HH markers are text. Padding is the
  unknown token, which no text encodes to.
  """

  def __init__(self, pieces: list[tuple[bytes, float]]):
    """Takes what `read_pieces` returns.

    Raises:
      ValueError: if there are fewer ids than bytes and special tokens.
    """
    if len(pieces) < BYTES + 256:
      raise ValueError(
        f'wanted {BYTES + 256} pieces or more, got {len(pieces)}'
      )
    self._pieces = pieces
    self._id_of = {
      piece: i for i, (piece, _) in enumerate(pieces) if i >= BYTES + 256
    }
    self._set_ids(
      eos_id=EOS,
      pad_id=_UNKNOWN,
      bos_id=BOS,
      rows=len(pieces),
      special_ids=(_UNKNOWN, BOS, EOS),
      stop_ids=(BOS,),
    )

  @classmethod
  def load(cls, path, vocab_size: int) -> 'Llama2cTokenizer':
    """Reads a tokenizer file; errors as `read_pieces`."""
    return cls(read_pieces(path, vocab_size))

  def _ids(self, text):
    """Characters, or their bytes; then the best-scored pair merges first."""
    ids = []
    for character in text:
      data = character.encode()
      found = self._id_of.get(data)
      ids += [BYTES + b for b in data] if found is None else [found]
    while True:
      best = None
      for at in range(len(ids) - 1):
        pair = self._pieces[ids[at]][0] + self._pieces[ids[at + 1]][0]
        found = self._id_of.get(pair)
        if found is not None:
          score = self._pieces[found][1]
          if best is None or score > best[0]:
            best = score, at, found
      if best is None:
        return ids
      _, at, found = best
      ids[at : at + 2] = [found]

  def _first_space(self, text):
    """Space before the first word, as run.c encodes a prompt."""
    return ' ' * bool(text)

  def _bytes(self, i):
    """Bytes that an id stands for; the file writes a byte as '<0x0A>'."""
    if BYTES <= i < BYTES + 256:
      return bytes([i - BYTES])
    return self._pieces[i][0]

  def _text(self, ids):
    return b''.join(map(self._bytes, ids)).decode(errors='replace')
