"""Tables in Markdown, and the places of a page where they are written."""

MARKERS = ('<!-- table: {} -->', '<!-- end: {} -->')


def markdown(header, rows):
  """A Markdown table of a header and rows of strings."""
  lines = [header, ['---'] * len(header), *rows]
  return '\n'.join('| ' + ' | '.join(line) + ' |' for line in lines)


def between_markers(page, name, text):
  """The page with `text` between the markers of `name`.

  Raises:
    ValueError: if the page lacks a marker, or the end stands first.
  """
  start, end = (marker.format(name) for marker in MARKERS)
  before, begun, rest = page.partition(start)
  _, ended, after = rest.partition(end)
  if not (begun and ended):
    raise ValueError(f'the page has no {start} ... {end}: add the two lines')
  return f'{before}{start}\n{text}\n{end}{after}'
