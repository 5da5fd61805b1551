"""Equality of written outputs up to the last digit of their numbers.

Kernels of another processor sum in another order, so that a number that is
written with some decimals may end in another digit.
"""

import re

NUMBER = re.compile(r'-?\d+\.\d+(?:e-?\d+)?|-?\d+(?:e-?\d+)?')
# Matplotlib names parts of a picture by a digest of what is in them.
NAME = re.compile(r'\b[a-zA-Z][0-9a-f]{10}\b')
FEWEST = 3  # decimals; numbers with fewer have to be equal


def differing(one, other):
  """What differs between two outputs: '' or a line that says where.

  Args:
    one, other: text, or lists and dicts of texts.
  """
  if isinstance(one, str) and isinstance(other, str):
    return _differing_texts(_renamed(one), _renamed(other))
  if type(one) is not type(other) or len(one) != len(other):
    return f'{_short(one)} is not {_short(other)}'
  if isinstance(one, dict):
    if one.keys() != other.keys():
      return f'{sorted(one)} are not {sorted(other)}'
    pairs = [(one[key], other[key]) for key in one]
  else:
    pairs = zip(one, other, strict=True)
  return next(filter(None, (differing(a, b) for a, b in pairs)), '')


def _renamed(text):
  """The text with its digests numbered in the order in which they come."""
  found = {}
  return NAME.sub(lambda m: f'<{found.setdefault(m[0], len(found))}>', text)


def _differing_texts(one, other):
  if NUMBER.sub('#', one) != NUMBER.sub('#', other):
    return f'{_short(one)} is not {_short(other)}'
  pairs = zip(NUMBER.findall(one), NUMBER.findall(other), strict=True)
  return next((f'{a} is not {b}' for a, b in pairs if not _close(a, b)), '')


def _close(one, other):
  """Equal, or apart by one of the last digit that either of them has."""
  if one == other:
    return True
  if 'e' in one or 'e' in other:
    return abs(float(one) - float(other)) <= 1e-5 * abs(float(one))
  places = max(len(x.partition('.')[2]) for x in (one, other))
  return places >= FEWEST and (
    abs(float(one) - float(other)) <= 1.001 * 10.0**-places
  )


def _short(value):
  text = str(value)
  return text if len(text) <= 80 else f'{text[:77]}...'
