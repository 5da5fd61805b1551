"""Elements of a large XML file, one after the other, in little memory."""

import bz2
import gzip
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from rlhf_jax.data.faults import DataError

HEAD = 4096
OPENERS = {b'\x1f\x8b': gzip.open, b'BZ': bz2.open}


def open_any(file):
  """A stream of the bytes of a plain, gzipped or bzip2 file."""
  with Path(file).open('rb') as stream:
    head = stream.read(2)
  return OPENERS.get(head, open)(file, 'rb')


def elements(file, name: str) -> Iterator[ElementTree.Element]:
  """Yields every element of that name, whole; it is emptied afterwards.

  Args:
    file: XML, plain or packed.
    name: local name of the element, without its name space.

  Raises:
    DataError: if the file is no XML, or has a DOCTYPE.
  """
  with open_any(file) as stream:
    try:
      if b'<!DOCTYPE' in stream.read(HEAD):
        raise DataError(
          f'{file}: wanted a dump without a DOCTYPE, got one: take it out'
        )
      stream.seek(0)
      root = None
      for event, element in ElementTree.iterparse(stream, ('start', 'end')):
        root = element if root is None else root
        if event == 'end' and local(element.tag) == name:
          yield element
          element.clear()
          root.clear()
    except (ElementTree.ParseError, EOFError, OSError) as error:
      raise DataError(
        f'{file}: wanted XML, got {error}: fetch the file again'
      ) from None


def local(tag: str) -> str:
  """A tag without its name space."""
  return tag.rpartition('}')[2]
