"""A teacher's distributions on disk: written once, read by every student.

NAME.npz   tokens_NT, length_N, kind_N of the texts; and of each token but
           the first of its text, M in all: row_M and column_M (where it
           stands in tokens_NT), logp_MC (its 50 largest log-probabilities
           and that of the rest) and id_MK
prefixes.json  ids that the teacher and its student read before each text;
           neither is in it
"""

from pathlib import Path

import jax
import numpy as np

from experiments.shared.files import read_arrays, read_json
from rlhf_jax.digests import write_json
from rlhf_jax.types import DistilBatch

KINDS = ('generic', 'question')  # of texts, by number
NAMES = 'tokens_NT length_N kind_N row_M column_M logp_MC id_MK'.split()
PREFIXES = 'prefixes.json'


def places(length_N):
  """(row_M, column_M) of all tokens but the first of each text."""
  count_N = np.maximum(np.asarray(length_N) - 1, 0)
  row_M = np.repeat(np.arange(len(count_N)), count_N)
  start_N = np.cumsum(count_N) - count_N
  return row_M, np.arange(len(row_M)) - start_N[row_M] + 1


def write_targets(path, rows, kind_N, top_fn, batch_size, vocab_size):
  """Asks the teacher of every text, and writes what it says.

  Args:
    path: of the .npz file.
    rows: (tokens_NT, length_N).
    kind_N: of each text, a place in KINDS.
    top_fn: (tokens_BT, length_B) -> (logp_BTC, id_BTK), jitted.
    batch_size: texts a call; the last call is padded with the last text.
    vocab_size: of the tokens.

  Returns:
    Tokens that have a target.
  """
  tokens_NT, length_N = rows
  N, parts = len(length_N), []
  for i in range(0, N, batch_size):
    index_B = np.minimum(np.arange(i, i + batch_size), N - 1)
    out = jax.device_get(top_fn(tokens_NT[index_B], length_N[index_B]))
    real = min(batch_size, N - i)
    place = places(length_N[i : i + real])
    parts.append([x[:real][place] for x in out])
  row_M, column_M = places(length_N)
  small = np.min_scalar_type(vocab_size)
  np.savez(
    path,
    tokens_NT=tokens_NT.astype(small),
    length_N=length_N,
    kind_N=np.asarray(kind_N, np.int8),
    row_M=row_M.astype(np.int32),
    column_M=column_M.astype(np.int16),
    logp_MC=np.concatenate([logp for logp, _ in parts]).astype(np.float32),
    id_MK=np.concatenate([ids for _, ids in parts]).astype(small),
  )
  return len(row_M)


def read_targets(path):
  """(DistilBatch of all texts in NumPy, kind_N) of such a file.

  Raises:
    FileNotFoundError, DamagedError: as `read_arrays`.
  """
  data = read_arrays(path, *NAMES)
  N, T = data['tokens_NT'].shape
  place = data['row_M'], data['column_M']

  def spread(x_MK):
    x_NTK = np.zeros((N, T, x_MK.shape[1]), x_MK.dtype)
    x_NTK[place] = x_MK
    return x_NTK

  batch = DistilBatch(
    data['tokens_NT'].astype(np.int32),
    data['length_N'].astype(np.int32),
    spread(data['logp_MC']),
    spread(data['id_MK']),
  )
  return batch, data['kind_N']


def write_prefixes(folder, teacher, student):
  """Writes the ids that are read before each text."""
  found = {'teacher': list(teacher), 'student': list(student)}
  write_json(Path(folder) / PREFIXES, found)


def student_prefix(folder) -> tuple[int, ...]:
  """Ids that a student reads before each text; () in folders of before."""
  if not (Path(folder) / PREFIXES).exists():
    return ()
  return tuple(read_json(Path(folder) / PREFIXES)['student'])
