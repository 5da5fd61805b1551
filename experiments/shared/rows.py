"""Rows of ids on disk, as `train_lm` reads them."""

import numpy as np

from rlhf_jax.text.encode import pad_batch


def write_rows(path, rows, tokenizer, width, starts=None):
  """Writes rows of ids as tokens_NT and length_N; how many tokens they hold.

  Args:
    path: of the .npz file.
    rows: lists of ids.
    tokenizer: of them.
    width: columns, the longest row's at least.
    starts: first token of each row to learn, loss_start_N; None: all are.
  """
  tokens_NT, length_N = pad_batch(rows, width, tokenizer.pad_id)
  tokens_NT = tokens_NT.astype(np.min_scalar_type(tokenizer.vocab_size))
  more = {} if starts is None else {'loss_start_N': np.int32(starts)}
  np.savez(path, tokens_NT=tokens_NT, length_N=length_N, **more)
  return int(length_N.sum())
