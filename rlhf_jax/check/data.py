"""Checks of data: lengths, ends, equal pairs, shared prompts, leaks."""

import numpy as np

from rlhf_jax.check.findings import Outcome
from rlhf_jax.check.subject import PAIRS, ROWS, Rows

WINDOW = 8  # tokens that are looked for in training data
LEAKED = 0.5  # share of a row's windows
COMMON = 0.1  # share of rows that have a window which is of the template
CHUNK = 4096  # rows at a time
ENDED = 0.5  # least share of replies with an end token


def _sides(subject):
  """(name, Rows, prompt lengths or None) of everything that has tokens."""
  for name in PAIRS:
    if name in subject.batches:
      pairs = subject.batches[name]
      for side in ('chosen', 'rejected'):
        rows = getattr(pairs, side)
        yield f'{name} {side}', rows, pairs.prompt_length_N
  for name in ROWS:
    if name in subject.batches:
      yield name, subject.batches[name], None


def masks(subject) -> Outcome:
  """Lengths lie within the arrays, and every reply has a token."""
  for name, rows, prompt_length_N in _sides(subject):
    width, length_N = rows.tokens_NT.shape[1], rows.length_N
    wrong = {
      'is empty': length_N < 1,
      f'is longer than the {width} columns there are': length_N > width,
    }
    if prompt_length_N is not None:
      wrong['has no token behind its prompt'] = length_N <= prompt_length_N
    for what, bad_N in wrong.items():
      if bad_N.any():
        count, first = int(bad_N.sum()), int(np.argmax(bad_N))
        said = f'{name}: row {first} {what} ({count} of {len(bad_N)} rows)'
        return Outcome(False, float(count), said)
  return Outcome(True, 0.0, 'lengths lie within the arrays')


def token_range(subject) -> Outcome:
  """Every token has a row in the embedding; JAX would take the last for it."""
  least, most = 0, -1
  for _, rows, _ in _sides(subject):
    T = rows.tokens_NT.shape[1]
    real_NT = np.arange(T)[None] < rows.length_N[:, None]
    least = min(least, int(np.where(real_NT, rows.tokens_NT, 0).min(initial=0)))
    most = max(most, int(np.where(real_NT, rows.tokens_NT, -1).max(initial=-1)))
  own = subject.rows()
  size = subject.logits_fn(own.tokens_NT, own.length_N).shape[-1]
  ok = least >= 0 and most < size
  return Outcome(
    ok,
    float(most if least >= 0 else least),
    f'all tokens are of the {size} that the model knows'
    if ok
    else f'a token is {most if least >= 0 else least}, and the model knows 0 '
    f'to {size - 1}: is the tokenizer of another model?',
  )


def end_token(subject) -> Outcome:
  """Replies of pairs have an end token, or nobody learns to end."""
  pairs = subject.batches['train']
  ended_N = _ends(subject, pairs.chosen)
  share = float(ended_N.mean())
  ok = share >= ENDED
  return Outcome(
    ok,
    share,
    f'{share:.0%} of the chosen replies have an end token'
    if ok
    else f'{share:.0%} of the chosen replies end in one of the tokens '
    f'{subject.stop_ids}: add it when replies are encoded, or let longer '
    'replies be kept (max_reply)',
  )


def _ends(subject, rows):
  """Whether each row ends in a stop token, before end-of-context."""
  row_N = np.arange(len(rows.length_N))
  last_N = rows.tokens_NT[row_N, np.maximum(rows.length_N - 1, 0)]
  before_N = rows.tokens_NT[row_N, np.maximum(rows.length_N - 2, 0)]
  context = getattr(subject.tokenizer, 'end_of_context_id', None)
  stops = [i for i in subject.stop_ids if i != context]
  last_N = np.where(last_N == context, before_N, last_N)
  return np.isin(last_N, stops)


