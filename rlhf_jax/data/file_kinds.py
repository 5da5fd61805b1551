"""The kind of a file, told by its first bytes, where it is no data file.

Copies of data sets often hold something else under the right name: a pointer of
Git LFS, a web page, nothing. Each is named, with what to do about it.
"""

import re

from rlhf_jax.data.faults import BrokenFile

HEAD = 512  # bytes that are enough to tell

_FETCH = 'copy the file again'
_UNPACK = 'unpack it'
_UTF8 = 'convert the file to UTF-8'
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
  b'\xff\xfe': ('UTF-16 text', 'text in UTF-16', _UTF8),
  b'\xfe\xff': ('UTF-16 text', 'text in UTF-16', _UTF8),
  b'ARROW1': ('Arrow file', 'an Arrow file', 'save it as Parquet'),
  b'\xff\xff\xff\xff': (
    'Arrow file',
    'an Arrow stream',
    'save it as Parquet',
  ),
}
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
  for beginning, (reason, name, remedy) in _BEGINNINGS.items():
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
  return None


def _nothing(packed):
  """The fault of a file that holds nothing."""
  reason, got = ('empty file', '0 bytes')
  if packed:
    reason, got = ('empty gzip', 'a gzip of nothing')
  return BrokenFile(reason, 'at least one row', got, _FETCH)
