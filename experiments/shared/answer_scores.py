"""Log-probabilities of answers by any language model that can be opened."""

import functools

import jax
import numpy as np

from experiments.shared.devices import jit_named
from experiments.shared.sampling import split_model
from rlhf_jax.evals.answers import make_answer_logps
from rlhf_jax.text.answer_rows import answer_rows
from rlhf_jax.text.encode import pad_batch
from rlhf_jax.train.progress import Progress

NARROWEST = 64  # columns of the first length bucket
MOST = 1024  # tokens of a row, where the model does not state its context
WIDE = 2048  # tokens of a row, however long the context


def room_of(opened):
  """Most tokens of a row that an Opened reads."""
  return min(opened.context or MOST, WIDE)


def bucket(length, most):
  """Columns for a row: 64, 96, 128, 192, ..., or `most`."""
  columns = NARROWEST
  while columns < length:
    # 2^k is followed by 3 * 2^(k - 1), and that by 2^(k + 1).
    columns += columns // (3 if columns % 3 == 0 else 2)
  return min(columns, most)


@functools.cache
def _program(functions, max_answer):
  logps = make_answer_logps(split_model(functions), max_reply=max_answer)
  return jit_named(logps, f'answers_{max_answer}')


def answer_scores(opened, asked, label, batch=16):
  """[(logp_C, tokens_C)]: of each AskedFor the answers' log-probabilities.

  In nats at temperature 1, summed over the tokens of the answer, and how many
  these are.

  Args:
    opened: Opened, a language model.
    asked: list of AskedFor.
    label: of the progress.
    batch: rows a call.
  """
  most, words = room_of(opened), opened.tokenizer
  read = [answer_rows(words, one, most) for one in asked]
  rows = [row for own, _ in read for row in own]
  lost = sum(cut > 0 for _, cut in read)
  if lost:
    print(
      f'{label}: {lost} of {len(read)} texts have lost their beginning, the '
      f'model reads {most} tokens',
      flush=True,
    )
  tokens_N = np.array([len(ids) - first for ids, first in rows])
  longest = 1 << max(3, int(tokens_N.max() - 1).bit_length())
  logps = _program(opened.functions, longest)
  width_N = np.array([bucket(len(ids), most) for ids, _ in rows])
  parts = [
    inside[i : i + batch]
    for width in np.unique(width_N)
    for inside in [np.flatnonzero(width_N == width)]
    for i in range(0, len(inside), batch)
  ]
  logp_N = np.zeros(len(rows))
  for i in Progress(0, len(parts), label):
    full = np.pad(parts[i], (0, batch - len(parts[i])), mode='edge')
    tokens_BT, length_B = pad_batch(
      [rows[n][0] for n in full], width_N[full[0]], words.pad_id
    )
    first_B = np.array([rows[n][1] for n in full], np.int32)
    found = jax.device_get(logps(opened.params, tokens_BT, first_B, length_B))
    logp_N[parts[i]] = found[: len(parts[i])]
  ends = np.cumsum([len(one.answers) for one in asked])[:-1]
  return list(
    zip(np.split(logp_N, ends), np.split(tokens_N, ends), strict=True)
  )
