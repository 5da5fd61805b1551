"""Opening GGUF files: what their reader raises on bad bytes, said in one line.

The vocabulary is read by `rlhf_jax.text.pretrained`, the weights by
`rlhf_jax.models.pretrained.gguf`.
"""

import functools
import struct
from pathlib import Path

from rlhf_jax.text.gguf_header import BigEndianError, check_header
from rlhf_jax.text.tokenizer_files import need

MAGIC = b'GGUF'


def open_gguf(path):
  """A `gguf.GGUFReader` of the file; its tensors are mapped, not read.

  Raises:
    FileNotFoundError: if there is no such file.
    ValueError: if the package `gguf` or the magic is missing, the file ends
      before what its header announces, or it is big-endian.
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
    check_header(path)
    return reader(path)
  except BigEndianError:
    raise ValueError(
      f'{path}: wanted a little-endian GGUF file, got a big-endian one; '
      f'convert it with `gguf-convert-endian {path} little`'
    ) from None
  except (
    ValueError,
    LookupError,
    TypeError,
    OverflowError,
    struct.error,
  ) as error:
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
    return _contents(reader, key, found)
  if default is None:
    raise ValueError(
      f'wanted a GGUF file with the key {key!r}, got one without; convert the '
      'model again with a newer llama.cpp'
    )
  return default


def _contents(reader, key, found):
  try:
    return found.contents()
  except UnicodeDecodeError as error:
    raise ValueError(
      f'{reader.data.filename}: wanted UTF-8 for the key {key!r}, got other '
      f'bytes ({error}); download it again'
    ) from error


def fields_below(reader, prefix) -> dict:
  """{key without the prefix: value} of the header's keys that begin so."""
  return {
    key.removeprefix(prefix): _contents(reader, key, found)
    for key, found in reader.fields.items()
    if key.startswith(prefix)
  }
