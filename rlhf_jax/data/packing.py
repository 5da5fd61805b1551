"""Several texts in one row, so that next-token training reads few pads."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from rlhf_jax.types import LMBatch


class PackedBatch(NamedTuple):
  """Rows of several texts each, one after the other, then pads.

  Attributes:
    tokens_BT: int32.
    length_B: int32, tokens of each row, all its texts together.
    segment_BT: int32, which text of the row a token belongs to: 1, 2, ...; 0 on
      pads. A model looks at the tokens of one segment alone, and counts its
      positions from 0 in each.
    mask_BT: float32, 1 on the tokens to learn: never the first of a text, which
      nothing of that text predicts.
  """

  tokens_BT: np.ndarray
  length_B: np.ndarray
  segment_BT: np.ndarray
  mask_BT: np.ndarray


def best_fit(lengths: Sequence[int], T: int) -> list[list[int]]:
  """Shares texts out to rows of T tokens: best fit, longest first.

  Each text goes to the fullest row that has room for it, or opens a new one.
  At most 11/9 of the fewest possible rows, plus a constant (Johnson 1973).

  Args:
    lengths: tokens of each text.
    T: tokens of a row.

  Returns:
    The text numbers of each row, in the order in which the rows were opened.

  Raises:
    ValueError: if a text has no token, or more than T.
  """
  rows, by_room = [], [[] for _ in range(T + 1)]
  for i in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
    n = int(lengths[i])
    if not 1 <= n <= T:
      raise ValueError(
        f'wanted texts of 1 to {T} tokens, got {n} in text {i}: cut or drop it'
      )
    room = next((r for r in range(n, T) if by_room[r]), T)
    if room == T:
      by_room[T].append(len(rows))
      rows.append([])
    row = by_room[room].pop()
    rows[row].append(i)
    by_room[room - n].append(row)
  return rows


def pack(
  texts: Sequence[Sequence[int]],
  T: int,
  *,
  loss_starts: Sequence[int] | None = None,
  pad_id: int = 0,
) -> PackedBatch:
  """Packs tokenised texts into rows of T tokens.

  Args:
    texts: token ids of each text.
    T: tokens of a row.
    loss_starts: first token of each text to learn (the reply's, in supervised
      finetuning); None: all of each text.
    pad_id: any id; pads are known by their segment.

  Returns:
    PackedBatch, one row for each that `best_fit` opens.

  Raises:
    ValueError: if a text has no token, or more than T, or if there are not as
      many starts as texts.
  """
  loss_starts = [0] * len(texts) if loss_starts is None else loss_starts
  if len(loss_starts) != len(texts):
    raise ValueError(
      f'wanted a loss start for each of {len(texts)} texts, got '
      f'{len(loss_starts)}'
    )
  rows = best_fit([len(text) for text in texts], T)
  return _laid(rows, texts.__getitem__, T, loss_starts, pad_id)


def _laid(rows, text_of, T, loss_starts, pad_id):
  """A PackedBatch of rows, each the numbers of its texts.

  Args:
    rows: of `best_fit`, or some of them.
    text_of: number -> token ids.
    T: tokens of a row.
    loss_starts: first token of each text to learn.
    pad_id: any id.
  """
  shape = (len(rows), T)
  packed = PackedBatch(
    tokens_BT=np.full(shape, pad_id, np.int32),
    length_B=np.zeros(len(rows), np.int32),
    segment_BT=np.zeros(shape, np.int32),
    mask_BT=np.zeros(shape, np.float32),
  )
  for b, row in enumerate(rows):
    for segment, i in enumerate(row, 1):
      first, text = packed.length_B[b], text_of(i)
      end = first + len(text)
      packed.tokens_BT[b, first:end] = text
      packed.segment_BT[b, first:end] = segment
      packed.mask_BT[b, first + max(1, loss_starts[i]) : end] = 1.0
      packed.length_B[b] = end
  return packed


class _Texts(NamedTuple):
  """Texts of a batch, each read as it is asked for."""

  tokens_NT: np.ndarray
  number_B: np.ndarray
  length_B: np.ndarray

  def text(self, i):
    """Token ids of the i-th."""
    return self.tokens_NT[self.number_B[i]][: self.length_B[i]]


def fill_rows(packed: PackedBatch, B: int, pad_id: int = 0) -> PackedBatch:
  """Adds empty rows up to B: no token of them is read or learnt.

  Raises:
    ValueError: if there are more rows than B already.
  """
  missing = B - len(packed.length_B)
  if missing < 0:
    raise ValueError(f'{len(packed.length_B)} rows do not fit a batch of {B}')
  add = lambda x, value: np.pad(
    x, [(0, missing)] + [(0, 0)] * (x.ndim - 1), constant_values=value
  )
  return PackedBatch(
    add(packed.tokens_BT, pad_id), *(add(x, 0) for x in packed[1:])
  )


def row_counts(B: int, multiple: int = 1) -> tuple[int, ...]:
  """The numbers of rows that a packed batch of B texts may have.

  Eighths of B, rounded up to a multiple: few, since each is a program of its
  own, and the last is B, which holds any B texts.

  Args:
    B: texts of a batch.
    multiple: what must divide the rows: the microbatches, and on a mesh the
      devices that rows are cut over.

  Raises:
    ValueError: if the multiple does not divide B.
  """
  if B % multiple:
    raise ValueError(
      f'wanted a batch that can be cut into {multiple} equal parts, got {B} '
      'texts'
    )
  eighths = (-(-B * k // 8) for k in range(1, 9))
  return tuple(sorted({-(-n // multiple) * multiple for n in eighths}))


class PackedBatches:
  """A stream of batches of texts, each packed into fewer rows of their width.

  A batch keeps its texts, so its loss and gradient, which are means over
  tokens, are those of the batch it was made from, up to rounding. Positions in
  the stream are the inner stream's.

  Attributes:
    counts: rows that a batch may have (`row_counts`); one program each.
  """

  def __init__(
    self,
    batches: Iterator[LMBatch],
    batch_size: int,
    *,
    multiple: int = 1,
    pad_id: int = 0,
    tokens_NT: np.ndarray | None = None,
    share: Callable[[np.ndarray], np.ndarray] | None = None,
  ):
    """Makes an iterator of `PackedBatch`.

    Args:
      batches: a stream of LMBatch, such as `data.pipeline.Batches`.
      batch_size: its texts a batch.
      multiple: see `row_counts`.
      pad_id: any id.
      tokens_NT: all texts, if the stream has their numbers in place of tokens:
        those of this process's rows alone are read.
      share: (numbers of a packed batch's rows) -> those that this process
        loads, ascending; None: all.
    """
    self.counts = row_counts(batch_size, multiple)
    self._batches, self._pad_id = batches, pad_id
    self._tokens_NT, self._share = tokens_NT, share

  def __iter__(self) -> 'PackedBatches':
    """Returns itself."""
    return self

  def __next__(self) -> PackedBatch:
    """The next batch, in the fewest rows of `counts` that hold it."""
    tokens_BT, length_B, loss_start_B = next(self._batches)
    texts = _Texts(tokens_BT, np.arange(len(length_B)), length_B)
    if self._tokens_NT is not None:
      texts = _Texts(self._tokens_NT, tokens_BT, length_B)
    T = texts.tokens_NT.shape[1]
    rows = best_fit(length_B, T)
    own = np.arange(next(n for n in self.counts if n >= len(rows)))
    own = self._share(own) if self._share else own
    real = [rows[i] for i in own if i < len(rows)]
    packed = _laid(real, texts.text, T, loss_start_B, self._pad_id)
    return fill_rows(packed, len(own), self._pad_id)

  @property
  def last_rows(self) -> np.ndarray | None:
    """Numbers of the texts of the last batch, where the inner stream says."""
    return getattr(self._batches, 'last_rows', None)

  def get_state(self) -> dict:
    """The position in the stream, as JSON values."""
    return self._batches.get_state()

  def set_state(self, state: dict) -> None:
    """Goes to a position that `get_state` gave."""
    self._batches.set_state(state)
