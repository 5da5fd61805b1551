"""Objects of JSON files that others wrote: each value with its type and range.

A wrong value is one line: which file, which key, what was wanted, what came.
"""

from pathlib import Path
from typing import Any

MOST = 2**31 - 1  # what an int32, such as a token's id, can be
LARGEST = 1e300
_SHOWN = 60  # characters of a wrong value in a message


def _is_finite(x):
  number = isinstance(x, int | float) and not isinstance(x, bool)
  return number and abs(x) < LARGEST  # whole numbers may be of any length


def shown(value) -> str:
  """A value in a message: its beginning, on one line."""
  text = repr(value)
  return text if len(text) <= _SHOWN else f'{text[:_SHOWN]}...'


class Checked:
  """A JSON object; each method reads one key.

  A key that is missing gives its default; null is a value of some keys alone.
  """

  def __init__(
    self,
    content: dict[str, Any],
    where,
    defaults: dict[str, Any] | None = None,
    nullable=(),
    error: type[ValueError] = ValueError,
  ):
    """Wraps an object.

    Args:
      content: the object.
      where: path of its file, for messages.
      defaults: values of keys that it may lack.
      nullable: keys that may be null, which is then what they give.
      error: class of what is raised.

    Raises:
      ValueError: (of the class `error`) if it is no object; so do all methods.
    """
    self._where, self._error = where, error
    self._defaults, self._nullable = defaults or {}, nullable
    if not isinstance(content, dict):
      self.fail(f'wanted a JSON object, got {shown(content)}')
    self._content = content

  def __contains__(self, key):
    return key in self._content

  def __iter__(self):
    return iter(self._content)

  def fail(self, message):
    """Raises an error that begins with the file."""
    raise self._error(f'{self._where}: {message}')

  def value(self, key):
    """The value of a key as it stands, or its default."""
    if key in self._content:
      return self._content[key]
    if key in self._defaults:
      return self._defaults[key]
    name = Path(str(self._where)).name
    self.fail(f'{name} has no {key!r}: download or save the model again')

  def _checked(self, key, wanted, holds):
    found = self.value(key)
    if holds(found) or (found is None and key in self._nullable):
      return found
    self.fail(f'wanted {key} to be {wanted}, got {shown(found)}: correct it')

  def whole(self, key, least: int = 1, most: int = MOST):
    """A whole number from least to most."""
    whole = lambda x: isinstance(x, int) and not isinstance(x, bool)
    return self._checked(
      key,
      f'a whole number from {least} to {most}',
      lambda x: whole(x) and least <= x <= most,
    )

  def positive(self, key):
    """A finite number above 0, as a float."""
    holds = lambda x: _is_finite(x) and x > 0
    return float(self._checked(key, 'a finite number above 0', holds))

  def number(self, key):
    """A finite number, as a float."""
    return float(self._checked(key, 'a finite number', _is_finite))

  def flag(self, key):
    """True or False."""
    return self._checked(key, 'true or false', lambda x: isinstance(x, bool))

  def text(self, key):
    """Characters."""
    return self._checked(key, 'a text', lambda x: isinstance(x, str))

  def texts(self, key):
    """A list of texts."""
    each = lambda x: all(isinstance(y, str) for y in x)
    return self._checked(
      key, 'a list of texts', lambda x: isinstance(x, list) and each(x)
    )

  def table(self, key):
    """An object, or {} where it is null or left out."""
    found = self._content.get(key)
    if found is None:
      return {}
    if not isinstance(found, dict):
      self.fail(f'wanted {key} to be an object, got {shown(found)}: correct it')
    return found

  def inner(self, key, content) -> 'Checked':
    """A reader of an object inside this one, without defaults."""
    return Checked(content, f'{self._where}: {key}', error=self._error)
