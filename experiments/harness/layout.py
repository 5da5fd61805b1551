"""Requests of log-probabilities as rows of tokens, and rows as batches.

A request is (context, continuation), both lists of ids. Requests that begin
alike share a row (`rlhf_jax.evals.continuations`); rows of like length share a
batch, and all batches of one bucket have one shape, so one program.
"""

import math
import os
from typing import NamedTuple

import numpy as np

ROOM = 1536  # tokens of a row of several texts: attention grows with its square
SMALLEST_READS = 16  # and four times as many in each bucket that follows


class Row(NamedTuple):
  """Texts that begin alike: what they share, then the rest of each.

  Attributes:
    tokens: ids.
    segment: 1 for what is shared, another number for each rest.
    prefix: tokens that are shared.
    reads: columns whose logits are wanted.
    targets: the token that each of these columns is asked for.
    spans: (request's number, first read, read after the last).
  """

  tokens: list[int]
  segment: list[int]
  prefix: int
  reads: list[int]
  targets: list[int]
  spans: list[tuple[int, int, int]]


class Batch(NamedTuple):
  """Rows as arrays of one bucket's shape; the last may be filled up.

  Attributes:
    arrays: tokens_BT, length_B, segment_BT, prefix_B, read_BS, target_BS.
    spans: of each row, without what fills up.
  """

  arrays: tuple
  spans: list


def cut_request(context, continuation, max_length):
  """The request as the model can hold it: the context loses its left.

  The input is context + continuation without its last token.

  Raises:
    ValueError: if there is no context or continuation, or the continuation
      alone, with one token before it, is more than the model holds.
  """
  if not context or not continuation:
    raise ValueError(
      f'wanted a context and a continuation of at least one token, got '
      f'{len(context)} and {len(continuation)}: look at the task file'
    )
  if len(continuation) > max_length:
    raise ValueError(
      f'a continuation of {len(continuation)} tokens is more than the '
      f'{max_length} that the model holds: leave the task out'
    )
  room = max_length + 1 - len(continuation)
  return list(context)[-room:], list(continuation)


class Group(NamedTuple):
  """A context and what is asked after it.

  Attributes:
    context: ids.
    asked: (request's number, continuation).
    heads: continuations without their last token, each once.
  """

  context: tuple[int, ...]
  asked: list[tuple[int, list[int]]]
  heads: list[tuple[int, ...]]

  def columns(self, shared):
    """Columns that it takes in a row whose first `shared` are given."""
    rest = len(self.context) - shared
    return len(self.heads) * rest + sum(map(len, self.heads))