def end_of_context(subject) -> Outcome:
  """The end-of-context token ends both sides of a pair, and is nowhere else."""
  context, wrong, said = subject.tokenizer.end_of_context_id, 0, ''
  for name, rows, prompt_length_N in _sides(subject):
    if prompt_length_N is None:
      continue
    T = rows.tokens_NT.shape[1]
    place_NT, length_N1 = np.arange(T)[None], rows.length_N[:, None]
    is_NT = (rows.tokens_NT == context) & (place_NT < length_N1)
    bad_N = (is_NT != (place_NT == length_N1 - 1)).any(1)
    if bad_N.any() and not wrong:
      wrong = int(bad_N.sum())
      said = (
        f'{name}: row {int(np.argmax(bad_N))} ({wrong} rows) has not the token '
        f'{context} at its end and there alone, where a score is read'
      )
  return Outcome(not wrong, float(wrong), said or 'it ends every side')


def chosen_equals_rejected(subject) -> Outcome:
  """No pair has two equal sides."""
  count, total, said = 0, 0, ''
  for name in PAIRS:
    pairs = subject.batches.get(name)
    if pairs is None:
      continue
    chosen, rejected = (_texts(side) for side in pairs[:2])
    same = [i for i, x in enumerate(chosen) if x == rejected[i]]
    count, total = count + len(same), total + len(chosen)
    if same and not said:
      said = f'{name}: both sides of pair {same[0]} are equal'
  return Outcome(
    not count,
    float(count),
    f'{said} ({count} of {total} pairs): they teach nothing, leave them out'
    if count
    else f'the sides of all {total} pairs differ',
  )


def _texts(rows: Rows, length_N=None):
  """Tokens of each row as bytes, up to `length_N`."""
  length_N = rows.length_N if length_N is None else length_N
  whole = np.ascontiguousarray(rows.tokens_NT, np.int64)
  return [
    ids[:n].tobytes() for ids, n in zip(whole, length_N.tolist(), strict=True)
  ]


def prompt_overlap(subject) -> Outcome:
  """Training and test pairs share no prompt."""
  train, test = (subject.batches[name] for name in PAIRS)
  known = set(_texts(train.chosen, train.prompt_length_N)) - {b''}
  both = [
    i
    for i, prompt in enumerate(_texts(test.chosen, test.prompt_length_N))
    if prompt in known
  ]
  total = len(test.prompt_length_N)
  return Outcome(
    not both,
    len(both) / max(total, 1),
    f'the prompts of {len(both)} of {total} test pairs are trained on, the '
    f'first is that of pair {both[0]}{_quoted(subject, test, both[0])}: split '
    'by prompt, not by pair'
    if both
    else f'no prompt of the {total} test pairs is trained on',
  )


def _quoted(subject, pairs, row):
  ids = pairs.chosen.tokens_NT[row, : pairs.prompt_length_N[row]]
  return quoted(subject.tokenizer, ids)


def quoted(tokenizer, ids) -> str:
  """' ("the last words of these tokens")', or '' without a decoder."""
  decode = getattr(tokenizer, 'decode', None)
  if decode is None:
    return ''
  return f' ({str(decode([int(i) for i in ids]))[-60:]!r})'


def template_mismatch(subject) -> Outcome:
  """Prompts of pairs and prompts of RL begin and end alike.

  What asks for a reply is what all prompts of a kind end with. The value is the
  number of last tokens that the two kinds share.
  """
  pairs, asked = subject.batches['train'], subject.batches['prompts']
  of_pairs = _kept(pairs.chosen.tokens_NT, pairs.prompt_length_N)
  of_rl = _kept(asked.tokens_NT, asked.length_N)
  ends = [_common_end(rows) for rows in (of_pairs, of_rl)]
  shared = _common_end([end for end in ends if len(end)])
  show = lambda ids: quoted(subject.tokenizer, ids) or f' {list(map(int, ids))}'
  shorter = min(map(len, ends))
  if len(shared) < shorter or (not shorter and max(map(len, ends))):
    return Outcome(
      False,
      float(len(shared) if shorter else 0),
      f'prompts of pairs end in{show(ends[0])}, prompts of RL in'
      f'{show(ends[1])}: render both with one template',
    )
  first = [_usual_start(rows) for rows in (of_pairs, of_rl)]
  if None not in first and first[0] != first[1]:
    return Outcome(
      False,
      float(len(shared)),
      f'most prompts of pairs begin with{show(first[:1])}, most of RL with'
      f'{show(first[1:])}: a token that begins texts is there or twice in one',
    )
  return Outcome(
    True, float(len(shared)), f'both end in{show(shared)} and begin alike'
  )


