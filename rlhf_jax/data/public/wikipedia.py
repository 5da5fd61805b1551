"""Edits of Wikipedia that were reverted: the text restored is the better one.

pages-meta-history*.xml of the public dump, plain or bzip2:

    <mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/">
      <page><title>...</title>
        <revision><id>1</id><timestamp>...</timestamp><text>...</text>
        </revision> ...

A revision reverts the one before it if its text is that of an earlier one, at
most WINDOW revisions back (an identity revert). Good is what it restored, bad
what it took away, each cut to the lines that differ and one line about them.
"""

import collections
import hashlib
from collections.abc import Iterator

from rlhf_jax.data.public.ranked import Thread
from rlhf_jax.data.public.xml_rows import elements, local

SOURCE = 'wikipedia'
WINDOW = 10
LONGEST = 4000  # characters of either side; longer ones are left out


def changed_lines(good: str, bad: str, around: int = 1) -> tuple[str, str]:
  """Both texts without the lines that they begin and end with alike.

  Args:
    good: a text.
    bad: another.
    around: lines of what is alike that stay, before and after.
  """
  one, other = good.split('\n'), bad.split('\n')
  shorter, start, end = min(len(one), len(other)), 0, 0
  while start < shorter and one[start] == other[start]:
    start += 1
  while end < shorter - start and one[-1 - end] == other[-1 - end]:
    end += 1
  start, end = max(0, start - around), max(0, end - around)
  cut = lambda lines: '\n'.join(lines[start : len(lines) - end]).strip()
  return cut(one), cut(other)


def reverted(texts: Iterator[str]) -> Iterator[tuple[str, str]]:
  """Yields (restored, taken away) of the revisions of a page, in order."""
  recent, before = collections.deque(maxlen=WINDOW), ''
  for text in texts:
    digest = hashlib.sha1(text.encode()).digest()
    # The last entry of `recent` is the revision before this one.
    if digest in list(recent)[:-1] and digest != recent[-1]:
      yield text, before
    recent.append(digest)
    before = text


def _revisions(page):
  for element in page:
    if local(element.tag) == 'revision':
      for part in element:
        if local(part.tag) == 'text':
          yield part.text or ''


def read_history(file) -> Iterator[Thread]:
  """Yields a Thread of two texts for each reverted edit of a dump.

  The prompt names the article. One page at a time is in memory.

  Raises:
    DataError: if the file is no XML.
  """
  for page in elements(file, 'page'):
    title = next(
      (part.text or '' for part in page if local(part.tag) == 'title'), ''
    )
    for texts in reverted(_revisions(page)):
      good, bad = changed_lines(*texts)
      if good and bad and good != bad and max(len(good), len(bad)) <= LONGEST:
        prompt = f'Write about {title}.'
        yield Thread(prompt, [(good, 1), (bad, 0)], SOURCE)
