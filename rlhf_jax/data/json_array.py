"""The elements of a JSON array that is larger than memory."""

import json
import re
from collections.abc import Iterator

_CHUNK = 1 << 16  # characters of an array that are read at once
_TOKEN = 16  # characters of the longest token of JSON, strings aside
_NOTHING = object()
_BLANKS = re.compile(r'\s*')
_AFTER = re.compile(r'\s*([,\]])')  # an element of an array


def plain_object(pairs: list[tuple[str, object]]) -> dict:
  """The object of these (key, value) pairs, for `object_pairs_hook`.

  Raises:
    ValueError: if a key is there twice: nobody knows which value is meant.
  """
  found = dict(pairs)
  if len(found) < len(pairs):
    keys = [key for key, _ in pairs]
    twice = next(key for key in keys if keys.count(key) > 1)
    raise ValueError(f'the key {twice!r:.60} twice')
  return found


def elements(text) -> Iterator:
  """The values of the array in a text stream, each decoded when it is whole.

  Raises:
    ValueError: where it is no JSON.
  """
  decoder, step = json.JSONDecoder(object_pairs_hook=plain_object), _CHUNK
  buffer = ''
  while not buffer and (more := text.read(step)):
    buffer = more.lstrip()
  place = 1  # behind the bracket, in the buffer
  while True:
    value, after, fault = _next_element(decoder, buffer, place)
    if after is None:
      more = text.read(step)
      step *= 2  # so a long element is decoded a few times at most
      if not more:
        raise fault
      buffer, place = buffer[place:] + more, 0
      continue
    if value is not _NOTHING:
      yield value
    place, step = after.end(), _CHUNK
    if after[1] == ']':
      if (buffer[place:] + text.read(_CHUNK)).strip():
        raise ValueError('there is more text after the array')
      return


def _next_element(decoder, buffer, place):
  """(value, match of what follows it, None), or (_, None, fault so far).

  Raises:
    ValueError: if no more text can mend the fault.
  """
  place = _BLANKS.match(buffer, place).end()
  if buffer.startswith(']', place):
    return _NOTHING, _AFTER.match(buffer, place), None
  try:
    value, end = decoder.raw_decode(buffer, place)
  except json.JSONDecodeError as error:
    unended = error.msg.startswith('Unterminated string')
    if not unended and error.pos < len(buffer) - _TOKEN:
      raise
    return _NOTHING, None, error
  after = _AFTER.match(buffer, end)
  if after is None and buffer[end:].strip():
    raise ValueError(f'wanted , or ] and got {buffer[end : end + 20]!r}')
  return value, after, ValueError('the array has no end')
