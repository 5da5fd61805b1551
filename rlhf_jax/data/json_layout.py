"""JSON lines or one JSON array: told by the first lines of a file together.

One character does not tell them: the first line of JSON lines may be damaged
and begin with a bracket, and then it alone is no record. Two neighbouring lines
that are each a whole JSON value never stand in an array, which has a comma
between them.
"""

import codecs
import gzip
import itertools
import json
import zlib

from rlhf_jax.data.faults import BrokenFile

ARRAY, LINES = 'array', 'lines'
GZIP_FAULTS = (EOFError, zlib.error, gzip.BadGzipFile)

_LINES = 8  # that are looked at, blank ones apart
_BYTES = 1 << 17  # of all of them
_WHOLE, _BEGUN, _DAMAGED = 'whole', 'begun', 'damaged'
_IN_A_STRING = ('Unterminated string', 'Invalid control character')


def layout_of(stream) -> str | BrokenFile:
  """ARRAY, LINES, or what is wrong with text that is neither.

  Args:
    stream: binary, at its beginning, where it is left.
  """
  lines, ended = _first_lines(stream)
  stream.seek(0)
  if not lines or lines[0][:1] not in (b'[', b'{'):
    return LINES
  array = lines[0].startswith(b'[')
  if len(lines) == 1:
    return ARRAY if array else _only_line(lines[0])
  states = [_state(line) for line in lines]
  first, second = states[:2]
  if first == _WHOLE or (_WHOLE, _WHOLE) in itertools.pairwise(states):
    return LINES
  if first == _DAMAGED:
    return LINES if second == _WHOLE or not array else ARRAY
  if array:
    return ARRAY
  if ended and len(lines) == 2 and second == _WHOLE:
    return LINES  # an object would need a line that closes it
  return _over_lines()


def _first_lines(stream):
  """(lines that are not blank, the last perhaps not whole; whether all)."""
  lines, left, first = [], _BYTES, True
  try:
    while left > 0 and len(lines) < _LINES:
      line = stream.readline(left)
      if not line:
        return lines, True
      if first:
        line, first = line.removeprefix(codecs.BOM_UTF8), False
      if line.strip():
        left -= len(line)
        lines.append(line.lstrip())
  except GZIP_FAULTS:
    pass  # who reads the rows meets it where it is
  return lines, False


def _state(line):
  """Whether a line is a JSON value, may be mended by later lines, or not."""
  if not line.endswith(b'\n') and len(line) > _BYTES // _LINES:
    return _BEGUN  # or cut by the look at it
  try:
    text = line.decode()
    json.loads(text)
  except json.JSONDecodeError as error:
    begun = error.pos >= len(text.rstrip())
    return _BEGUN if begun and not _in_a_string(error) else _DAMAGED
  except (ValueError, RecursionError):
    return _DAMAGED
  return _WHOLE


def _in_a_string(error):
  return error.msg.startswith(_IN_A_STRING)


def _only_line(line):
  """LINES, or the fault of a file of records without line ends between them."""
  text = line.decode(errors='replace')
  decoder = json.JSONDecoder()
  try:
    _, end = decoder.raw_decode(text)
    rest = text[end:].lstrip()
    if not rest.startswith('{'):
      return LINES
    decoder.raw_decode(rest)
  except json.JSONDecodeError as error:
    cut = len(line) >= _BYTES and error.doc is not text
    if not cut:
      return LINES
  except (ValueError, RecursionError):
    return LINES
  return BrokenFile(
    'no line ends',
    'one JSON object a line',
    'several in one line',
    'put a line end behind each',
  )


def _over_lines():
  return BrokenFile(
    'object over several lines',
    'one JSON object a line, or one array of objects',
    'an object that does not end in its line',
    'write each record in one line, or all of them in one array',
  )