def _kept(tokens_NT, length_N):
  return [
    ids[:n] for ids, n in zip(tokens_NT, length_N.tolist(), strict=True) if n
  ]


def _common_end(rows):
  """Tokens that all rows end with."""
  if not rows:
    return np.zeros(0, np.int64)
  most = min(len(row) for row in rows)
  stacked = np.stack([row[len(row) - most :] for row in rows])
  alike_T = (stacked == stacked[:1]).all(0)[::-1]
  count = most if alike_T.all() else int(np.argmin(alike_T))
  return stacked[0, most - count :]


def _usual_start(rows):
  """The token that more than half of the rows begin with, or None."""
  ids, count = np.unique([row[0] for row in rows], return_counts=True)
  at = int(np.argmax(count))
  return int(ids[at]) if count[at] > len(rows) / 2 else None


def evaluation_leakage(subject) -> Outcome:
  """No row of the evaluation data stands in the training data.

  A row leaks where more than half of its windows of 8 tokens are there; windows
  that a tenth of the evaluation rows share are the template's and do not count.
  The value is the share of rows that leak.
  """
  rows = subject.batches['evaluation']
  own = [
    np.unique(x[ok])
    for part in _windows(rows)
    for x, ok in zip(*part, strict=True)
  ]
  every, count = np.unique(np.concatenate(own), return_counts=True)
  rare = every[count <= max(1, COMMON * len(own))]
  own = [x[np.isin(x, rare)] for x in own]
  seen = [np.zeros(0, np.uint64)]
  for name, part, _ in _sides(subject):
    if name != 'evaluation' and not name.startswith('test'):
      seen += [np.intersect1d(x[ok], rare) for x, ok in _windows(part)]
  seen = np.unique(np.concatenate(seen))
  shares = [np.isin(x, seen).mean() if len(x) else 0.0 for x in own]
  leaked = [i for i, share in enumerate(shares) if share > LEAKED]
  short = sum(not len(x) for x in own)
  more = f'; {short} are too short to tell' if short else ''
  if not leaked:
    said = f'none of {len(own)} evaluation rows is trained on{more}'
    return Outcome(True, 0.0, said)
  ids = rows.tokens_NT[leaked[0], : rows.length_N[leaked[0]]]
  return Outcome(
    False,
    len(leaked) / len(own),
    f'{len(leaked)} of {len(own)} evaluation rows stand in the training data, '
    f'the first is row {leaked[0]}{quoted(subject.tokenizer, ids)}{more}',
  )


def _windows(rows):
  """Yields (hashes, which are of real tokens), [rows, windows], in parts."""
  weight = np.random.default_rng(0).integers(1, 2**63, WINDOW, np.uint64)
  grow = max(WINDOW - rows.tokens_NT.shape[1], 0)
  for at in range(0, len(rows.length_N), CHUNK):
    part = rows.tokens_NT[at : at + CHUNK].astype(np.uint64)
    tokens_NT = np.pad(part, ((0, 0), (0, grow)))
    view = np.lib.stride_tricks.sliding_window_view(tokens_NT, WINDOW, 1)
    hashes_NW = (view * (weight | np.uint64(1))).sum(-1, dtype=np.uint64)
    last_NW = np.arange(hashes_NW.shape[1])[None] + WINDOW
    yield hashes_NW, last_NW <= rows.length_N[at : at + CHUNK, None]


def settings(subject) -> Outcome:
  """Replies are scored as they were drawn, and batches divide."""
  own, wrong = subject.settings, ''
  if not own.temperature > 0:
    wrong = f'wanted a temperature above 0, got {own.temperature}'
  elif own.top_k or own.top_p < 1:
    wrong = (
      f'replies drawn with top_k {own.top_k}, top_p {own.top_p} are not scored '
      'so: wanted top_k 0 and top_p 1'
    )
  elif own.minibatch_size and own.batch_size % own.minibatch_size:
    wrong = (
      f'minibatch_size {own.minibatch_size} does not divide batch_size '
      f'{own.batch_size}: rows would be left out'
    )
  return Outcome(not wrong, own.temperature, wrong or 'sampled as scored')
