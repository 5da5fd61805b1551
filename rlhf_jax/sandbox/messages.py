"""Plain data over a pipe: what the checker and the solver say to each other.

    message   4 bytes of length, then JSON
    data      None, bool, int, float, text; and as [letter, ...]: list, tuple,
              set, frozenset, dict, bytes, complex, Fraction, Decimal

An object of a subclass goes as the class above it, which equals it (a Counter
as a dict). Whatever else an object is, its methods stay on its side: no
__eq__ of one side is ever called by the other.
"""

import importlib
import json
import os
import sys

MOST = 1 << 22  # bytes of a message
_MANY = {'l': list, 't': tuple, 's': set, 'f': frozenset}
# Imported where one comes, for a start that is as short as may be.
_RARE = {'q': ('fractions', 'Fraction'), 'm': ('decimal', 'Decimal')}
_PLAIN = (int, float, str)


class NotPlain(ValueError):  # noqa: N818
  """An object that is no data, or a message that is no message."""


def encode(value):
  """A value as JSON has it.

  Raises:
    NotPlain: if it is, or holds, something else than data.
  """
  if value is None or isinstance(value, bool):
    return value
  for kind in _PLAIN:
    if isinstance(value, kind):
      return kind(value)
  for letter, kind in _MANY.items():
    if isinstance(value, kind):
      return [letter, *map(encode, value)]
  if isinstance(value, dict):
    return ['d', *([encode(k), encode(v)] for k, v in value.items())]
  if isinstance(value, bytes | bytearray):
    return ['b', value.hex()]
  if isinstance(value, complex):
    return ['c', value.real, value.imag]
  if isinstance(value, _known('q')):
    return ['q', value.numerator, value.denominator]
  if isinstance(value, _known('m')):
    return ['m', str(value)]
  raise NotPlain(f'{type(value).__name__} is no plain data')


def _known(letter):
  """A class of _RARE; () if there can be none of it, being not imported."""
  module, name = _RARE[letter]
  return getattr(sys.modules.get(module), name, ())


def decode(found):
  """The value that `encode` wrote.

  Raises:
    NotPlain: if it wrote no such thing.
  """
  if found is None or isinstance(found, bool | int | float | str):
    return found
  try:
    if not isinstance(found, list):
      raise TypeError
    letter, *rest = found
    if letter in _MANY:
      return _MANY[letter](map(decode, rest))
    if letter == 'd':
      return {decode(key): decode(value) for key, value in rest}
    if letter in _RARE:
      module, name = _RARE[letter]
      return getattr(importlib.import_module(module), name)(*rest)
    return {'b': bytes.fromhex, 'c': complex}[letter](*rest)
  except (ArithmeticError, KeyError, TypeError, ValueError):
    raise NotPlain(f'{str(found)[:40]} is no message') from None


def send(fd, value):
  """Writes a message.

  Raises:
    NotPlain: if it is no data, too long or too deep.
  """
  try:
    text = json.dumps(encode(value)).encode()
  except (RecursionError, ValueError) as error:
    raise NotPlain(str(error)) from None
  if len(text) > MOST:
    raise NotPlain(f'{len(text)} bytes are more than {MOST}')
  data = len(text).to_bytes(4, 'big') + text
  while data:
    data = data[os.write(fd, data) :]


def receive(fd):
  """Reads a message.

  Raises:
    EOFError: if the other side has closed the pipe.
    NotPlain: if what came is no message.
  """
  length = int.from_bytes(_exactly(fd, 4), 'big')
  if length > MOST:
    raise NotPlain(f'{length} bytes are more than {MOST}')
  try:
    return decode(json.loads(_exactly(fd, length)))
  except (RecursionError, ValueError) as error:
    raise NotPlain(str(error)) from None


def _exactly(fd, count):
  data = b''
  while len(data) < count:
    more = os.read(fd, count - len(data))
    if not more:
      raise EOFError('the other side is gone')
    data += more
  return data
