"""Checks of what a model computes: pads, neighbours, later tokens, scores."""

import jax.numpy as jnp
import numpy as np

from rlhf_jax.check.findings import Outcome

# Largest difference that is rounding, in standard deviations of the numbers.
EXACT, ROUNDED = 1e-3, 5e-2
MORE_PADS = 3


def tolerance(subject) -> float:
  """Largest difference that the model's numbers may have by rounding."""
  return EXACT if subject.settings.dtype == 'float32' else ROUNDED


def _real(length_B, T):
  return np.arange(T)[None] < np.asarray(length_B)[:, None]


def _with_other_pads(rows, pad_id):
  """The rows with more pads, of other content: ids that the rows have."""
  tokens_BT, length_B = rows
  B, T = tokens_BT.shape
  wide_BT = np.full((B, T + MORE_PADS), pad_id, np.int32)
  wide_BT[:, :T] = tokens_BT
  others_BT = np.roll(wide_BT[:, ::-1], 1, axis=0)
  return np.where(_real(length_B, T + MORE_PADS), wide_BT, others_BT), length_B


def _padded(rows, pad_id):
  real_BT = _real(rows.length_N, rows.tokens_NT.shape[1])
  return np.where(real_BT, rows.tokens_NT, pad_id), rows.length_N


def _difference(a, b) -> float:
  """Largest |a - b| over the spread of a; NaN counts as infinite."""
  a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
  found = np.abs(a - b).max(initial=0.0) / max(1.0, float(np.std(a)))
  return float(found) if np.isfinite(found) else float('inf')


def _numbers(subject, which):
  """Rows -> numbers of the real tokens, of `logits_fn` or of `score_fn`."""
  if which == 'score':
    return lambda rows: np.asarray(subject.score_fn(*rows), np.float32)

  def logits(rows):
    out_BTV = np.asarray(subject.logits_fn(*rows), np.float32)
    return out_BTV[_real(rows[1], rows[0].shape[1])]

  return logits


def padding_invariance(subject, which) -> Outcome:
  """Right pads, however many and whatever they hold, change nothing."""
  rows, numbers = subject.rows(), _numbers(subject, which)
  plain = numbers(_padded(rows, subject.pad_id))
  other = numbers(_with_other_pads(rows, subject.pad_id))
  found = _difference(plain, other)
  ok = found <= tolerance(subject)
  return Outcome(
    ok,
    found,
    f'right pads change no {which}'
    if ok
    else f'right pads change a {which} by {found:.2g} standard deviations: '
    'make the mask from length_B, and read a score at length_B - 1',
  )


def batch_invariance(subject, which) -> Outcome:
  """A row gives the same whatever else is in its batch."""
  rows, numbers = subject.rows(), _numbers(subject, which)
  tokens_BT, length_B = _padded(rows, subject.pad_id)
  B = len(length_B)
  # Row 0 moves to the end, and its companions are all another row.
  other = np.array([*[1 % B] * (B - 1), 0])
  alone = numbers((tokens_BT, length_B))
  moved = numbers((tokens_BT[other], length_B[other]))
  if which == 'score':
    found = _difference(alone[:1], moved[-1:])
  else:
    n = int(length_B[0])
    found = _difference(alone[:n], moved[-n:])
  ok = found <= tolerance(subject)
  return Outcome(
    ok,
    found,
    f'other rows change no {which}'
    if ok
    else f'other rows change the {which} of a row by {found:.2g} standard '
    'deviations: something is averaged over the batch (batch normalisation?)',
  )


def no_dropout(subject, which) -> Outcome:
  """Two passes over the same rows give the same bits."""
  rows, numbers = subject.rows(), _numbers(subject, which)
  rows = _padded(rows, subject.pad_id)
  found = _difference(numbers(rows), numbers(rows))
  return Outcome(
    found == 0,
    found,
    f'two passes give the same {which}'
    if found == 0
    else f'two passes over the same rows differ by {found:.2g} standard '
    'deviations: switch dropout off, also in the reference and the scorer',
  )


def causal(subject) -> Outcome:
  """No logit sees a later token."""
  tokens_BT, length_B = _padded(subject.rows(), subject.pad_id)
  changed_BT, last = tokens_BT.copy(), (np.arange(len(length_B)), length_B - 1)
  old_B, other_B = tokens_BT[last], np.roll(tokens_BT[last], 1)
  beside_B = np.where(old_B > 0, old_B - 1, old_B + 1)
  changed_BT[last] = np.where(other_B == old_B, beside_B, other_B)
  before_BT = _real(length_B - 1, tokens_BT.shape[1])
  read = lambda x: np.asarray(subject.logits_fn(x, length_B), np.float32)
  found = _difference(read(tokens_BT)[before_BT], read(changed_BT)[before_BT])
  ok = found <= tolerance(subject)
  return Outcome(
    ok,
    found,
    'a logit sees no later token'
    if ok
    else f'the last token changes logits before it by {found:.2g} standard '
    'deviations: the attention mask is not causal',
  )


def reward_dtype(subject) -> Outcome:
  """Scores are one float32 a row, finite, and were never rounded."""
  rows = _padded(subject.rows(), subject.pad_id)
  score_B = jnp.asarray(subject.score_fn(*rows))
  value = np.asarray(score_B, np.float64)
  wrong = ''
  if score_B.shape != rows[1].shape:
    wrong = f'wanted one score a row, got the shape {score_B.shape}'
  elif score_B.dtype != jnp.float32:
    wrong = f'wanted float32, got {score_B.dtype}'
  elif not np.isfinite(value).all():
    wrong = 'a score is not finite'
  elif len(value) > 1 and (value == np.round(value)).all():
    wrong = 'every score is a whole number: an integer type on the way?'
  elif len(value) > 1 and (value == _rounded(score_B)).all():
    wrong = 'every score was rounded to bfloat16: keep the head in float32'
  spread = float(value.std()) if value.size else 0.0
  return Outcome(not wrong, spread, wrong or 'one finite float32 a row')


def _rounded(score_B):
  return np.asarray(
    score_B.astype(jnp.bfloat16).astype(jnp.float32), np.float64
  )
