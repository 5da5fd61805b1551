"""The kind of a file, told by its first bytes, where it is no data file.

Copies of data sets often hold something else under the right name: a pointer of
Git LFS, a web page, nothing. Each is named, with what to do about it.
"""

import re

from rlhf_jax.data.faults import BrokenFile

HEAD = 512  # bytes that are enough to tell

_FETCH = 'copy the file again'
_UNPACK = 'unpack it'
_EXPORT = 'export its rows as JSON lines'
_UTF8 = 'convert the file to UTF-8'
_GZIP, _PARQUET = b'\x1f\x8b', b'PAR1'
# How a file begins -> reason, what it is, remedy.
_BEGINNINGS = {
  b'version https://git-lfs': (
    'Git LFS pointer',
    'a Git LFS pointer, which stands for the file in a repository',
    'fetch the file with `git lfs pull`',
  ),
  b'/annex/objects/': (
    'git-annex pointer',
    'a git-annex pointer, which stands for the file in a repository',
    'fetch the file with `git annex get`',
  ),
  b'\x00\x05\x16\x07': (
    'AppleDouble file',
    'an AppleDouble file, which holds notes of macOS on another one',
    'delete it',
  ),
  b'PK\x03\x04': ('zip archive', 'a zip archive', _UNPACK),
  b'7z\xbc\xaf\x27\x1c': ('7z archive', 'a 7z archive', _UNPACK),
  b'\x28\xb5\x2f\xfd': ('zstd file', 'a file packed by zstd', _UNPACK),
  b'\xfd7zXZ\x00': ('xz file', 'a file packed by xz', _UNPACK),
  b'BZh': ('bzip2 file', 'a file packed by bzip2', _UNPACK),
  b'\xff\xfe\x00\x00': ('UTF-32 text', 'text in UTF-32', _UTF8),
  b'\x00\x00\xfe\xff': ('UTF-32 text', 'text in UTF-32', _UTF8),
  b'\xff\xfe': ('UTF-16 text', 'text in UTF-16', _UTF8),
  b'\xfe\xff': ('UTF-16 text', 'text in UTF-16', _UTF8),
  b'ARROW1': ('Arrow file', 'an Arrow file', 'save it as Parquet'),
  b'\xff\xff\xff\xff': (
    'Arrow file',
    'an Arrow stream',
    'save it as Parquet',
  ),
  b'SQLite format 3\x00': ('SQLite file', 'a SQLite database', _EXPORT),
}
# Within a gzip; alone they are read.
_PACKED = {
  _GZIP: ('gzip in a gzip', 'a gzip', 'unpack it once'),
  _PARQUET: ('Parquet in a gzip', 'a Parquet file', _UNPACK),
}
_CONTROLS = bytes({*range(32)} - set(b'\t\n\v\f\r\x1b'))
_WEB_PAGE = re.compile(rb'\s*<(!doctype|html|head|\?xml)', re.IGNORECASE)


def foreign(head: bytes, packed: bool = False) -> BrokenFile | None:
  """A BrokenFile that says what a file is, if it cannot hold rows.

  Args:
    head: its first bytes, unpacked; HEAD of them, or all.
    packed: whether they were in a gzip.
  """
  if not head:
    return _nothing(packed)
  inside = 'a gzip of ' if packed else ''
  known = _BEGINNINGS | _PACKED if packed else _BEGINNINGS
  for beginning, (reason, name, remedy) in known.items():
    if head.startswith(beginning):
      return BrokenFile(reason, 'a data file', inside + name, remedy)
  if head[257:262] == b'ustar':
    return BrokenFile(
      'tar archive', 'a data file', f'{inside}a tar archive', _UNPACK
    )
  if _WEB_PAGE.match(head):
    return BrokenFile(
      'web page',
      'a data file',
      f'{inside}a web page',
      'download the file again; it may ask for a login first',
    )
  if (width := _wide(head)) is not None:
    return BrokenFile(
      f'{width} text', 'a data file', f'{inside}text in {width}', _UTF8
    )
  return _binary(head, inside)


def _wide(head):
  """The encoding of a text that begins with ASCII, in two or four bytes."""
  for name, size in (('UTF-32', 4), ('UTF-16', 2)):
    for encoding in (f'{name}-le', f'{name}-be'):
      start = head[: 2 * size].decode(encoding, errors='replace')
      if len(start) == 2 and start.isascii() and '\0' not in start:
        return name
  return None


def _binary(head, inside):
  """The fault of a file in which every twentieth byte is no character."""
  count = len(head) - len(head.translate(None, _CONTROLS))
  if count < 4 or 20 * count < len(head):
    return None
  return BrokenFile(
    'binary file',
    'a data file',
    f'{inside}bytes that are no text, from {head[:8].hex(" ")} on',
    'copy the file again, or convert it to JSON lines',
  )


def _nothing(packed):
  """The fault of a file that holds nothing."""
  reason, got = ('empty file', '0 bytes')
  if packed:
    reason, got = ('empty gzip', 'a gzip of nothing')
  return BrokenFile(reason, 'at least one row', got, _FETCH)
