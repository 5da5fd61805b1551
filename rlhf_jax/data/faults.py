"""Faults of data: of a row, of a file, and the error that names them."""


class DataError(ValueError):
  """Data that cannot be read; the message says where and what to do."""


class Malformed(Exception):  # noqa: N818 (a row that is yielded, and counted)
  """Fault of a row; the reader knows file and line.

  Attributes:
    reason: a few fixed words, to count by.
  """

  def __init__(self, reason: str, wanted: str, got: str, remedy: str):
    super().__init__(f'wanted {wanted}, got {got}; {remedy}')
    self.reason = reason


class BrokenFile(Malformed):
  """Fault of a file: nobody knows how many rows it costs."""