def rows_of(requests, max_length, room=ROOM):
  """Rows of the requests; what begins alike stands together.

  Continuations of one context share a row. So do contexts that begin alike,
  such as questions after the same examples, where one more takes at most three
  quarters of the columns that it takes alone.

  Args:
    requests: (context, continuation), lists of ids.
    max_length: most tokens of one context and continuation.
    room: most tokens of a row that holds several texts.

  Raises:
    ValueError: as `cut_request`.
  """
  rows, held = [], []
  for group in sorted(groups_of(requests, max_length, room)):
    alone = size_of([group])
    most = min(room, size_of(held) + 3 * alone // 4) if held else 0
    if size_of([*held, group]) <= most:
      held.append(group)
      continue
    if held:
      rows.append(_row(held))
    held = [group]
  return rows + ([_row(held)] if held else [])


def groups_of(requests, max_length, room):
  """Groups of the requests, each of which fits a row unless it is one text."""
  found, last = [], {}
  for number, request in enumerate(requests):
    context, continuation = cut_request(*request, max_length)
    key, head = tuple(context), tuple(continuation[:-1])
    group = last.get(key)
    if group is None or size_of([group]) + len(head) > room:
      group = last[key] = Group(key, [], [])
      found.append(group)
    group.asked.append((number, continuation))
    if head not in group.heads:
      group.heads.append(head)
  return found


def shared_of(groups):
  """Tokens that all contexts of sorted groups begin with."""
  first, last = groups[0].context, groups[-1].context
  return len(os.path.commonprefix([first, last]))


def size_of(groups):
  """Columns of a row of sorted groups."""
  shared = shared_of(groups)
  return shared + sum(group.columns(shared) for group in groups)


def _row(groups):
  """The row of sorted groups."""
  shared = shared_of(groups)
  tokens = list(groups[0].context[:shared])
  row = Row(tokens, [1] * shared, shared, [], [], [])
  segment = 1
  for group in groups:
    start_of = {}
    for head in group.heads:
      segment += 1
      own = [*group.context[shared:], *head]
      start_of[head] = len(row.tokens)
      row.tokens.extend(own)
      row.segment.extend([segment] * len(own))
    before = len(group.context) - 1
    for number, continuation in group.asked:
      start, first = start_of[tuple(continuation[:-1])], len(row.reads)
      for t in range(before, before + len(continuation)):
        row.reads.append(t if t < shared else start + t - shared)
      row.targets.extend(continuation)
      row.spans.append((number, first, len(row.reads)))
  return row


def columns_of(size):
  """The least of 16, 24, 32, 48, 64, 96, ... that holds `size`."""
  width = 16
  while width < size:
    width = width * 3 // 2 if width & (width - 1) == 0 else width * 4 // 3
  return width


def reads_of(count):
  """The least of 16, 64, 256, ... that holds `count`."""
  width = SMALLEST_READS
  while width < count:
    width *= 4
  return width


def buckets_of(rows, tokens, widest=None):
  """{(rows of a batch B, columns T, reads S): numbers of rows}.

  What would be the half-empty last batch of a bucket goes to the next larger
  one with as many reads, where that costs less than empty rows:

    left (T' - T) < (B - left) T

  Args:
    rows: Rows.
    tokens: of a batch, about; at least one row.
    widest: most columns that the model takes; None: any number.
  """
  sizes = {}
  for number, row in enumerate(rows):
    columns = columns_of(len(row.tokens))
    columns = min(columns, widest) if widest else columns
    key = reads_of(len(row.reads)), columns
    sizes.setdefault(key, []).append(number)
  found, keys = {}, sorted(sizes)
  for (S, T), following in zip(keys, [*keys[1:], (0, 0)], strict=True):
    inside, B = sizes[S, T], max(1, tokens // T)
    left = len(inside) % B
    if following[0] == S and left * (following[1] - T) < (B - left) * T:
      keep = len(inside) - left
      sizes[following] = inside[keep:] + sizes[following]
      inside = inside[:keep]
    if inside:
      found[B, T, S] = inside
  return found


def batches_of(rows, tokens, widest=None):
  """Batches of all rows, bucket after bucket, the longest first.

  The arguments are those of `buckets_of`.
  """
  batches = []
  buckets = buckets_of(rows, tokens, widest)
  for shape, inside in sorted(buckets.items(), key=lambda item: -item[0][1]):
    B = shape[0]
    for i in range(0, len(inside), B):
      batches.append(_batch([rows[k] for k in inside[i : i + B]], shape))
  return batches


def _batch(rows, shape):
  B, T, S = shape
  full = rows + [rows[-1]] * (B - len(rows))
  pad = lambda lists, width: np.array(
    [list(x) + [0] * (width - len(x)) for x in lists], np.int32
  )
  arrays = (
    pad([row.tokens for row in full], T),
    np.array([len(row.tokens) for row in full], np.int32),
    pad([row.segment for row in full], T),
    np.array([row.prefix for row in full], np.int32),
    pad([row.reads for row in full], S),
    pad([row.targets for row in full], S),
  )
  return Batch(arrays, [row.spans for row in rows])


def gather(batches, outputs, count):
  """[(sum of log-probabilities, all greedy)] by request.

  Args:
    batches: Batches.
    outputs: (logp_BS, best_BS) of each.
    count: of requests.

  Raises:
    ValueError: if a sum is not a number: the model's weights are broken.
  """
  found = [None] * count
  for batch, (logp_BS, best_BS) in zip(batches, outputs, strict=True):
    logp_BS = np.asarray(logp_BS, np.float64)
    for b, spans in enumerate(batch.spans):
      for number, first, stop in spans:
        total = float(logp_BS[b, first:stop].sum())
        if math.isnan(total):
          raise ValueError('a log-probability is no number: broken weights?')
        found[number] = total, bool(best_BS[b][first:stop].all())
  return found
