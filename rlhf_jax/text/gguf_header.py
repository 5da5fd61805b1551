"""A GGUF header against its file's size, before anybody believes its numbers.

Lengths and counts in it are 64 bits that anybody can write. Each is compared
with the bytes that are left, so that reading takes time and memory in
proportion to the file.

Reference: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import mmap
import struct

BYTES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
STRING, ARRAY = 8, 9
_MOST_DIMENSIONS = 4
_LEAST = {'pair': 13, 'tensor': 24}  # bytes that one of them takes
MOST_VALUES = 2**22  # of an array: the reader keeps an object for each
_WEIGHTS_PER_BYTE = 8  # no quantisation is below one bit a weight


class _Cursor:
  """A place in the header; every step is checked against the end."""

  def __init__(self, data):
    self.data, self.at = data, 4  # behind the magic

  def skip(self, count):
    """Goes on by so many bytes."""
    if count > len(self.data) - self.at:
      raise ValueError(
        f'{count} bytes are announced at {self.at}, and '
        f'{len(self.data) - self.at} are left'
      )
    self.at += count

  def read(self, layout):
    """A little-endian number."""
    start = self.at
    self.skip(struct.calcsize(f'<{layout}'))
    return struct.unpack_from(f'<{layout}', self.data, start)[0]

  def several(self, what, least):
    """A count of things that take at least so many bytes each."""
    count, left = self.read('Q'), len(self.data) - self.at
    if count * least > left:
      raise ValueError(f'{count} {what}s are announced in {left} bytes')
    return count


def check_header(path):
  """Walks over the header of a GGUF file of version 2 or 3.

  Raises:
    ValueError: if a length or a count is more than the file has room for, an
      array holds arrays, or the file is big-endian, saying so in a few words.
  """
  with open(path, 'rb') as file:
    if file.seek(0, 2) < 8:
      raise ValueError('its header is cut')
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
      _walk(_Cursor(data))


def _walk(cursor):
  version = cursor.read('I')
  if version & 0xFFFF == 0:
    raise BigEndianError('its numbers are big-endian')
  if version not in (2, 3):
    raise ValueError(f'it has version {version}: wanted 2 or 3')
  tensors = cursor.several('tensor', _LEAST['tensor'])
  for _ in range(cursor.several('key', _LEAST['pair'])):
    cursor.skip(cursor.read('Q'))
    _skip_value(cursor, cursor.read('I'))
  for _ in range(tensors):
    cursor.skip(cursor.read('Q'))
    _check_tensor(cursor)


def _skip_value(cursor, kind):
  if kind == STRING:
    cursor.skip(cursor.read('Q'))
  elif kind == ARRAY:
    of = cursor.read('I')
    if of != STRING and of not in BYTES:
      raise ValueError(f'an array of values of the type {of}')
    count = cursor.several('value', BYTES.get(of, 8))
    if count > MOST_VALUES:
      raise ValueError(f'an array of {count} values, above {MOST_VALUES}')
    if of == STRING:
      for _ in range(count):
        cursor.skip(cursor.read('Q'))
    else:
      cursor.skip(count * BYTES[of])
  elif kind in BYTES:
    cursor.skip(BYTES[kind])
  else:
    raise ValueError(f'a value of the type {kind}')


def _check_tensor(cursor):
  dimensions = cursor.read('I')
  if dimensions > _MOST_DIMENSIONS:
    raise ValueError(f'a tensor of {dimensions} dimensions')
  elements = 1
  for _ in range(dimensions):
    elements *= cursor.read('Q')
  if elements > _WEIGHTS_PER_BYTE * len(cursor.data):
    raise ValueError(f'a tensor of {elements} weights')
  cursor.read('I')
  cursor.read('Q')


class BigEndianError(ValueError):
  """A file for machines of the other byte order."""
