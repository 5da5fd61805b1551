"""Opening GGUF files: what their reader raises on bad bytes, said in one line.

The vocabulary is read by `rlhf_jax.text.pretrained`, the weights by
`rlhf_jax.models.pretrained.gguf`.
"""

import functools
import struct
from pathlib import Path

from rlhf_jax.text.tokenizer_files import need

MAGIC = b'GGUF'


def open_gguf(path):
  """A `gguf.GGUFReader` of the file; its tensors are mapped, not read.

  Raises:
    FileNotFoundError: if there is no such file.
    ValueError: if the package `gguf` or the magic is missing, or the file ends
      before what its header announces.
  """
  need('gguf', 'gguf')
  path = Path(path)
  with path.open('rb') as file:
    magic = file.read(4)
  if magic != MAGIC:
    raise ValueError(
      f'{path}: wanted a GGUF file, which begins with {MAGIC!r}, got '
      f'{magic!r}; give the path of a .gguf file'
    )
  stat = path.stat()
  return _open(str(path), stat.st_size, stat.st_mtime_ns)


@functools.lru_cache(maxsize=1)  # vocabulary and weights take one reading
def _open(path, size, modified):
  del modified
  reader = need('gguf', 'gguf').GGUFReader
  try:
    return reader(path)
  except (ValueError, IndexError, KeyError, TypeError, struct.error) as error:
    raise ValueError(
      f'{path}: a GGUF file that is truncated or corrupt at {size} bytes '
      f'({error}); download it again'
    ) from error


def field(reader, key, default=None):
  """The value of a key of the file's header.

  Raises:
    ValueError: if the file lacks the key and no default is given.
  """
  found = reader.get_field(key)
  if found is not None:
    return found.contents()
  if default is None:
    raise ValueError(
      f'wanted a GGUF file with the key {key!r}, got one without; convert the '
      'model again with a newer llama.cpp'
    )
  return default
